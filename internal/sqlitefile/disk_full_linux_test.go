package sqlitefile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func TestBackupOntoAFullDisk(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "generations.db"),
		Migrate: true})
	is.NoErr(err)
	defer s.Close()
	testkit.CreateMany(t, s, 2000)
	disk := testkit.NewSmallDisk(t, 500)
	backup := filepath.Join(disk.Folder, "backup.db")
	testkit.WantNoSpace(t, s.Backup(ctx, backup))
	testkit.WantFiles(t, backup)
	testkit.CreateMany(t, s, 1) // the store goes on
	disk.Grow(t, 100_000)
	is.NoErr(s.Backup(ctx, backup))
	is.Equal(len(testkit.PythonRows(t, backup, "generations")), 2001)
}

func TestRestoreOntoAFullDisk(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes much")
	}
	is := is.New(t)
	ctx := t.Context()
	large, err := store.Open(ctx, store.Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "large.db"), Migrate: true})
	is.NoErr(err)
	defer large.Close()
	testkit.CreateMany(t, large, 5000)
	backup := filepath.Join(t.TempDir(), "backup.db")
	is.NoErr(large.Backup(ctx, backup))

	disk := testkit.NewSmallDisk(t, 2000)
	url := "sqlite://" + filepath.Join(disk.Folder, "generations.db")
	s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	testkit.CreateMany(t, s, 10)
	testkit.WantNoSpace(t, store.Restore(ctx, backup, url))
	count, err := s.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(10)) // nothing that was acknowledged is lost
	is.NoErr(s.CheckCounts(ctx))

	disk.Grow(t, 100_000)
	is.NoErr(store.Restore(ctx, backup, url))
	count, err = s.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(5000))
}

// A failed restore removes the file that it has created, and no other: an empty one may be somebody's.
func TestFailedRestoreRemovesWhatItCreated(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("fills disks")
	}
	is := is.New(t)
	ctx := t.Context()
	s := storetest.Open(t)
	testkit.CreateMany(t, s, 1000)
	backup := filepath.Join(t.TempDir(), "backup.db")
	is.NoErr(s.Backup(ctx, backup))
	disk := testkit.NewSmallDisk(t, 100)
	created, empty := filepath.Join(disk.Folder, "created.db"), filepath.Join(disk.Folder, "empty.db")
	is.NoErr(os.WriteFile(empty, nil, 0o600))
	testkit.WantNoSpace(t, store.Restore(ctx, backup, "sqlite://"+created))
	_, err := os.Lstat(created)
	is.True(errors.Is(err, fs.ErrNotExist))
	testkit.WantNoSpace(t, store.Restore(ctx, backup, "sqlite://"+empty))
	info, err := os.Lstat(empty)
	is.NoErr(err)
	is.Equal(info.Size(), int64(0))
}
