package maintain

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// checkedFiles is the directory of the audio files during a check. It is nil if the caller has given none.
type checkedFiles struct {
	*filesRoot
	began time.Time

	// named has a hash of each path that a generation names. With a million files, two paths have the same hash in one of
	// 10^7 runs. That would hide an orphan, but never report a wrong one.
	seed  maphash.Seed
	named map[uint64]struct{}
}

// openFiles opens the directory of the audio files.
func openFiles(path string, own []string) (*checkedFiles, error) {
	if path == "" {
		return nil, nil
	}
	root, err := openRoot(path, own)
	if err != nil {
		return nil, err
	}
	return &checkedFiles{
		filesRoot: root, began: time.Now(), seed: maphash.MakeSeed(), named: make(map[uint64]struct{}),
	}, nil
}

func (f *checkedFiles) close() {
	if f != nil {
		f.Close()
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

// inspect returns what is wrong with the file of a completed generation, or the zero Finding.
func (f *checkedFiles) inspect(name string, size *int64) engine.Finding {
	info, err := f.Stat(name)
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
	name, err := files.name(row.FilePath)
	if err != nil {
		found(engine.Finding{
			Kind: engine.FindingFilePath, ID: row.ID.String(),
			Detail: "the file path " + err.Error() + ", and was not followed",
		})
		return nil
	}
	files.named[files.hash(name)] = struct{}{}
	if row.Status != storagedb.StatusCompleted || files.inspect(name, row.FileSizeBytes) == (engine.Finding{}) {
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
	name, err = files.name(current.FilePath)
	if err != nil || current.Status != storagedb.StatusCompleted {
		return nil
	}
	if wrong := files.inspect(name, current.FileSizeBytes); wrong != (engine.Finding{}) {
		wrong.ID = row.ID.String()
		found(wrong)
	}
	return nil
}

// filesPage is how many entries of a directory are read at a time.
const filesPage = 1000

// orphans walks the directory after all generations were read, and finds the files that none of them names. If there
// are any, it reads the generations again: one that was created meanwhile may name an older file, and another may name
// a file by a link, a hard link or, if the file system ignores case, in other letters.
func (c checker) orphans(ctx context.Context, found func(engine.Finding)) error {
	files := c.files
	if files == nil {
		return nil
	}
	unnamed := make(map[fileID][]string)
	if err := files.walk(ctx, func(name string) error {
		if files.isNamed(name) {
			return nil
		}
		info, err := files.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		if id, ok := files.identify(name); ok && info.ModTime().Before(files.began) && !files.own[id] {
			unnamed[id] = append(unnamed[id], name)
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
			name, err := files.name(row.FilePath)
			if err != nil {
				continue // it was reported in the first walk
			}
			files.named[files.hash(name)] = struct{}{}
			if id, ok := files.identify(name); ok {
				delete(unnamed, id)
			}
		}
	}
	for _, name := range slices.Sorted(slices.Values(slices.Concat(slices.Collect(maps.Values(unnamed))...))) {
		if files.isNamed(name) {
			continue
		}
		if _, err := files.Lstat(name); !errors.Is(err, fs.ErrNotExist) { // else it was deleted after its generation
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
	directory, err := f.Open(name)
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
