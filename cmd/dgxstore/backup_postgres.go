package main

import (
	"context"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/dgx-music/storage/store"
)

// Names as the store gives them to a backup on its way, so that each tidies up behind the other.
const (
	unfinishedSuffix = ".unfinished"
	unfinishedFor    = 24 * time.Hour // how old one is when it surely is of a program that was killed
)

// backupByTransfer makes the file under another name, so that path is whole where it is there. The store has looked at path by
// then.
func (a *app) backupByTransfer(ctx context.Context, path string) error {
	if err := removeUnfinished(path); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+unfinishedSuffix) // mode 0600
	if err != nil {
		return err
	}
	unfinished := file.Name()
	defer func() { // none is there once it has its name
		for _, suffix := range []string{"", "-wal", "-shm"} {
			os.Remove(unfinished + suffix)
		}
	}()
	if err := file.Close(); err != nil { // before SQLite opens it, whose locks this would drop later on
		return err
	}
	to, err := sqliteURL(unfinished)
	if err != nil {
		return err
	}
	bars := &transferBars{app: a}
	_, err = store.Transfer(ctx, a.database, to, store.TransferOptions{Progress: bars.at})
	bars.finish()
	if mismatch, ok := errors.AsType[*store.TransferMismatchError](err); ok {
		return &codedError{exitData, mismatch.Table + " was written to meanwhile, and there is no new backup: stop the writers, or use pg_dump"}
	}
	if err != nil {
		return err
	}
	return renameDurably(unfinished, path)
}

func removeUnfinished(path string) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(entry.Name(), "-wal"), "-shm")
		if !strings.HasPrefix(name, filepath.Base(path)+".") || !strings.HasSuffix(name, unfinishedSuffix) {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) >= unfinishedFor {
			if err := os.Remove(filepath.Join(filepath.Dir(path), entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// renameDurably returns when the file and its new name have reached the disk.
func renameDurably(from, to string) error {
	if err := syncPath(from, os.O_RDWR); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // which syncs no folders
		return nil
	}
	return syncPath(filepath.Dir(to), os.O_RDONLY)
}

func syncPath(path string, flag int) error {
	file, err := os.OpenFile(path, flag, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}

// sqliteURL is the URL of a file, whatever its path holds. The store unescapes a path twice, as dbmate does, and takes one of
// Windows as it is.
func sqliteURL(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if filepath.VolumeName(path) != "" {
		return "sqlite:" + filepath.ToSlash(path), nil
	}
	once := (&url.URL{Path: path}).EscapedPath()
	return "sqlite://" + (&url.URL{Path: once}).EscapedPath(), nil
}
