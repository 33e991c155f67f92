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

// outputs is the folder of the audio. Each batch has a folder of its own in it, named by the batch's ID. So the folder
// also tells which batches are this program's own.
type outputs struct {
	path     string // as it was given
	absolute string
	root     *os.Root // cannot be left, by symbolic links neither
}

// errRefused is the error of a file path that this program must not write to.
var errRefused = errors.New("the file path was refused")

func openOutputs(folder string) (*outputs, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	absolute, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	return &outputs{path: filepath.ToSlash(folder), absolute: absolute, root: root}, nil
}

func (o *outputs) close() { o.root.Close() }

// newBatch makes the folder of a new batch.
func (o *outputs) newBatch() (uuid.UUID, error) {
	batch, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, err
	}
	return batch, o.root.Mkdir(batch.String(), 0o755)
}

// batches are those that have a folder.
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

// pathOf is the file path of a generation.
func (o *outputs) pathOf(batch, id uuid.UUID) string {
	return path.Join(o.path, batch.String(), id.String()+".wav")
}

// write makes the audio file of a generation and returns its size in bytes. The file appears when it is complete. Its
// path comes from the database, where others may have changed it: outside the batch's folder, write returns errRefused.
func (o *outputs) write(g store.Generation, encode func(*os.File) error) (size int64, err error) {
	folder, name, err := o.place(g)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errRefused, err)
	}
	defer folder.Close()
	// The attempt's number keeps two workers apart if one has lost its lease and does not know it yet.
	unfinished := name + "." + strconv.FormatInt(g.Attempt, 10)
	file, err := folder.OpenFile(unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	defer func() {
		file.Close()
		if err != nil {
			_ = folder.Remove(unfinished)
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
	return info.Size(), folder.Rename(unfinished, name)
}

// place opens the folder of the generation's batch, and finds the file's name in it.
func (o *outputs) place(g store.Generation) (folder *os.Root, name string, err error) {
	absolute, err := filepath.Abs(filepath.FromSlash(g.FilePath))
	if err != nil {
		return nil, "", err
	}
	batch := g.BatchID.String()
	name, err = filepath.Rel(filepath.Join(o.absolute, batch), absolute)
	if err != nil || filepath.Dir(name) != "." || !filepath.IsLocal(name) {
		return nil, "", fmt.Errorf("it names no file in %s", path.Join(o.path, batch))
	}
	folder, err = o.root.OpenRoot(batch)
	if err != nil {
		return nil, "", err
	}
	info, err := folder.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("what is there is no regular file")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		folder.Close()
		return nil, "", err
	}
	return folder, name, nil
}
