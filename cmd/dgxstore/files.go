package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgx-music/storage/store"
)

// fileDeleter deletes regular files below one directory. os.Root keeps it inside, even if a symbolic link leads out. It
// never deletes files of the database.
type fileDeleter struct {
	dir      string // absolute
	resolved string // dir without symbolic links
	root     *os.Root
	database string // path of the SQLite file; empty on PostgreSQL
}

type fileError struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

func newFileDeleter(dir string) (*fileDeleter, error) {
	absolute, err := filepath.Abs(dir)
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
	return &fileDeleter{dir: absolute, resolved: resolved, root: root}, nil
}

func (d *fileDeleter) close() { d.root.Close() }

// spare protects the database's own files. It asks SQLite for their path, because the URL may be relative or lead
// through a symbolic link.
func (d *fileDeleter) spare(ctx context.Context, s *store.Store, url string) error {
	if isPostgres(url) {
		return nil
	}
	return s.DB().QueryRow(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&d.database)
}

// delete deletes the files and counts them in the result. It continues after a file that it cannot delete.
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
		return errors.New("not deleted: it is not a regular file")
	}
	for _, file := range own {
		if os.SameFile(info, file) {
			return errors.New("not deleted: it belongs to the database")
		}
	}
	isDatabase, err := d.isDatabase(local)
	if err != nil {
		return err
	}
	if isDatabase {
		return errors.New("not deleted: it is a SQLite database, or SQLite keeps it beside one")
	}
	return d.root.Remove(local)
}

// local returns the path relative to the directory. It fails if the file is not below the directory.
func (d *fileDeleter) local(path string) (string, error) {
	local := filepath.FromSlash(path)
	if filepath.IsAbs(local) {
		absolute := local
		local = below(d.dir, absolute)
		if !filepath.IsLocal(local) {
			if parent, err := filepath.EvalSymlinks(filepath.Dir(absolute)); err == nil {
				local = below(d.resolved, filepath.Join(parent, filepath.Base(absolute)))
			}
		}
	}
	if !filepath.IsLocal(local) {
		return "", fmt.Errorf("not deleted: it is not below %s", d.dir)
	}
	return local, nil
}

// below returns the path relative to dir. It is empty if there is no such path.
func below(dir, path string) string {
	local, err := filepath.Rel(dir, path)
	if err != nil {
		return ""
	}
	return local
}

// isDatabase reports whether a file is a SQLite database, or one that SQLite keeps beside a database. Backups and kept
// copies may have any name, so it goes by how the file begins. A -shm file has no such beginning: it goes by its name.
func (d *fileDeleter) isDatabase(local string) (bool, error) {
	if database, found := strings.CutSuffix(local, "-shm"); found {
		isDatabase, err := d.isDatabase(database)
		if isDatabase || err != nil && !errors.Is(err, fs.ErrNotExist) {
			return isDatabase, err
		}
	}
	file, err := d.root.Open(local)
	if errors.Is(err, fs.ErrPermission) {
		return false, nil // deleting a file needs no permission to read it
	}
	if err != nil {
		return false, err
	}
	defer file.Close()
	start := make([]byte, len(databaseMagics[0]))
	n, err := io.ReadFull(file, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	return slices.ContainsFunc(
		databaseMagics,
		func(magic string) bool { return strings.HasPrefix(string(start[:n]), magic) },
	), nil
}

// databaseMagics are how a database, its log in WAL mode and its rollback journal begin
// (https://www.sqlite.org/fileformat.html, sections 1.3, 3 and 4.1).
var databaseMagics = []string{
	"SQLite format 3\x00", "\x37\x7f\x06\x82", "\x37\x7f\x06\x83", "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",
}

// databaseFiles finds the files of a SQLite database: the file itself, SQLite's files beside it, and the copies that
// the store keeps beside it.
func databaseFiles(path string) (files []fs.FileInfo, err error) {
	if path == "" {
		return nil, nil
	}
	dir, base := filepath.Split(path)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		suffix, found := strings.CutPrefix(entry.Name(), base)
		if !found || !isDatabaseSuffix(suffix) {
			continue
		}
		info, err := os.Stat(filepath.Join(dir, entry.Name()))
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
