package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// backUp backs a database of one generation up.
func backUp(t testing.TB) (path string, g store.Generation) {
	t.Helper()
	url := storetest.URL(t)
	g = createCompleted(t, openNow(t, url), beat("in the backup"))
	path = filepath.Join(t.TempDir(), "music.backup")
	if r := dgxstore(t, "backup", path, "--database", url); r.code != exitDone || !strings.HasPrefix(r.stdout, "backed up to "+path+", ") {
		t.Fatal(r)
	}
	return path, g
}

func TestBackup(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var done struct {
		Path      string `json:"path"`
		SizeBytes int64  `json:"size_bytes"`
	}
	path := filepath.Join(t.TempDir(), "music.backup")
	url := storetest.URL(t)
	for range 2 { // an earlier one is replaced
		dgxstore(t, "backup", path, "--json", "--database", url).decode(t, &done)
		info, err := os.Stat(path)
		is.NoErr(err)
		is.Equal(done.Path, path)
		is.Equal(done.SizeBytes, info.Size())
	}
	is.Equal(dgxstore(t, "backup", filepath.Join("no", "folder", "x.backup"), "--database", url).code, exitError)
	notOurs := filepath.Join(t.TempDir(), "letter.txt")
	is.NoErr(os.WriteFile(notOurs, []byte("Dear Sirs"), 0o600))
	is.Equal(dgxstore(t, "backup", notOurs, "--database", url).code, exitUsage)
}

func TestBackupOfPostgres(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	r := dgxstore(t, "backup", "music.backup", "--database", storetest.PostgresURL(t))
	is.Equal(r.code, exitError)
	is.True(strings.Contains(r.stderr, "dgxstore transfer"))
}

func TestRestore(t *testing.T) {
	t.Parallel()
	path, g := backUp(t)
	for name, empty := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { url, _ := missingURL(t); return url },
		"postgres": storetest.EmptyPostgresURL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			url := empty(t)
			var done restored
			dgxstore(t, "restore", path, "--json", "--database", url).decode(t, &done) // nothing to ask about
			is.Equal(*done.Generations, int64(1))
			is.Equal(*done.Prompts, int64(1))
			is.Equal(left(t, url), []uuid.UUID{g.ID})
			r := dgxstore(t, "restore", path, "--database", empty(t))
			is.Equal(r.code, exitDone)
			is.True(strings.HasSuffix(r.stdout, ": 1 generation, 1 prompt\n"))
		})
	}
}

func TestRestoreOntoExisting(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path, g := backUp(t)
	url := storetest.URL(t)
	s := openNow(t, url)
	create(t, s, beat("not in the backup"))
	create(t, s, beat("not in the backup"))
	is.NoErr(s.Close())
	r := dgxstore(t, "restore", path, "--database", url)
	is.Equal(r.code, exitDeclined)
	is.True(strings.Contains(r.stderr, "Replace "+url+" and its 2 generations by the backup "+path))
	is.Equal(dgxstore(t, "restore", path, "--json", "--database", url).code, exitDeclined)
	is.Equal(len(left(t, url)), 2)
	is.Equal(dgxstore(t, "restore", path, "--yes", "--database", url).code, exitDone)
	is.Equal(left(t, url), []uuid.UUID{g.ID})

	// A file that is none of ours, or broken, is somebody's, too.
	folder := t.TempDir()
	is.NoErr(os.WriteFile(filepath.Join(folder, "broken.db"), []byte("no database"), 0o600))
	is.NoErr(os.WriteFile(filepath.Join(folder, "100% ours.db"), nil, 0o600))
	for _, database := range []string{"sqlite:broken.db", "sqlite:100% ours.db", "sqlite://" + filepath.ToSlash(folder) + "/broken.db"} {
		cmd := command(t, "restore", path, "--database", database)
		cmd.Dir = folder
		is.Equal(finished(t, cmd).code, exitDeclined)
	}
}

func TestRestoreOntoPostgresThatHasRows(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path, _ := backUp(t)
	url := storetest.PostgresURL(t)
	g := create(t, openNow(t, url), beat("not in the backup"))
	is.Equal(dgxstore(t, "restore", path, "--yes", "--database", url).code, exitError)
	is.Equal(left(t, url), []uuid.UUID{g.ID})
}

func TestRestoreOfOlderVersion(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	old, path := missingURL(t)
	is.Equal(dgxstore(t, "migrate", "--database", old).code, exitDone)
	is.Equal(dgxstore(t, "migrate", "--rollback", "--yes", "--database", old).code, exitDone)
	url, _ := missingURL(t)
	r := dgxstore(t, "restore", path, "--database", url)
	is.Equal(r.code, exitDone)
	is.True(strings.Contains(r.stdout, "run dgxstore migrate"))
	var done restored
	dgxstore(t, "restore", path, "--yes", "--json", "--database", url).decode(t, &done)
	is.True(done.NeedsMigration)
	is.Equal(dgxstore(t, "migrate", "--database", url).code, exitDone)
	is.Equal(dgxstore(t, "list", "--database", url).code, exitDone)
}

func TestBackupsThatAreNone(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, path := missingURL(t)
	r := dgxstore(t, "restore", "none.backup", "--database", url)
	is.Equal(r.code, exitNotFound)
	is.True(strings.Contains(r.stderr, "there is no backup at none.backup"))
	is.True(!isThere(path))
	is.Equal(dgxstore(t, "restore", program, "--database", url).code, exitUsage) // a file that is something else
	is.True(!isThere(path))
}
