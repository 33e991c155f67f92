package maintain_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// A directory that may not be read, such as lost+found, does not keep Check from what is beside it.
func TestCheckPassesOverAFolderThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.Postgres.Open(t)             // which opens no file of its own
	folder, err := os.MkdirTemp("", "audio-") // not t.TempDir, whose parents are for this user alone
	is.NoErr(err)
	t.Cleanup(func() { os.RemoveAll(folder) })
	is.NoErr(os.Chmod(folder, 0o755))
	audio(t, 1, folder, "orphan.wav")
	audio(t, 1, folder, "private", "a.wav")
	audio(t, 1, folder, "public", "b.wav")
	is.NoErr(os.Chmod(filepath.Join(folder, "private"), 0o000))
	if os.Getuid() == 0 { // who may read everything, unless this thread's files are another user's
		runtime.LockOSThread() // and never unlocked, so that the thread ends with the test
		is.NoErr(syscall.Setfsuid(65534))
		defer syscall.Setfsuid(0)
	}
	is.Equal(checked(t, s, folder), []store.Finding{
		{Kind: store.FindingFilePath, ID: "private"},
		{Kind: store.FindingOrphanFile, ID: "orphan.wav"},
		{Kind: store.FindingOrphanFile, ID: "public/b.wav"},
	})
}
