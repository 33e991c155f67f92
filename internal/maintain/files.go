package maintain

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// checkedFiles is the directory of the audio files during a check. It is nil if the caller has given none.
type checkedFiles struct {
	root  *os.Root
	paths []string // the root's absolute path, with its symbolic links resolved and as given
	began time.Time
	own   map[string]bool // the database's own files below the root

	// named has a hash of each path that a generation names. With a million files, two paths have the same hash in one of
	// 10^7 runs. That would hide an orphan, but never report a wrong one.
	seed  maphash.Seed
	named map[uint64]struct{}

	directory, resolved string // the last directory whose symbolic links were resolved, and the result
}

// openFiles opens the directory of the audio files.
func openFiles(path string, own []string) (*checkedFiles, error) {
	if path == "" {
		return nil, nil
	}
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
	real, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, dberr.Invalid("files_root", "cannot be opened: "+withoutPath(err))
	}
	files := &checkedFiles{
		root: root, paths: []string{real, absolute}, began: time.Now(), own: make(map[string]bool),
		seed: maphash.MakeSeed(), named: make(map[uint64]struct{}),
	}
	for _, file := range own {
		if absolute, err := filepath.Abs(file); err == nil {
			if name, below := files.below(absolute); below {
				files.own[name] = true
			}
			if name, below := files.below(resolveLinks(absolute)); below {
				files.own[name] = true
			}
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

// resolveLinks returns the target of a path, or the path itself if it has none.
func resolveLinks(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return path
}

func (f *checkedFiles) close() {
	if f != nil {
		f.root.Close()
	}
}

// below returns the name of an absolute path relative to the root. ok reports whether the path is below the root.
func (f *checkedFiles) below(absolute string) (name string, ok bool) {
	for _, path := range f.paths {
		if name, err := filepath.Rel(path, absolute); err == nil && filepath.IsLocal(name) {
			return name, true
		}
	}
	return "", false
}

// locate returns the name of a file_path relative to the root, or its absolute path if it is not below the root.
func (f *checkedFiles) locate(filePath string) (name, elsewhere string, err error) {
	path := filepath.FromSlash(filePath)
	if filepath.IsAbs(path) {
		if name, below := f.below(filepath.Clean(path)); below {
			return name, "", nil
		}
		return "", path, nil
	}
	if !filepath.IsLocal(path) {
		return "", "", errors.New("leads out of the root")
	}
	return filepath.Clean(path), "", nil
}

// note records that a generation names a file, under its name and under the target of its symbolic links.
func (f *checkedFiles) note(name string, isLink bool) {
	f.named[f.hash(name)] = struct{}{}
	if directory := filepath.Dir(name); directory != f.directory {
		f.directory, f.resolved = directory, resolveLinks(filepath.Join(f.paths[0], directory))
	}
	path := filepath.Join(f.resolved, filepath.Base(name))
	if isLink {
		path = resolveLinks(path)
	}
	if resolved, below := f.below(path); below {
		f.named[f.hash(resolved)] = struct{}{}
	}
}

func (f *checkedFiles) hash(name string) uint64 {
	return maphash.String(f.seed, name)
}

// isNamed reports whether a generation names the file.
func (f *checkedFiles) isNamed(name string) bool {
	_, named := f.named[f.hash(name)]
	return named
}

// noteFilePath records a file_path, and returns the file's info. It does not follow a symbolic link below the root.
func (f *checkedFiles) noteFilePath(filePath string) (name, elsewhere string, info fs.FileInfo, err error) {
	name, elsewhere, err = f.locate(filePath)
	if err != nil || elsewhere != "" {
		return name, elsewhere, nil, err
	}
	info, lstatErr := f.root.Lstat(name)
	f.note(name, lstatErr == nil && info.Mode()&fs.ModeSymlink != 0)
	return name, "", info, nil
}

// inspect returns what is wrong with the file of a completed generation, or the zero Finding.
func (f *checkedFiles) inspect(name, elsewhere string, info fs.FileInfo, size *int64) engine.Finding {
	var err error
	switch {
	case elsewhere != "":
		info, err = os.Stat(elsewhere)
	case info == nil || info.Mode()&fs.ModeSymlink != 0:
		info, err = f.root.Stat(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return engine.Finding{Kind: engine.FindingMissingFile, Detail: "the file does not exist"}
	case err != nil:
		return engine.Finding{Kind: engine.FindingMissingFile, Detail: "the file cannot be accessed: " + withoutPath(err)}
	case !info.Mode().IsRegular():
		return engine.Finding{Kind: engine.FindingMissingFile, Detail: "the path is not that of a regular file"}
	case size != nil && *size != info.Size():
		detail := fmt.Sprintf("file_size_bytes is %d, the file has %d", *size, info.Size())
		return engine.Finding{Kind: engine.FindingFileSize, Detail: detail}
	}
	return engine.Finding{}
}

// file checks the file of a generation.
func (c checker) file(ctx context.Context, row storagedb.GenerationsToCheckRow, found func(engine.Finding)) error {
	files := c.files
	if files == nil {
		return nil
	}
	name, elsewhere, info, err := files.noteFilePath(row.FilePath)
	if err != nil {
		found(engine.Finding{
			Kind: engine.FindingFilePath, ID: row.ID.String(),
			Detail: "the file path " + err.Error() + ", and was not followed",
		})
		return nil
	}
	if row.Status != storagedb.StatusCompleted {
		return nil
	}
	if files.inspect(name, elsewhere, info, row.FileSizeBytes) == (engine.Finding{}) {
		return nil
	}
	// Another caller may have deleted the generation meanwhile, or completed it again.
	var current storagedb.Generation
	err = c.engine.Read(ctx, func(q engine.Queries) (err error) {
		current, err = q.GetGeneration(ctx, row.ID)
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	name, elsewhere, info, err = files.noteFilePath(current.FilePath)
	if err != nil || current.Status != storagedb.StatusCompleted {
		return nil
	}
	if wrong := files.inspect(name, elsewhere, info, current.FileSizeBytes); wrong != (engine.Finding{}) {
		wrong.ID = row.ID.String()
		found(wrong)
	}
	return nil
}

// filesPage is how many entries of a directory are read at a time.
const filesPage = 1000

// orphans walks the directory after all generations were read, and finds the files that none of them names. If there
// are any, it reads the generations again: one that was created meanwhile may name an older file.
func (c checker) orphans(ctx context.Context, found func(engine.Finding)) error {
	files := c.files
	if files == nil {
		return nil
	}
	var unnamed []string
	if err := files.walk(ctx, func(name string) error {
		if files.own[name] || files.isNamed(name) {
			return nil
		}
		info, err := files.root.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // deleted meanwhile
		case err != nil:
			return err
		case info.ModTime().Before(files.began):
			unnamed = append(unnamed, name)
		}
		return nil
	}, found); err != nil || len(unnamed) == 0 {
		return err
	}
	for page, err := range filePathPages(ctx, c.engine) {
		if err != nil {
			return err
		}
		for _, row := range page {
			_, _, _, _ = files.noteFilePath(row.FilePath) // a path that leads out was reported in the first walk
		}
	}
	for _, name := range unnamed {
		if files.isNamed(name) {
			continue
		}
		if _, err := files.root.Lstat(name); !errors.Is(err, fs.ErrNotExist) { // else it was deleted after its generation
			found(engine.Finding{
				Kind: engine.FindingOrphanFile, ID: filepath.ToSlash(name), Detail: "no generation names the file",
			})
		}
	}
	return nil
}

// walk calls each with the name of each regular file below the root. It reads the entries of a directory page by page,
// and does not follow symbolic links. It reports a directory that this user may not read, such as lost+found.
func (f *checkedFiles) walk(ctx context.Context, each func(name string) error, found func(engine.Finding)) error {
	for directories := []string{"."}; len(directories) > 0; {
		directory := directories[len(directories)-1]
		directories = directories[:len(directories)-1]
		below, err := f.walkDirectory(ctx, directory, each)
		if errors.Is(err, fs.ErrPermission) {
			found(engine.Finding{
				Kind: engine.FindingFilePath, ID: filepath.ToSlash(directory),
				Detail: "the directory cannot be read: " + withoutPath(err),
			})
			continue
		}
		if err != nil {
			return err
		}
		directories = append(directories, below...)
	}
	return nil
}

// walkDirectory calls each for the regular files of one directory, and returns its directories.
func (f *checkedFiles) walkDirectory(
	ctx context.Context, name string, each func(name string) error,
) (directories []string, err error) {
	directory, err := f.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // deleted meanwhile
	}
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries, err := directory.ReadDir(filesPage)
		for _, entry := range entries {
			path := filepath.Join(name, entry.Name())
			if entry.IsDir() {
				directories = append(directories, path)
			} else if entry.Type().IsRegular() {
				if err := each(path); err != nil {
					return nil, err
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return directories, nil
		}
		if err != nil {
			return nil, err
		}
	}
}
