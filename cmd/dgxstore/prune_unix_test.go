//go:build unix

package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/matryer/is"
)

// Prune deletes regular files only. It neither deletes a FIFO nor waits for another process to write to it.
func TestPruneRefusesFIFO(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		root := t.TempDir()
		fifo := filepath.Join(root, "fifo.wav")
		is.NoErr(syscall.Mkfifo(fifo, 0o600))
		is.NoErr(os.WriteFile(filepath.Join(root, "audio.wav"), nil, 0o600))
		past := openAt(t, url, time.Now().AddDate(0, -4, 0))
		for _, path := range []string{"fifo.wav", "audio.wav"} {
			params := beat("old")
			params.FilePath = path
			createCompleted(t, past, params)
		}
		var report pruned
		r := dgxstore(t, "prune", "--older-than", "90d", "--delete-files", "--files-root", root,
			"--yes", "--json", "--database", url)
		is.Equal(r.code, exitError)
		r.decode(t, &report)
		is.Equal(report.DeletedFiles, int64(1))
		is.Equal(report.FileErrors, []fileError{{"fifo.wav", "not deleted: it is not a regular file"}})
		is.True(exists(fifo))
	})
}
