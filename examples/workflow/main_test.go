package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// onEveryEngine runs a test on a migrated, empty database of each engine, which is also that of DATABASE_URL.
func onEveryEngine(t *testing.T, test func(t *testing.T, url string)) {
	engines := map[string]func(testing.TB) string{"sqlite": storetest.URL, "postgres": storetest.PostgresURL}
	for name, newURL := range engines {
		t.Run(name, func(t *testing.T) {
			url := newURL(t)
			t.Setenv("DATABASE_URL", url)
			t.Setenv("OUTPUTS", filepath.Join(t.TempDir(), "outputs"))
			test(t, url)
		})
	}
}

func open(t *testing.T, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// job is a job that anybody may have asked for. It comes before all others.
func job(model, filePath string) store.CreateGenerationParams {
	return store.CreateGenerationParams{
		Prompt: "trap beat at 140 BPM", ModelName: model, Priority: -1,
		DurationSeconds: 1, SampleRate: 8000, Channels: 1, FilePath: filepath.ToSlash(filePath),
		Metadata: store.Metadata(`{"source": "examples/workflow"}`),
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	is := is.New(t)
	is.Helper()
	is.NoErr(os.MkdirAll(filepath.Dir(path), 0o755))
	is.NoErr(os.WriteFile(path, []byte(content), 0o600))
}

func checkFile(t *testing.T, path, content string) {
	t.Helper()
	is := is.New(t)
	is.Helper()
	got, err := os.ReadFile(path)
	is.NoErr(err)
	is.Equal(string(got), content)
}

const fewPrompts = "one at 100 BPM\ntwo at 100 BPM\n"

func TestWorkflow(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := open(t, store.Options{URL: url})
		for round := range int64(2) { // the second goes on with the same database
			is.NoErr(run(t.Context(), promptsFile))
			stats, err := s.Stats(t.Context())
			is.NoErr(err)
			is.True(stats.AverageGenerationTimeSeconds > 0)
			stats.AverageGenerationTimeSeconds = 0
			is.Equal(stats, store.Stats{
				TotalGenerations: 40 * (round + 1), CompletedGenerations: 37 * (round + 1), FailedGenerations: 3 * (round + 1),
				TotalPrompts: 32,
			})
			page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{Status: store.StatusCompleted})
			is.NoErr(err)
			for _, g := range page.Generations {
				info, err := os.Stat(filepath.FromSlash(g.FilePath))
				is.NoErr(err)
				is.Equal(info.Size(), *g.FileSizeBytes)
			}
		}
	})
}

// Other people's jobs stay as they are, and so do the files that they name, wherever those are.
func TestOtherPeoplesJobs(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s, outside := open(t, store.Options{URL: url}), t.TempDir()
		var files []string
		var foreign []store.Generation
		for i, model := range []string{"musicgen-small", "example-synthesizer"} {
			for _, folder := range []string{outside, os.Getenv("OUTPUTS")} {
				file := filepath.Join(folder, "precious", fmt.Sprintf("%d.wav", i))
				writeFile(t, file, "precious")
				g, err := s.CreateGeneration(t.Context(), job(model, file))
				is.NoErr(err)
				files, foreign = append(files, file), append(foreign, g)
			}
		}

		is.NoErr(run(t.Context(), fewPrompts)) // and does not wait for them
		for i, g := range foreign {
			now, err := s.GetGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.Equal(now, g)
			checkFile(t, files[i], "precious")
		}
		stats, err := s.Stats(t.Context())
		is.NoErr(err)
		is.Equal(stats.CompletedGenerations, int64(2))
		is.Equal(stats.PendingGenerations, int64(len(foreign)))
	})
}

// A run finishes what an earlier one left that was killed, and refuses file paths that were changed meanwhile.
func TestKilledRun(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		out, err := openOutputs(os.Getenv("OUTPUTS"))
		is.NoErr(err)
		defer out.close()
		batch, err := out.newBatch()
		is.NoErr(err)
		past := open(t, store.Options{URL: url, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
		is.NoErr(askFor(t.Context(), past, fewPrompts, batch, out))
		_, err = past.ClaimGenerations(t.Context(), store.ClaimParams{
			Worker: "killed", Limit: 1, Lease: time.Minute, ModelNames: []string{modelOf(batch)},
		})
		is.NoErr(err)

		folder, outside := filepath.Join(os.Getenv("OUTPUTS"), batch.String()), t.TempDir()
		absolute, above := filepath.Join(outside, "absolute.wav"), filepath.Join(outside, "above.wav")
		linked, behind := filepath.Join(outside, "linked.wav"), filepath.Join(outside, "behind.wav")
		beside := filepath.Join(os.Getenv("OUTPUTS"), "beside.wav")
		files := []string{absolute, above, linked, behind, beside}
		for _, file := range files {
			writeFile(t, file, "precious")
		}
		is.NoErr(os.Symlink(linked, filepath.Join(folder, "link.wav")))
		is.NoErr(os.Symlink(outside, filepath.Join(folder, "folder")))
		working, err := os.Getwd()
		is.NoErr(err)
		up, err := filepath.Rel(working, above)
		is.NoErr(err)
		link, throughFolder := filepath.Join(folder, "link.wav"), filepath.Join(folder, "folder", "behind.wav")
		changed := []string{absolute, up, link, throughFolder, beside, folder}
		for _, path := range changed {
			params := job(modelOf(batch), path)
			params.BatchID = batch
			_, err := past.CreateGeneration(t.Context(), params)
			is.NoErr(err)
		}

		is.NoErr(run(t.Context(), fewPrompts))
		stats, err := past.BatchStats(t.Context(), batch)
		is.NoErr(err)
		is.Equal(stats.CompletedGenerations, int64(2))
		is.Equal(stats.FailedGenerations, int64(len(changed)))
		page, err := past.ListGenerations(t.Context(), store.ListGenerationsParams{BatchID: batch})
		is.NoErr(err)
		for _, g := range page.Generations {
			if g.IsFailed() {
				is.True(strings.HasPrefix(*g.ErrorMessage, errRefused.Error()))
			} else {
				info, err := os.Stat(filepath.FromSlash(g.FilePath))
				is.NoErr(err)
				is.Equal(info.Size(), *g.FileSizeBytes)
			}
		}
		for _, file := range files {
			checkFile(t, file, "precious")
		}
	})
}

// A link in place of a batch's folder leads nowhere either.
func TestLinkedFolder(t *testing.T) {
	is := is.New(t)
	out, err := openOutputs(filepath.Join(t.TempDir(), "outputs"))
	is.NoErr(err)
	defer out.close()
	batch, outside := uuid.New(), t.TempDir()
	writeFile(t, filepath.Join(outside, "a.wav"), "precious")
	is.NoErr(os.Symlink(outside, filepath.Join(out.absolute, batch.String())))
	g := store.Generation{BatchID: &batch, FilePath: out.path + "/" + batch.String() + "/a.wav"}
	_, err = out.write(g, func(*os.File) error { return nil })
	is.True(errors.Is(err, errRefused))
	checkFile(t, filepath.Join(outside, "a.wav"), "precious")
	batches, err := out.batches()
	is.NoErr(err)
	is.Equal(len(batches), 0)
}

// Somebody else's job under the model name of an earlier run is given back, and the run ends.
func TestSameModelAnotherBatch(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := open(t, store.Options{URL: url})
		out, err := openOutputs(os.Getenv("OUTPUTS"))
		is.NoErr(err)
		defer out.close()
		batch, err := out.newBatch()
		is.NoErr(err)
		is.NoErr(askFor(t.Context(), s, "one at 100 BPM\n", batch, out))
		file := filepath.Join(os.Getenv("OUTPUTS"), batch.String(), "theirs.wav")
		writeFile(t, file, "precious")
		g, err := s.CreateGeneration(t.Context(), job(modelOf(batch), file))
		is.NoErr(err)

		err = run(t.Context(), fewPrompts)
		is.True(err != nil && strings.Contains(err.Error(), g.ID.String()))
		g, err = s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		is.True(g.IsPending())
		checkFile(t, file, "precious")
	})
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
