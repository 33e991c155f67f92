package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/matryer/is"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// smallDisk is a file system of its own with so much room.
type smallDisk struct{ folder string }

// skipUnlessRequired fails where REQUIRE_SMALL_DISK is set, as CI sets it, so that nobody takes these tests for run.
func skipUnlessRequired(t *testing.T, why string, err error) {
	t.Helper()
	if os.Getenv("REQUIRE_SMALL_DISK") != "" {
		t.Fatalf("REQUIRE_SMALL_DISK is set, and %s: %v", why, err)
	}
	t.Skipf("%s: %v", why, err)
}

func newSmallDisk(t *testing.T, kibibytes int) smallDisk {
	t.Helper()
	folder, err := os.MkdirTemp("", "small-disk-") // not t.TempDir, whose parents are for this user alone
	is.New(t).NoErr(err)
	t.Cleanup(func() { os.Remove(folder) })
	d := smallDisk{folder}
	if err := d.mount(kibibytes, 0); err != nil {
		skipUnlessRequired(t, "a file system can be mounted by root alone", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// grow makes room.
func (d smallDisk) grow(t *testing.T, kibibytes int) {
	t.Helper()
	is.New(t).NoErr(d.mount(kibibytes, syscall.MS_REMOUNT))
}

func (d smallDisk) mount(kibibytes int, flags uintptr) error {
	return syscall.Mount("tmpfs", d.folder, "tmpfs", flags, fmt.Sprintf("mode=0777,size=%dk", kibibytes))
}

func (d smallDisk) put(t *testing.T, from, name string) string {
	t.Helper()
	is := is.New(t)
	data, err := os.ReadFile(from)
	is.NoErr(err)
	path := filepath.Join(d.folder, name)
	is.NoErr(os.WriteFile(path, data, 0o600))
	return path
}

// wantNoSpace takes the word of the system or of SQLite for it.
func wantNoSpace(t *testing.T, err error) {
	t.Helper()
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code()&0xff == sqlite3.SQLITE_FULL {
		return
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v is not that the disk is full", err)
	}
}

func sizeInKibibytes(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	is.New(t).NoErr(err)
	return int(info.Size()>>10) + 1
}

// In the middle of the copy, and of the migrations behind it.
func TestAdoptOnAFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("fills disks")
	}
	made, _ := pythonDatabase(t, `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
		INSERT INTO generations SELECT printf('30a36e6c-2456-415d-afcd-e84a4900%04d', i), 'prompt ' || i, 'm', NULL, 16, 32000, 2, 'f', NULL,
			'pending', '2025-11-07 09:00:22', NULL, NULL, NULL, '{"bpm": ' || i || '}' FROM n`)
	size := sizeInKibibytes(t, made)
	for name, room := range map[string]int{"in the copy": size * 3 / 2, "in the migrations": size*2 + 200, "in the last of them": size * 7 / 2} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			disk := newSmallDisk(t, room)
			path := disk.put(t, made, "generations.db")
			before := pythonRows(t, path, "generations")
			wantNoSpace(t, store.Migrate(t.Context(), "sqlite://"+path))
			is.Equal(pythonRows(t, path, "generations"), before)

			disk.grow(t, size*20)
			is.NoErr(store.Migrate(t.Context(), "sqlite://"+path))
			is.Equal(len(pythonRows(t, path, "generations")), len(before))
			is.Equal(len(pythonRows(t, path+".before-v2", "generations")), len(before))
			wantFiles(t, path, "generations.db", "generations.db.before-v2")
		})
	}
}

func TestBackupOntoAFullDisk(t *testing.T) {
	is := is.New(t)
	ctx := t.Context()
	s, err := store.Open(ctx, store.Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "generations.db"), Migrate: true})
	is.NoErr(err)
	defer s.Close()
	createMany(t, s, 2000)
	disk := newSmallDisk(t, 500)
	backup := filepath.Join(disk.folder, "backup.db")
	wantNoSpace(t, s.Backup(ctx, backup))
	wantFiles(t, backup)
	createMany(t, s, 1) // the store goes on
	disk.grow(t, 100_000)
	is.NoErr(s.Backup(ctx, backup))
	is.Equal(len(pythonRows(t, backup, "generations")), 2001)
}

func TestRestoreOntoAFullDisk(t *testing.T) {
	if testing.Short() {
		t.Skip("writes much")
	}
	is := is.New(t)
	ctx := t.Context()
	large, err := store.Open(ctx, store.Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "large.db"), Migrate: true})
	is.NoErr(err)
	defer large.Close()
	createMany(t, large, 5000)
	backup := filepath.Join(t.TempDir(), "backup.db")
	is.NoErr(large.Backup(ctx, backup))

	disk := newSmallDisk(t, 2000)
	url := "sqlite://" + filepath.Join(disk.folder, "generations.db")
	s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	createMany(t, s, 10)
	wantNoSpace(t, store.Restore(ctx, backup, url))
	count, err := s.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(10)) // nothing that was acknowledged is lost
	is.NoErr(s.CheckCounts(ctx))

	disk.grow(t, 100_000)
	is.NoErr(store.Restore(ctx, backup, url))
	count, err = s.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(5000))
}

// A restore that fails removes the file that it has created, and no other: an empty one may be somebody's.
func TestFailedRestoreRemovesWhatItCreated(t *testing.T) {
	if testing.Short() {
		t.Skip("fills disks")
	}
	is := is.New(t)
	ctx := t.Context()
	s := storetest.Open(t)
	createMany(t, s, 1000)
	backup := filepath.Join(t.TempDir(), "backup.db")
	is.NoErr(s.Backup(ctx, backup))
	disk := newSmallDisk(t, 100)
	created, empty := filepath.Join(disk.folder, "created.db"), filepath.Join(disk.folder, "empty.db")
	is.NoErr(os.WriteFile(empty, nil, 0o600))
	wantNoSpace(t, store.Restore(ctx, backup, "sqlite://"+created))
	_, err := os.Lstat(created)
	is.True(errors.Is(err, fs.ErrNotExist))
	wantNoSpace(t, store.Restore(ctx, backup, "sqlite://"+empty))
	info, err := os.Lstat(empty)
	is.NoErr(err)
	is.Equal(info.Size(), int64(0))
}

func createMany(t *testing.T, s *store.Store, n int) {
	t.Helper()
	params := make([]store.CreateGenerationParams, n)
	for i := range params {
		params[i] = beat(fmt.Sprintf("prompt %d", i%100))
	}
	_, err := s.CreateGenerations(t.Context(), params)
	is.New(t).NoErr(err)
}
