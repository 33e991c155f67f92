// Package added tests new columns of generations. TestAddingAColumn puts it into a copy of the repository that has
// them.
package added

import (
	"path/filepath"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// changes are of one new column each.
var changes = []string{
	"rating = 5", "plays = 7", "loudness = -14.5", "note = 'good'", "approved = TRUE", "rated_at = created_at",
}

func create(t *testing.T, s *store.Store) store.Generation {
	t.Helper()
	g, err := s.CreateGeneration(t.Context(), store.CreateGenerationParams{
		Prompt: "x", ModelName: "musicgen-small", DurationSeconds: 16, SampleRate: 32000, Channels: 2, FilePath: "x.wav",
	})
	is.New(t).NoErr(err)
	return g
}

func set(t *testing.T, s *store.Store, change string) {
	t.Helper()
	_, err := s.DB().Exec(t.Context(), "UPDATE generations SET "+change)
	is.New(t).NoErr(err)
}

func TestColumnsComeBack(t *testing.T) {
	for _, s := range []*store.Store{storetest.Open(t), storetest.OpenPostgres(t)} {
		is := is.New(t)
		created := create(t, s)
		got, err := s.GetGeneration(t.Context(), created.ID)
		is.NoErr(err)
		is.Equal(got, created)
		for _, change := range changes {
			set(t, s, change)
		}
		page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{})
		is.NoErr(err)
		g := page.Generations[0]
		is.Equal(*g.Rating, int64(5))
		is.Equal(g.Plays, int64(7))
		is.Equal(*g.Loudness, -14.5)
		is.Equal(*g.Note, "good")
		is.Equal(g.Approved, true)
		is.Equal(*g.RatedAt, g.CreatedAt)
	}
}

// A transfer carries the columns, and databases that differ in one of them have different hashes.
func TestColumnsAreTransferred(t *testing.T) {
	is := is.New(t)
	url := storetest.URL(t)
	s, err := store.Open(t.Context(), store.Options{URL: url})
	is.NoErr(err)
	defer s.Close()
	created := create(t, s)
	hashes := make(map[string]string)
	for _, change := range append([]string{"rating = NULL"}, changes...) {
		set(t, s, change)
		there, back := storetest.EmptyPostgresURL(t), "sqlite:"+filepath.Join(t.TempDir(), "back.db")
		report, err := store.Transfer(t.Context(), url, there, store.TransferOptions{})
		is.NoErr(err)
		for _, table := range report.Tables {
			if table.Name != "generations" {
				continue
			}
			if before, ok := hashes[table.SHA256]; ok {
				t.Errorf("the hash after %s is that after %s", change, before)
			}
			hashes[table.SHA256] = change
		}
		_, err = store.Transfer(t.Context(), there, back, store.TransferOptions{})
		is.NoErr(err)
		want, err := s.GetGeneration(t.Context(), created.ID)
		is.NoErr(err)
		copied, err := store.Open(t.Context(), store.Options{URL: back})
		is.NoErr(err)
		got, err := copied.GetGeneration(t.Context(), created.ID)
		is.NoErr(err)
		is.NoErr(copied.Close())
		is.Equal(got, want)
	}
	is.Equal(len(hashes), 1+len(changes))
}
