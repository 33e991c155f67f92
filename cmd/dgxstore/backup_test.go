package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

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

			info, err := os.Stat(other)
			is.NoErr(err)
			if runtime.GOOS != "windows" {
				is.Equal(info.Mode().Perm(), os.FileMode(0o600))
			}

			// An earlier backup is replaced, another file is not, and no temporary files remain.
			is.Equal(dgxstore(t, "backup", other, "--database", url).code, exitDone)
			letter := filepath.Join(filepath.Dir(other), "letter")
			is.NoErr(os.WriteFile(letter, []byte("dear all"), 0o600))
			is.Equal(dgxstore(t, "backup", letter, "--database", url).code, exitUsage)
			content, err := os.ReadFile(letter)
			is.NoErr(err)
			is.Equal(string(content), "dear all")
			is.Equal(fileNames(t, filepath.Dir(other)), []string{"letter", "other.backup"})

			// Into a database that does not exist or is empty.
			copied := empty(t)
			var restored restored
			dgxstore(t, "restore", path, "--json", "--database", copied).decode(t, &restored)
			is.Equal(*restored.Generations, int64(1))
			is.Equal(*restored.Prompts, int64(1))
			is.Equal(remainingIDs(t, copied), []uuid.UUID{before.ID})

			// Into a database that has rows.
			create(t, openNow(t, copied), beat("not in the backup"))
			r = dgxstore(t, "restore", path, "--database", copied)
			if name == "sqlite" {
				is.Equal(r.code, exitDeclined)
				is.True(strings.Contains(r.stderr, "and its 2 generations with the backup "))
			} else {
				is.Equal(r.code, exitData)
				is.True(strings.Contains(r.stderr, "dropdb and createdb"))
				is.Equal(dgxstore(t, "restore", path, "--yes", "--json", "--database", copied).code, exitData)
			}
			is.Equal(len(remainingIDs(t, copied)), 2)
		})
	}
}

func fileNames(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestRestoreOntoExisting(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	path := filepath.Join(t.TempDir(), "music.backup")
	is.Equal(dgxstore(t, "backup", path, "--database", url).code, exitDone)
	s := openNow(t, url)
	create(t, s, beat("not in the backup"))
	is.NoErr(s.Close())
	is.Equal(dgxstore(t, "restore", path, "--yes", "--database", url).code, exitDone)
	is.Equal(len(remainingIDs(t, url)), 0)
}

// A backup of an older schema can be restored, and migrate brings it up to date.
func TestRestoreOlderSchema(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, other := storetest.URL(t), storetest.URL(t)
	path := filepath.Join(t.TempDir(), "music.backup")
	is.Equal(dgxstore(t, "backup", path, "--database", url).code, exitDone)
	is.Equal(dgxstore(t, "migrate", "--rollback", "--yes", "--database", "sqlite:"+filepath.ToSlash(path)).code, exitDone)
	var restored restored
	dgxstore(t, "restore", path, "--yes", "--json", "--database", other).decode(t, &restored)
	is.Equal(restored.PendingMigrations, 1)
	is.Equal(restored.Generations, nil)
	r := dgxstore(t, "restore", path, "--yes", "--database", other)
	is.Equal(r.code, exitDone)
	is.True(strings.Contains(r.stdout, "1 migration is pending: run dgxstore migrate"))
	is.Equal(dgxstore(t, "migrate", "--database", other).code, exitDone)
	is.Equal(dgxstore(t, "restore", path, "--yes", "--database", storetest.EmptyPostgresURL(t)).code, exitSchema)
}

// A backup deletes files that a killed backup of the same name left, if they are a day old.
func TestUnfinishedBackups(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, dir := storetest.PostgresURL(t), t.TempDir()
	for name, age := range map[string]time.Duration{
		"b.db.123.unfinished": 25 * time.Hour, "b.db.123.unfinished-wal": 25 * time.Hour,
		"b.db.456.unfinished": time.Hour, "c.db.123.unfinished": 25 * time.Hour,
	} {
		path := filepath.Join(dir, name)
		is.NoErr(os.WriteFile(path, nil, 0o600))
		is.NoErr(os.Chtimes(path, time.Now().Add(-age), time.Now().Add(-age)))
	}
	is.Equal(dgxstore(t, "backup", filepath.Join(dir, "b.db"), "--database", url).code, exitDone)
	is.Equal(fileNames(t, dir), []string{"b.db", "b.db.456.unfinished", "c.db.123.unfinished"})
}

func TestInvalidBackups(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, path := missingURL(t)
	r := dgxstore(t, "restore", "none.backup", "--database", url)
	is.Equal(r.code, exitNotFound)
	is.True(strings.Contains(r.stderr, "there is no backup at none.backup"))
	is.True(!exists(path))
	r = dgxstore(t, "restore", program, "--database", url) // not a database
	is.True(r.code != exitDone)
	is.True(!exists(path))
	r = dgxstore(t, "backup", filepath.Join("no", "such", "directory", "x.backup"), "--database", storetest.URL(t))
	is.True(r.code != exitDone)
}

// Restore also asks before it replaces a broken file or a file of another program.
func TestRestoreAsksForAnyFile(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "music.backup")
	is.Equal(dgxstore(t, "backup", path, "--database", storetest.URL(t)).code, exitDone)
	dir := t.TempDir()
	is.NoErr(os.WriteFile(filepath.Join(dir, "broken.db"), []byte("no database"), 0o600))
	is.NoErr(os.WriteFile(filepath.Join(dir, "100% ours.db"), nil, 0o600))
	for _, database := range []string{
		"sqlite:broken.db", "sqlite:100% ours.db", "sqlite://" + filepath.ToSlash(dir) + "/broken.db",
	} {
		cmd := command(t, "restore", path, "--database", database)
		cmd.Dir = dir
		is.Equal(runCommand(t, cmd).code, exitDeclined)
	}
}
