package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/store"
)

// outputs is the directory of the audio. Each batch has a subdirectory that is named after its ID. So the directory
// also records which batches belong to this program.
type outputs struct {
	path     string // as given, with slashes
	absolute string
	root     *os.Root // not even a symbolic link leads out of it
}

// errRefused is the error of a file path that this program must not write to.
var errRefused = errors.New("the file path was refused")

func openOutputs(dir string) (*outputs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &outputs{path: filepath.ToSlash(dir), absolute: absolute, root: root}, nil
}

func (o *outputs) close() { o.root.Close() }

// newBatch makes the directory of a new batch.
func (o *outputs) newBatch() (uuid.UUID, error) {
	batch, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, err
	}
	return batch, o.root.Mkdir(batch.String(), 0o755)
}

// batches returns the batches that have a directory.
func (o *outputs) batches() (batches []uuid.UUID, err error) {
	entries, err := fs.ReadDir(o.root.FS(), ".")
	for _, entry := range entries {
		batch, parseErr := uuid.Parse(entry.Name())
		if parseErr == nil && entry.IsDir() && entry.Name() == batch.String() {
			batches = append(batches, batch)
		}
	}
	return batches, err
}

// pathOf returns the file path of a generation.
func (o *outputs) pathOf(batch, id uuid.UUID) string {
	return path.Join(o.path, batch.String(), id.String()+".wav")
}

// write writes the audio file of a generation and returns its size in bytes. The file appears when it is complete. Its
// path comes from the database, where another program may have changed it. If it is outside the batch's directory,
// write returns errRefused.
func (o *outputs) write(g store.Generation, encode func(*os.File) error) (size int64, err error) {
	dir, name, err := o.locate(g)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errRefused, err)
	}
	defer dir.Close()
	// The attempt is in the name, because a worker that lost its lease may still be writing.
	unfinished := name + "." + strconv.FormatInt(g.Attempt, 10)
	file, err := dir.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() {
		file.Close()
		if err != nil {
			_ = dir.Remove(unfinished)
		}
	}()
	if err := encode(file); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if err := file.Close(); err != nil {
		return 0, err
	}
	return info.Size(), dir.Rename(unfinished, name)
}

// locate opens the directory of the generation's batch, and returns the file's name in it.
func (o *outputs) locate(g store.Generation) (dir *os.Root, name string, err error) {
	absolute, err := filepath.Abs(filepath.FromSlash(g.FilePath))
	if err != nil {
		return nil, "", err
	}
	batch := g.BatchID.String()
	name, err = filepath.Rel(filepath.Join(o.absolute, batch), absolute)
	if err != nil || filepath.Dir(name) != "." || !filepath.IsLocal(name) {
		return nil, "", fmt.Errorf("not a file in %s", path.Join(o.path, batch))
	}
	dir, err = o.root.OpenRoot(batch)
	if err != nil {
		return nil, "", err
	}
	info, err := dir.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		dir.Close()
		return nil, "", err
	}
	return dir, name, nil
}
