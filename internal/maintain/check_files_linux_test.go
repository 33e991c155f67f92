package maintain_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

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
	defer withoutPrivileges(t)()
	is.Equal(checked(t, s, folder), []store.Finding{
		{Kind: store.FindingFilePath, ID: "private"},
		{Kind: store.FindingOrphanFile, ID: "orphan.wav"},
		{Kind: store.FindingOrphanFile, ID: "public/b.wav"},
	})
}

// withoutPrivileges makes the test's thread an ordinary user for files, until the returned function is called.
func withoutPrivileges(t *testing.T) func() {
	t.Helper()
	if os.Getuid() != 0 {
		return func() {}
	}
	runtime.LockOSThread() // and never unlocked, so that the thread ends with the test
	if err := syscall.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	return func() { _ = syscall.Setfsuid(0) }
}

// Prune says which files it could not delete, and deletes the others.
func TestPruneReportsWhatItMayNotDelete(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	clock := testkit.NewClock()
	s := testkit.Postgres.Open(t, store.Options{Now: clock.Now})
	root, err := os.MkdirTemp("", "audio-")
	is.NoErr(err)
	t.Cleanup(func() { os.RemoveAll(root) })
	for _, folder := range []string{"own", "others"} {
		is.NoErr(os.Chmod(wav(t, root, folder, "a.wav"), 0o644))
		ended(t, s, "old", folder+"/a.wav", store.StatusCompleted)
	}
	is.NoErr(os.Chmod(wav(t, root, "private.wav"), 0o000))
	ended(t, s, "old", "private.wav", store.StatusCompleted)
	clock.Advance(time.Hour)
	is.NoErr(os.Chmod(root, 0o755))
	is.NoErr(os.Chmod(filepath.Join(root, "own"), 0o777))
	is.NoErr(os.Chmod(filepath.Join(root, "others"), 0o555))
	t.Cleanup(func() { os.Chmod(filepath.Join(root, "others"), 0o755) })
	defer withoutPrivileges(t)()
	report, err := s.Prune(t.Context(), store.PruneParams{OlderThan: time.Minute, FilesRoot: root, DeleteFiles: true})
	is.NoErr(err)
	is.Equal(report.FilePaths, []string{"own/a.wav"})
	is.Equal(report.DeletedFiles, int64(1))
	is.Equal(report.KeptFiles, []store.KeptFile{
		{Path: "others/a.wav", Reason: "it cannot be deleted: permission denied"},
		{Path: "private.wav", Reason: "it cannot be accessed: permission denied"},
	})
}
