package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func TestWorkflow(t *testing.T) {
	for name, newURL := range map[string]func(testing.TB) string{
		"sqlite": storetest.URL, "postgres": storetest.PostgresURL,
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			url := newURL(t)
			t.Setenv("DATABASE_URL", url)
			t.Setenv("OUTPUTS", filepath.Join(t.TempDir(), "outputs"))
			for round := range int64(2) { // the second goes on with the same database
				is.NoErr(run(t.Context()))
				s, err := store.Open(t.Context(), store.Options{URL: url})
				is.NoErr(err)
				stats, err := s.Stats(t.Context())
				is.NoErr(err)
				is.True(stats.AverageGenerationTimeSeconds > 0)
				stats.AverageGenerationTimeSeconds = 0
				is.Equal(stats, store.Stats{
					TotalGenerations: 40 * (round + 1), CompletedGenerations: 37 * (round + 1),
					FailedGenerations: 3 * (round + 1), TotalPrompts: 32,
				})
				page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{Status: store.StatusCompleted})
				is.NoErr(err)
				for _, g := range page.Generations {
					info, err := os.Stat(filepath.FromSlash(g.FilePath))
					is.NoErr(err)
					is.Equal(info.Size(), *g.FileSizeBytes)
				}
				is.NoErr(s.Close())
			}
		})
	}
}

func TestUnderstand(t *testing.T) {
	is := is.New(t)
	genre, bpm, err := understand("hip hop beat at 90 BPM with vinyl crackle")
	is.NoErr(err)
	is.Equal(genre, "hip hop beat")
	is.Equal(bpm, 90.0)
	genre, bpm, err = understand("something calm")
	is.NoErr(err)
	is.Equal(genre, "something calm")
	is.Equal(bpm, 120.0)
	for _, bad := range []string{"drone at 0 BPM", "gabber at 100000 BPM"} {
		_, _, err = understand(bad)
		is.True(err != nil)
	}
}
