//go:build unix

package sqlitefile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// A named pipe stands for everything that is no regular file, devices too. Nothing opens it, and nothing removes it.
func TestSpecialFileIsNoDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s := storetest.Open(t)
	backup := filepath.Join(t.TempDir(), "backup.db")
	is.NoErr(s.Backup(ctx, backup))
	pipe := filepath.Join(t.TempDir(), "pipe")
	is.NoErr(syscall.Mkfifo(pipe, 0o600))
	link := filepath.Join(t.TempDir(), "link")
	is.NoErr(os.Symlink(pipe, link))
	for _, path := range []string{pipe, link} {
		url := "sqlite://" + path
		for name, call := range map[string]func() error{
			"restore": func() error { return store.Restore(ctx, backup, url) },
			"migrate": func() error { return store.Migrate(ctx, url) },
			"reset":   func() error { return store.Reset(ctx, url) },
			"status": func() error {
				_, err := store.MigrationStatus(ctx, url)
				return err
			},
			"roll back": func() error { return store.Rollback(ctx, url) },
			"open": func() error {
				_, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
				return err
			},
		} {
			err := call()
			if err == nil || !strings.Contains(err.Error(), "is not a regular file") {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
	testkit.WantInvalid(t, s.Backup(ctx, pipe), "path")
	info, err := os.Lstat(pipe)
	is.NoErr(err)
	is.Equal(info.Mode().Type(), fs.ModeNamedPipe)
}
