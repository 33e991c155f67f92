package maintain

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgx-music/storage/internal/dberr"
)

// filesRoot is the directory that file paths are relative to. Its methods look at nothing outside, except sameFile.
type filesRoot struct {
	*os.Root
	paths []string // the absolute path, with its symbolic links resolved and as given
	own   map[fileID]bool
}

// fileID is the identity of a file on this machine, whatever path names it: the device and the inode.
type fileID struct{ device, inode uint64 }

var errOutside = errors.New("leads out of the root")

// openRoot opens the directory at path. own are the paths of the database's own files.
func openRoot(path string, own []string) (*filesRoot, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, dberr.Invalid("files_root", "does not exist")
	case err != nil:
		return nil, dberr.Invalid("files_root", "cannot be accessed: "+withoutPath(err))
	case !info.IsDir():
		return nil, dberr.Invalid("files_root", "is not a directory")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	resolved, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, dberr.Invalid("files_root", "cannot be opened: "+withoutPath(err))
	}
	files := &filesRoot{Root: root, paths: []string{resolved, absolute}, own: make(map[fileID]bool)}
	for _, file := range own {
		if id, err := identifyPath(file); err == nil {
			files.own[id] = true
		}
	}
	return files, nil
}

// withoutPath returns the text of a system's error without the path, which a finding names elsewhere or must not name.
func withoutPath(err error) string {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	return err.Error()
}

// name returns a file_path relative to the root. It returns errOutside if the path is not below the root by its text:
// what an absolute path elsewhere leads to is not looked at.
func (r *filesRoot) name(filePath string) (string, error) {
	path := filepath.FromSlash(filePath)
	if filepath.IsAbs(path) {
		if name, below := r.below(path); below {
			return name, nil
		}
		return "", errOutside
	}
	if !filepath.IsLocal(path) {
		return "", errOutside
	}
	return filepath.Clean(path), nil
}

// below returns the name of an absolute path relative to the root. ok reports whether the path is below the root.
func (r *filesRoot) below(absolute string) (name string, ok bool) {
	for _, path := range r.paths {
		if name, err := filepath.Rel(path, absolute); err == nil && filepath.IsLocal(name) {
			return name, true
		}
	}
	return "", false
}

// identify returns the identity of the file that a name leads to, or ok=false if that is no file below the root.
// os.Root follows no absolute symbolic link, so that identify follows those that lead below the root itself.
func (r *filesRoot) identify(name string) (id fileID, ok bool) {
	info, err := r.Stat(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		if name, ok = r.resolve(name); !ok {
			return fileID{}, false
		}
		info, err = r.Stat(name)
	}
	if err != nil {
		return fileID{}, false
	}
	id, err = identify(info, func() (*os.File, error) { return r.Open(name) })
	return id, err == nil
}

// maxLinks is how many symbolic links resolve follows. It is Linux's own limit.
const maxLinks = 40

// resolve replaces the symbolic links in a name by their targets. ok=false if one leads out of the root.
func (r *filesRoot) resolve(name string) (resolved string, ok bool) {
	const separator = string(filepath.Separator)
	resolved = "."
	links := 0
	for rest := strings.Split(name, separator); len(rest) > 0; {
		resolved, rest = filepath.Join(resolved, rest[0]), rest[1:] // Join also takes ".." back
		if !filepath.IsLocal(resolved) {
			return "", false
		}
		target, err := r.Readlink(resolved)
		if err != nil {
			continue // no link
		}
		if links++; links > maxLinks {
			return "", false
		}
		resolved = filepath.Dir(resolved)
		if filepath.IsAbs(target) {
			if target, ok = r.below(target); !ok {
				return "", false
			}
			resolved = "."
		}
		rest = append(strings.Split(target, separator), rest...)
	}
	return resolved, true
}

// filesOf returns the identities of the files that the file_path of a remaining generation may lead to. Unlike the
// other methods it follows the path wherever it leads: that may be a file below the root. It only compares.
func (r *filesRoot) filesOf(filePath string) []fileID {
	path := filepath.FromSlash(filePath)
	if !filepath.IsAbs(path) {
		path = r.paths[0] + string(filepath.Separator) + path // not Join, which takes ".." for the parent in the text
	}
	paths := []string{path}
	if strings.Contains(path, "..") { // after a symbolic link, the system and Join mean different directories
		paths = append(paths, filepath.Clean(path))
	}
	var ids []fileID
	for _, path := range paths {
		if id, err := identifyPath(path); err == nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// identifyPath returns the identity of the regular file that a path leads to.
func identifyPath(path string) (fileID, error) {
	info, err := os.Stat(path)
	if err != nil {
		return fileID{}, err
	}
	if !info.Mode().IsRegular() {
		return fileID{}, fs.ErrInvalid
	}
	return identify(info, func() (*os.File, error) { return os.Open(path) })
}
