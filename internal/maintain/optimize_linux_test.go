package maintain_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// If there is no room for the log that brings the copy back, nothing is changed, and the store goes on.
func TestVacuumOnAFullDisk(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes much")
	}
	is := is.New(t)
	ctx := t.Context()
	disk := testkit.NewSmallDisk(t, 100_000)
	path := filepath.Join(disk.Folder, "generations.db")
	s, err := store.Open(ctx, store.Options{URL: "sqlite://" + path, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	testkit.CreateMany(t, s, 5000)
	is.NoErr(s.Optimize(ctx, store.OptimizeParams{})) // the log is empty
	disk.Grow(t, testkit.SizeInKibibytes(t, path)*3/2)
	testkit.WantNoSpace(t, s.Optimize(ctx, store.OptimizeParams{Vacuum: true}))
	disk.Grow(t, 100_000)
	wantAll(t, s, 5000)
	testkit.CreateMany(t, s, 10)
	is.NoErr(s.Optimize(ctx, store.OptimizeParams{Vacuum: true}))
	wantAll(t, s, 5010)
}

// The same if there is no room for the copy, which is in the directory for temporary files. SQLite asks for that
// directory once in a process.
func TestVacuumWithoutRoomForTheCopy(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("writes much")
	}
	is := is.New(t)
	url := "sqlite://" + filepath.Join(t.TempDir(), "generations.db")
	s, err := store.Open(t.Context(), store.Options{URL: url, Migrate: true})
	is.NoErr(err)
	defer s.Close()
	testkit.CreateMany(t, s, 5000)
	testkit.Exec(t, s, "UPDATE generations SET error_message = printf('%12000s', id)") // more than SQLite holds in memory
	disk := testkit.NewSmallDisk(t, 500)
	vacuum := func() (said string, err error) {
		var stderr strings.Builder
		cmd := testkit.InProcess(t, "vacuum", url)
		cmd.Env = append(cmd.Env, "SQLITE_TMPDIR="+disk.Folder)
		cmd.Stderr = &stderr
		err = cmd.Run()
		return stderr.String(), err
	}
	said, err := vacuum()
	is.True(err != nil && strings.HasPrefix(said, "store: optimize: the disk is full"))
	wantAll(t, s, 5000)
	disk.Grow(t, 200_000)
	_, err = vacuum()
	is.NoErr(err)
	wantAll(t, s, 5000)
}

// wantAll fails the test if a generation is missing, or anything else is wrong.
func wantAll(t *testing.T, s *store.Store, generations int64) {
	t.Helper()
	is := is.New(t)
	count, err := s.CountGenerations(t.Context(), "")
	is.NoErr(err)
	is.Equal(count, generations)
	is.Equal(checked(t, s, ""), []store.Finding{})
}
