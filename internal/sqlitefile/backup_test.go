package sqlitefile_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "generations.db")
	url := "sqlite://" + path
	s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	first := testkit.Create(t, s, "first")
	backup := filepath.Join(t.TempDir(), "backup #1.db") // with what a URL would take for something else
	is.NoErr(s.Backup(ctx, backup))
	testkit.WantFiles(t, backup, "backup #1.db")
	info, err := os.Stat(backup)
	is.NoErr(err)
	is.Equal(info.Mode().Perm(), os.FileMode(0o600))
	second := testkit.Create(t, s, "second")

	// The backup is a database of its own.
	copied := filepath.Join(t.TempDir(), "copied.db")
	data, err := os.ReadFile(backup)
	is.NoErr(err)
	is.NoErr(os.WriteFile(copied, data, 0o600))
	c, err := store.Open(ctx, store.Options{URL: "sqlite://" + copied})
	is.NoErr(err)
	got, err := c.GetGeneration(ctx, first.ID)
	is.NoErr(err)
	is.Equal(got, first)
	_, err = c.GetGeneration(ctx, second.ID)
	is.True(errors.Is(err, store.ErrNotFound))
	is.NoErr(c.CheckCounts(ctx))
	is.NoErr(c.Close())

	// Over a database that is there, while it is open.
	is.NoErr(store.Restore(ctx, backup, url))
	_, err = s.GetGeneration(ctx, second.ID)
	is.True(errors.Is(err, store.ErrNotFound))
	got, err = s.GetGeneration(ctx, first.ID)
	is.NoErr(err)
	is.Equal(got, first)
	testkit.Create(t, s, "third")
	is.NoErr(s.CheckCounts(ctx))

	// And where there is none.
	fresh := "sqlite://" + filepath.Join(t.TempDir(), "fresh.db")
	is.NoErr(store.Restore(ctx, backup, fresh))
	f, err := store.Open(ctx, store.Options{URL: fresh})
	is.NoErr(err)
	defer f.Close()
	_, err = f.GetGeneration(ctx, first.ID)
	is.NoErr(err)

	is.NoErr(s.Backup(ctx, backup)) // an earlier one is replaced
	is.NoErr(store.Restore(ctx, backup, fresh))
	count, err := f.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(2))
}

func TestBackupOfADatabaseInMemory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{URL: "sqlite::memory:", Migrate: true})
	is.NoErr(err)
	defer s.Close()
	testkit.Create(t, s, "x")
	backup := filepath.Join(t.TempDir(), "backup.db")
	is.NoErr(s.Backup(ctx, backup))
	is.Equal(len(testkit.PythonRows(t, backup, "generations")), 1)
	testkit.Create(t, s, "y")
}

// Close ends a backup, and waits for it.
func TestCloseEndsABackup(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{URL: storetest.URL(t)})
	is.NoErr(err)
	params := make([]store.CreateGenerationParams, 2000)
	for i := range params {
		params[i] = testkit.Beat(fmt.Sprintf("prompt %d", i))
		params[i].FilePath = strings.Repeat("f", 1000)
	}
	_, err = s.CreateGenerations(ctx, params)
	is.NoErr(err)
	folder := t.TempDir()
	ended := make(chan error)
	go func() {
		var err error
		for err == nil {
			err = s.Backup(ctx, filepath.Join(folder, "backup.db"))
		}
		ended <- err
	}()
	testkit.Eventually(t, "a backup has begun", func() bool {
		entries, err := os.ReadDir(folder)
		is.NoErr(err)
		return len(entries) > 0
	})
	is.NoErr(s.Close())
	is.True(errors.Is(<-ended, store.ErrClosed))
	entries, err := os.ReadDir(folder)
	is.NoErr(err)
	for _, entry := range entries {
		is.Equal(entry.Name(), "backup.db") // of one before
	}
}

// On PostgreSQL a backup is a SQLite file, too.
func TestBackupOfPostgres(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s := storetest.OpenPostgres(t)
	g := testkit.Create(t, s, "kept")
	folder := t.TempDir()
	backup := filepath.Join(folder, "backup #1.db")
	is.NoErr(s.Backup(ctx, backup))
	is.NoErr(s.Backup(ctx, backup)) // an earlier one is replaced
	song := filepath.Join(folder, "song.wav")
	is.NoErr(os.WriteFile(song, []byte("RIFF"), 0o600))
	testkit.WantInvalid(t, s.Backup(ctx, song), "path")
	testkit.WantFiles(t, backup, "backup #1.db", "song.wav")
	url := "sqlite://" + filepath.Join(t.TempDir(), "new.db")
	is.NoErr(store.Restore(ctx, backup, url))
	lite, err := store.Open(ctx, store.Options{URL: url})
	is.NoErr(err)
	defer lite.Close()
	got, err := lite.GetGeneration(ctx, g.ID)
	is.NoErr(err)
	is.Equal(got, g)
}

func TestRestoreIntoPostgres(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{URL: storetest.URL(t)})
	is.NoErr(err)
	defer s.Close()
	g := testkit.Create(t, s, "kept")
	backup := filepath.Join(t.TempDir(), "backup #1 50%.db")
	is.NoErr(s.Backup(ctx, backup))
	url := storetest.EmptyPostgresURL(t)
	is.NoErr(store.Restore(ctx, backup, url))
	p, err := store.Open(ctx, store.Options{URL: url})
	is.NoErr(err)
	defer p.Close()
	got, err := p.GetGeneration(ctx, g.ID)
	is.NoErr(err)
	is.Equal(got, g)
	is.True(errors.Is(store.Restore(ctx, backup, url), store.ErrNotEmpty))
}

func TestBackupReplacesNothingElse(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	folder := t.TempDir()
	database := filepath.Join(folder, "generations.db")
	s, err := store.Open(ctx, store.Options{URL: "sqlite://" + database, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	testkit.Create(t, s, "x")
	song := filepath.Join(folder, "song.wav")
	is.NoErr(os.WriteFile(song, []byte("RIFF"), 0o600))
	link := filepath.Join(folder, "link.db")
	is.NoErr(os.Symlink(database, link))
	foreign, logged := filepath.Join(folder, "bank.db"), filepath.Join(folder, "logged.db")
	testkit.OnFile(t, foreign, "CREATE TABLE bank (id INTEGER)")
	is.NoErr(os.WriteFile(logged+"-wal", []byte("of a file that was there before"), 0o600))
	for _, path := range []string{"", folder, song, database, database + "-journal", link, foreign, logged} {
		testkit.WantInvalid(t, s.Backup(ctx, path), "path")
	}
	data, err := os.ReadFile(song)
	is.NoErr(err)
	is.Equal(string(data), "RIFF")
	is.True(errors.Is(s.Backup(ctx, filepath.Join(folder, "none", "x.db")), os.ErrNotExist))
	count, err := s.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(1))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	is.True(errors.Is(s.Backup(ended, filepath.Join(folder, "backup.db")), context.Canceled))
	is.NoErr(s.Close())
	is.True(errors.Is(s.Backup(ctx, filepath.Join(folder, "backup.db")), store.ErrClosed))
	testkit.WantFiles(t, database, "bank.db", "generations.db", "link.db", "song.wav")
}

// A process that opens a database's file and closes it drops the locks of its own connections. Other processes then
// take the log for one that nobody uses.
func TestRefusedBackupsDropNoLocks(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	path := filepath.Join(t.TempDir(), "generations.db")
	url := "sqlite://" + path
	s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	testkit.Create(t, s, "before")
	testkit.WantInvalid(t, s.Backup(ctx, path), "path")
	testkit.WantInvalid(t, store.Restore(ctx, path, url), "path")
	is.NoErr(store.Restore(ctx, path, "sqlite://"+filepath.Join(t.TempDir(), "other.db")))
	other, err := store.Open(ctx, store.Options{URL: storetest.URL(t)})
	is.NoErr(err)
	defer other.Close()
	testkit.WantInvalid(t, other.Backup(ctx, path), "path") // somebody uses it
	is.NoErr(testkit.InProcess(t, "open and migrate", url).Run())
	testkit.Create(t, s, "behind it")
	is.NoErr(testkit.InProcess(t, "open and migrate", url).Run())
	count, err := s.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(4))
	is.NoErr(s.Close())
	is.Equal(len(testkit.PythonRows(t, path, "generations")), 4)
}

// Two backups run at once. Whichever ends first, commits bring the log back once no backup runs.
func TestBackupsAtOnce(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{URL: storetest.URL(t)})
	is.NoErr(err)
	defer s.Close()
	testkit.Create(t, s, "x")
	backup := filepath.Join(t.TempDir(), "backup.db")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if err := s.Backup(ctx, backup); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	var pages int
	is.NoErr(s.DB().QueryRow(ctx, "PRAGMA wal_autocheckpoint").Scan(&pages))
	is.True(pages > 0)
	is.Equal(len(testkit.PythonRows(t, backup, "generations")), 1)
	testkit.WantFiles(t, backup, "backup.db")
}

func TestRestoreRefuses(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	folder := t.TempDir()
	database := filepath.Join(folder, "generations.db")
	url := "sqlite://" + database
	s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	kept := testkit.Create(t, s, "kept")
	good := filepath.Join(folder, "good.db")
	is.NoErr(s.Backup(ctx, good))
	data, err := os.ReadFile(good)
	is.NoErr(err)
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(folder, name)
		is.NoErr(os.WriteFile(path, data, 0o600))
		return path
	}
	damaged := append([]byte(nil), data...)
	for i := len(damaged) / 2; i < len(damaged)/2+20000; i++ {
		damaged[i] = 'x'
	}
	foreign := filepath.Join(folder, "foreign.db")
	testkit.OnFile(t, foreign, "CREATE TABLE users (id INTEGER)")
	newer := write("newer.db", data)
	testkit.OnFile(t, newer, "INSERT INTO schema_migrations VALUES ('99990101000000')")

	for _, path := range []string{"", folder, foreign, database, write("song.wav", []byte("RIFF")),
		write("empty.db", nil)} {
		testkit.WantInvalid(t, store.Restore(ctx, path, url), "path")
	}
	testkit.WantInvalid(t, store.Restore(ctx, good, "sqlite::memory:"), "url")
	is.True(errors.Is(store.Restore(ctx, filepath.Join(folder, "none.db"), url), os.ErrNotExist))
	is.True(errors.Is(store.Restore(ctx, newer, url), store.ErrSchemaOutdated))
	for name, data := range map[string][]byte{"damaged.db": damaged, "cut.db": data[:len(data)/2]} {
		if store.Restore(ctx, write(name, data), url) == nil {
			t.Errorf("%s was restored", name)
		}
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	is.True(errors.Is(store.Restore(ended, good, url), context.Canceled))
	got, err := s.GetGeneration(ctx, kept.ID)
	is.NoErr(err)
	is.Equal(got, kept)
}

// A new database gets the backup's page size. A damaged one must be moved away by hand.
func TestRestoreOverAnything(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	for _, size := range []string{"512", "4096", "65536"} {
		is := is.New(t)
		path, _ := testkit.PythonDatabase(t)
		testkit.OnFile(t, path, "PRAGMA page_size = "+size, "VACUUM")
		folder := t.TempDir()
		fresh, junk := filepath.Join(folder, "fresh.db"), filepath.Join(folder, "junk.db")
		is.NoErr(os.WriteFile(junk, []byte(strings.Repeat("junk", 1000)), 0o600))
		is.NoErr(store.Restore(ctx, path, "sqlite://"+fresh))
		db, err := sql.Open("sqlite", fresh)
		is.NoErr(err)
		var pages string
		is.NoErr(db.QueryRow("PRAGMA page_size").Scan(&pages))
		is.NoErr(db.Close())
		is.Equal(pages, size)
		is.NoErr(store.Migrate(ctx, "sqlite://"+fresh))
		err = store.Restore(ctx, path, "sqlite://"+junk)
		is.True(err != nil && strings.Contains(err.Error(), "move it"))
	}
}

// Reading a backup does not even change its journal mode.
func TestRestoreLeavesTheBackupAsItIs(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{URL: storetest.URL(t)})
	is.NoErr(err)
	defer s.Close()
	testkit.Create(t, s, "x")
	backup := filepath.Join(t.TempDir(), "backup.db")
	is.NoErr(s.Backup(ctx, backup))
	before, err := os.ReadFile(backup)
	is.NoErr(err)
	is.NoErr(store.Restore(ctx, backup, "sqlite://"+filepath.Join(t.TempDir(), "new.db")))
	is.NoErr(store.Restore(ctx, backup, storetest.EmptyPostgresURL(t)))
	after, err := os.ReadFile(backup)
	is.NoErr(err)
	is.Equal(string(after), string(before))
	testkit.WantFiles(t, backup, "backup.db")
}

// A restore takes an adoption back, and the next migration adopts again.
func TestRestoreADatabaseOfThePythonService(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	path, url := testkit.PythonFile(t)
	before := testkit.PythonRows(t, path, "generations")
	is.NoErr(store.Migrate(ctx, url))
	is.NoErr(store.Restore(ctx, path+".before-v2", url))
	is.Equal(testkit.PythonRows(t, path, "generations"), before)
	is.NoErr(store.Migrate(ctx, url))
	testkit.WantApplied(t, url, len(testkit.KnownMigrations(t)))
	testkit.WantFiles(t, path, "generations.db", "generations.db.before-v2") // the copy that was there served
}

// Backups under load are whole, and each has all that was acknowledged before it began.
func TestBackupsUnderLoad(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	lasts := 30 * time.Second
	if testing.Short() {
		lasts = time.Second
	}
	s, err := store.Open(ctx, store.Options{URL: storetest.URL(t)})
	is.NoErr(err)
	defer s.Close()
	const callers = 64
	var acknowledged [callers]atomic.Int64
	var longest atomic.Int64
	stop := make(chan struct{})
	var group sync.WaitGroup
	for caller := range callers {
		group.Go(func() {
			for n := int64(1); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				params := testkit.Beat(fmt.Sprintf("caller %d", caller))
				params.ID = callID(caller, n)
				began := time.Now()
				if _, err := s.CreateGeneration(ctx, params); err != nil {
					t.Error(err)
					return
				}
				acknowledged[caller].Store(n)
				for took := int64(time.Since(began)); ; {
					if seen := longest.Load(); took <= seen || longest.CompareAndSwap(seen, took) {
						break
					}
				}
			}
		})
	}
	time.Sleep(lasts / 10)
	withoutBackup := time.Duration(longest.Swap(0))
	backups, rows := 0, 0
	for began := time.Now(); time.Since(began) < lasts; backups++ {
		var before [callers]int64
		for caller := range callers {
			before[caller] = acknowledged[caller].Load()
		}
		backup := filepath.Join(t.TempDir(), "backup.db")
		is.NoErr(s.Backup(ctx, backup))
		rows = wantPrefix(t, backup, before[:])
		is.NoErr(os.Remove(backup))
	}
	close(stop)
	group.Wait()
	is.NoErr(s.CheckCounts(ctx))
	is.True(backups > 0)
	t.Logf("%d backups, the last of %d rows; the longest creation took %s, before the first one %s", backups, rows,
		time.Duration(longest.Load()).Round(time.Millisecond), withoutBackup.Round(time.Millisecond))
}

// callID is the ID of a caller's nth call.
func callID(caller int, n int64) uuid.UUID {
	id := uuid.UUID{0: 1, 6: 0x70, 7: byte(caller), 8: 0x80}
	for i := range 7 {
		id[15-i] = byte(n >> (8 * i))
	}
	return id
}

// wantPrefix fails the test unless the backup has the first so many calls of each caller, or more, without a gap, and
// the counters agree.
func wantPrefix(t *testing.T, backup string, atLeast []int64) (rows int) {
	t.Helper()
	is := is.New(t)
	db, err := sql.Open("sqlite", backup)
	is.NoErr(err)
	defer db.Close()
	var check string
	is.NoErr(db.QueryRow("PRAGMA integrity_check").Scan(&check))
	is.Equal(check, "ok")
	for caller, least := range atLeast {
		var count int
		var last sql.NullString
		is.NoErr(db.QueryRow("SELECT count(*), max(id) FROM generations WHERE id BETWEEN ? AND ?",
			callID(caller, 0).String(), callID(caller, 1<<55).String()).Scan(&count, &last))
		if int64(count) < least {
			t.Fatalf("caller %d had %d acknowledged, and the backup has %d", caller, least, count)
		}
		if count > 0 {
			is.Equal(last.String, callID(caller, int64(count)).String())
		}
		rows += count
	}
	var counted, used int
	is.NoErr(db.QueryRow("SELECT sum(value) FROM generation_counters WHERE name <> 'prompts'").Scan(&counted))
	is.NoErr(db.QueryRow("SELECT coalesce(sum(used_count), 0) FROM prompts").Scan(&used))
	is.Equal(counted, rows)
	is.Equal(used, rows)
	return rows
}
