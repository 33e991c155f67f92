package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store/storetest"
)

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { url, _ := missingURL(t); return url },
		"postgres": storetest.EmptyPostgresURL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := empty(t)
			is.Equal(dgxstore(t, "migrate", "--database", url).code, exitDone)
			s := openNow(t, url)
			before := createCompleted(t, s, beat("in the backup"))
			path := filepath.Join(t.TempDir(), "music.backup")

			var done struct {
				Path      string `json:"path"`
				SizeBytes int64  `json:"size_bytes"`
			}
			dgxstore(t, "backup", path, "--json", "--database", url).decode(t, &done)
			is.Equal(done.Path, path)
			is.True(done.SizeBytes > 0)
			other := filepath.Join(t.TempDir(), "other.backup")
			r := dgxstore(t, "backup", other, "--database", url)
			is.Equal(r.code, exitDone)
			is.True(strings.Contains(r.stdout, "backed up to "+other))

			// Into a database that is not there, or has nothing.
			copied := empty(t)
			var restored struct {
				Database    string `json:"database"`
				Generations int64  `json:"generations"`
				Prompts     int64  `json:"prompts"`
			}
			dgxstore(t, "restore", path, "--json", "--database", copied).decode(t, &restored)
			is.Equal(restored.Generations, int64(1))
			is.Equal(restored.Prompts, int64(1))
			is.Equal(left(t, copied), []uuid.UUID{before.ID})

			// Onto one that is.
			create(t, openNow(t, copied), beat("not in the backup"))
			r = dgxstore(t, "restore", path, "--database", copied)
			is.Equal(r.code, exitDeclined)
			is.True(strings.Contains(r.stderr, "and its 2 generations by the backup "))
			is.Equal(len(left(t, copied)), 2)
		})
	}
}

func TestRestoreOntoExisting(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		path := filepath.Join(t.TempDir(), "music.backup")
		is.Equal(dgxstore(t, "backup", path, "--database", url).code, exitDone)
		s := openNow(t, url)
		create(t, s, beat("not in the backup"))
		is.NoErr(s.Close())
		is.Equal(dgxstore(t, "restore", path, "--yes", "--database", url).code, exitDone)
		is.Equal(len(left(t, url)), 0)
	})
}

func TestBackupsThatAreNone(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, path := missingURL(t)
	r := dgxstore(t, "restore", "none.backup", "--database", url)
	is.Equal(r.code, exitNotFound)
	is.True(strings.Contains(r.stderr, "there is no backup at none.backup"))
	is.True(!isThere(path))
	r = dgxstore(t, "restore", program, "--database", url) // a file that is something else
	is.True(r.code != exitDone)
	is.True(!isThere(path))
	is.True(dgxstore(t, "backup", filepath.Join("no", "such", "folder", "x.backup"), "--database", storetest.URL(t)).code != exitDone)
}
