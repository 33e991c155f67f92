package testkit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/matryer/is"
)

// SmallDisk is a file system of its own with so much room.
type SmallDisk struct{ Folder string }

// SkipUnlessRequired skips a test that needs a small disk. If REQUIRE_SMALL_DISK is set, as in CI, it fails the test.
func SkipUnlessRequired(t *testing.T, why string, err error) {
	t.Helper()
	if os.Getenv("REQUIRE_SMALL_DISK") != "" {
		t.Fatalf("REQUIRE_SMALL_DISK is set, and %s: %v", why, err)
	}
	t.Skipf("%s: %v", why, err)
}

// NewSmallDisk mounts a small disk until the test ends.
func NewSmallDisk(t *testing.T, kibibytes int) SmallDisk {
	t.Helper()
	folder, err := os.MkdirTemp("", "small-disk-") // not t.TempDir, whose parents are for this user alone
	is.New(t).NoErr(err)
	t.Cleanup(func() { os.Remove(folder) })
	d := SmallDisk{folder}
	if err := d.mount(kibibytes, 0); err != nil {
		SkipUnlessRequired(t, "only root can mount a file system", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.Folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Grow makes room.
func (d SmallDisk) Grow(t *testing.T, kibibytes int) {
	t.Helper()
	is.New(t).NoErr(d.mount(kibibytes, syscall.MS_REMOUNT))
}

func (d SmallDisk) mount(kibibytes int, flags uintptr) error {
	return syscall.Mount("tmpfs", d.Folder, "tmpfs", flags, fmt.Sprintf("mode=0777,size=%dk", kibibytes))
}

// Put copies a file to the disk, and returns the path of the copy.
func (d SmallDisk) Put(t *testing.T, from, name string) string {
	t.Helper()
	is := is.New(t)
	data, err := os.ReadFile(from)
	is.NoErr(err)
	path := filepath.Join(d.Folder, name)
	is.NoErr(os.WriteFile(path, data, 0o600))
	return path
}

// WantNoSpace fails the test unless the system or SQLite says by err that the disk is full.
func WantNoSpace(t *testing.T, err error) {
	t.Helper()
	const full = 13 // SQLITE_FULL
	if lite, ok := errors.AsType[interface {
		error
		Code() int
	}](err); ok && lite.Code()&0xff == full {
		return
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("%v is not that the disk is full", err)
	}
}

// SizeInKibibytes returns the size of a file, rounded up.
func SizeInKibibytes(t *testing.T, path string) int {
	t.Helper()
	info, err := os.Stat(path)
	is.New(t).NoErr(err)
	return int(info.Size()>>10) + 1
}
