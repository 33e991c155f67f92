package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// fileDeleter deletes files below one folder, and cannot be led out of it: os.Root sees to that, for links, too.
type fileDeleter struct {
	folder string // absolute
	root   *os.Root
}

type fileError struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

func newFileDeleter(folder string) (*fileDeleter, error) {
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(absolute)
	if err != nil {
		return nil, usageError(fmt.Sprintf("--files-root: %v", err))
	}
	return &fileDeleter{folder: absolute, root: root}, nil
}

func (d *fileDeleter) close() { d.root.Close() }

// delete goes on past what cannot be deleted, and puts everything into the result.
func (d *fileDeleter) delete(paths []string, result *pruned) {
	for _, path := range paths {
		err := d.deleteOne(path)
		switch {
		case err == nil:
			result.DeletedFiles++
		case errors.Is(err, fs.ErrNotExist):
			result.MissingFiles++
		default:
			result.FileErrors = append(result.FileErrors, fileError{path, err.Error()})
		}
	}
}

func (d *fileDeleter) deleteOne(path string) error {
	local := filepath.FromSlash(path)
	if filepath.IsAbs(local) {
		var err error
		if local, err = filepath.Rel(d.folder, local); err != nil {
			return err
		}
	}
	if !filepath.IsLocal(local) {
		return fmt.Errorf("it is not below %s, and was left alone", d.folder)
	}
	info, err := d.root.Lstat(local)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return errors.New("it is a folder, and was left alone")
	}
	return d.root.Remove(local)
}
