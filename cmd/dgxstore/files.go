package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgx-music/storage/store"
)

// fileDeleter deletes regular files below one folder. os.Root keeps it inside, even if a symbolic link leads out. It
// leaves the files of the database alone.
type fileDeleter struct {
	folder   string // absolute
	resolved string // the same without symbolic links
	root     *os.Root
	database string // the path of the SQLite file; empty if there is none
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
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		root.Close()
		return nil, err
	}
	return &fileDeleter{folder: absolute, resolved: resolved, root: root}, nil
}

func (d *fileDeleter) close() { d.root.Close() }

// spare keeps the deleter from the database's own files. It asks SQLite for their path, because the URL may be relative
// or lead through a symbolic link.
func (d *fileDeleter) spare(ctx context.Context, s *store.Store, url string) error {
	if isPostgres(url) {
		return nil
	}
	return s.DB().QueryRow(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&d.database)
}

// delete goes on after a file that cannot be deleted, and puts everything into the result.
func (d *fileDeleter) delete(paths []string, result *pruned) {
	own, err := databaseFiles(d.database)
	for _, path := range paths {
		err := err
		if err == nil {
			err = d.deleteOne(path, own)
		}
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

func (d *fileDeleter) deleteOne(path string, own []fs.FileInfo) error {
	local, err := d.local(path)
	if err != nil {
		return err
	}
	info, err := d.root.Lstat(local)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file, and was left alone")
	}
	for _, file := range own {
		if os.SameFile(info, file) {
			return errors.New("it belongs to the database itself, and was left alone")
		}
	}
	isDatabase, err := d.isDatabase(local)
	if err != nil {
		return err
	}
	if isDatabase {
		return errors.New("it is a SQLite database, and was left alone")
	}
	return d.root.Remove(local)
}

// local returns the name of a file below the folder.
func (d *fileDeleter) local(path string) (string, error) {
	local := filepath.FromSlash(path)
	if filepath.IsAbs(local) {
		absolute := local
		local = below(d.folder, absolute)
		if !filepath.IsLocal(local) {
			if parent, err := filepath.EvalSymlinks(filepath.Dir(absolute)); err == nil {
				local = below(d.resolved, filepath.Join(parent, filepath.Base(absolute)))
			}
		}
	}
	if !filepath.IsLocal(local) {
		return "", fmt.Errorf("it is not below %s, and was left alone", d.folder)
	}
	return local, nil
}

// below is the path relative to the folder, or empty if there is none.
func below(folder, path string) string {
	local, err := filepath.Rel(folder, path)
	if err != nil {
		return ""
	}
	return local
}

// isDatabase reports whether a file begins as a SQLite database does: backups and kept copies may have any name.
func (d *fileDeleter) isDatabase(local string) (bool, error) {
	file, err := d.root.Open(local)
	if errors.Is(err, fs.ErrPermission) {
		return false, nil // to delete a file takes no right to read it
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	const magic = "SQLite format 3\x00" // https://www.sqlite.org/fileformat.html#the_database_header
	start := make([]byte, len(magic))
	if _, err := io.ReadFull(file, start); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return string(start) == magic, nil
}

// databaseFiles finds the files of a SQLite database: the file itself, what SQLite keeps beside it, and the copies that
// the store keeps beside it.
func databaseFiles(path string) (files []fs.FileInfo, err error) {
	if path == "" {
		return nil, nil
	}
	folder, base := filepath.Split(path)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		suffix, found := strings.CutPrefix(entry.Name(), base)
		if !found || !isDatabaseSuffix(suffix) {
			continue
		}
		info, err := os.Stat(filepath.Join(folder, entry.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files = append(files, info)
	}
	return files, nil
}

func isDatabaseSuffix(suffix string) bool {
	switch suffix {
	case "", "-wal", "-shm", "-journal":
		return true
	}
	isUnfinished := strings.HasPrefix(suffix, ".") && strings.Contains(suffix, ".unfinished")
	return isUnfinished || strings.HasPrefix(suffix, ".before-v2")
}
