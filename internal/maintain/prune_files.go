package maintain

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// filesTimeout limits files after the context of Prune has ended.
const filesTimeout = 10 * time.Second

// Why a file stays.
const (
	keptInUse      = "a remaining generation names the same file"
	keptOutside    = "it is not below the files root"
	keptAbsolute   = "its path is absolute, and no files root is given"
	keptNotRegular = "it is not a regular file"
	keptOwn        = "it belongs to the database"
	keptName       = "its name is not that of an audio file"
	keptContent    = "its content is not audio"
	keptReplaced   = "another program has replaced it meanwhile"
	keptStopped    = "prune was stopped before"
)

// prunedFile is the audio file of a deleted generation.
type prunedFile struct {
	path string // as the generation named it
	id   fileID
}

// files finds out which files of deleted generations may be deleted, and deletes them if that is wanted. It runs even
// if ctx has ended.
func (p *pruner) files(ctx context.Context, stopped error) error {
	if len(p.paths) == 0 {
		return nil
	}
	if stopped != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), filesTimeout)
		defer cancel()
	}
	// The files before the rows, so that a file's identity is known when the walk comes to another path of it.
	files, kept, missing, err := p.examine(ctx)
	if err != nil {
		return err
	}
	inUse := make(map[fileID]bool, len(files)) // whether a remaining generation names the file
	if p.root != nil {
		for _, file := range files {
			inUse[file.id] = false
		}
	}
	if err := p.walkRemaining(ctx, inUse); err != nil {
		return err
	}
	for _, file := range files {
		if !p.isFree(file.path) {
			continue
		}
		reason := ""
		switch {
		case inUse[file.id]:
			reason = keptInUse
		case p.DeleteFiles && !p.DryRun:
			reason = p.delete(ctx, file)
		}
		if reason != "" {
			kept = append(kept, KeptFile{Path: file.path, Reason: reason, InUse: inUse[file.id]})
			continue
		}
		p.report.FilePaths = append(p.report.FilePaths, file.path)
	}
	p.report.KeptFiles = slices.DeleteFunc(kept, func(file KeptFile) bool { return !p.isFree(file.Path) })
	for _, path := range missing {
		if p.isFree(path) {
			p.report.MissingFiles++
		}
	}
	slices.Sort(p.report.FilePaths)
	slices.SortFunc(p.report.KeptFiles, func(a, b KeptFile) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// key returns the text by which paths of the same file are known as such: "./a.wav" and "a.wav". Without a root nobody
// knows whether the file system ignores case, so the key does.
func (p *pruner) key(path string) string {
	path = filepath.Clean(filepath.FromSlash(path))
	if p.root == nil {
		return strings.ToLower(path)
	}
	return path
}

// isFree reports whether no remaining generation was seen with the path.
func (p *pruner) isFree(path string) bool {
	_, free := p.paths[p.key(path)]
	return free
}

// walkRemaining reads the paths of all remaining generations. It removes them from p.paths, and sets those files of
// inUse that a path leads to.
func (p *pruner) walkRemaining(ctx context.Context, inUse map[fileID]bool) error {
	for page, err := range filePathPages(ctx, p.engine) {
		if err != nil {
			return err
		}
		for _, row := range page {
			if _, gone := p.gone[row.ID]; gone {
				continue
			}
			key := p.key(row.FilePath)
			delete(p.paths, key)
			if p.root == nil {
				p.keepBelow(key)
			} else if len(inUse) > 0 {
				for _, id := range p.root.filesOf(row.FilePath) {
					if _, pruned := inUse[id]; pruned {
						inUse[id] = true
					}
				}
			}
		}
	}
	return nil
}

// keepBelow removes the relative paths from p.paths that may mean the file of an absolute path, whatever the root is.
func (p *pruner) keepBelow(absolute string) {
	if !filepath.IsAbs(absolute) {
		return
	}
	for rest, found := absolute, true; found; {
		_, rest, found = strings.Cut(rest, string(filepath.Separator))
		delete(p.paths, rest)
	}
}

// examine looks at the files of p.paths. Without a root it goes by their names alone.
func (p *pruner) examine(ctx context.Context) (files []prunedFile, kept []KeptFile, missing []string, err error) {
	for _, paths := range p.paths {
		if err := ctx.Err(); err != nil {
			return nil, nil, nil, err
		}
		for _, path := range paths {
			file := prunedFile{path: path}
			var reason string
			if p.root == nil {
				reason = judgeName(path)
			} else {
				file.id, reason, err = p.root.judge(path)
			}
			switch {
			case errors.Is(err, fs.ErrNotExist):
				missing = append(missing, path)
			case err != nil:
				kept = append(kept, KeptFile{Path: path, Reason: "it cannot be accessed: " + withoutPath(err)})
			case reason != "":
				kept = append(kept, KeptFile{Path: path, Reason: reason})
			default:
				files = append(files, file)
			}
		}
	}
	return files, kept, missing, nil
}

// judgeName returns why the file of a path must stay if nothing but the path is known, or "".
func judgeName(filePath string) string {
	path := filepath.FromSlash(filePath)
	switch {
	case filepath.IsAbs(path):
		return keptAbsolute
	case !filepath.IsLocal(path):
		return keptOutside
	case !hasAudioName(path):
		return keptName
	}
	return ""
}

// judge returns the identity of the file of a path, and why it must stay, or "". The order matters: the database's own
// files must not be opened, since closing them would end the locks that this process holds on them.
func (r *filesRoot) judge(filePath string) (id fileID, reason string, err error) {
	name, err := r.name(filePath)
	if err != nil {
		return fileID{}, keptOutside, nil
	}
	id, info, err := r.lstat(name)
	switch {
	case err != nil:
		return fileID{}, "", err
	case !info.Mode().IsRegular():
		return id, keptNotRegular, nil
	case r.own[id]:
		return id, keptOwn, nil
	case !hasAudioName(name):
		return id, keptName, nil
	}
	isAudio, err := r.hasAudioContent(name)
	if err == nil && !isAudio {
		reason = keptContent
	}
	return id, reason, err
}

// lstat returns the info of a file. It does not follow a symbolic link in the file's place.
func (r *filesRoot) lstat(name string) (id fileID, info fs.FileInfo, err error) {
	info, err = r.Lstat(name)
	if err == nil && info.Mode().IsRegular() {
		id, err = identify(info, func() (*os.File, error) { return r.Open(name) })
	}
	return id, info, err
}

// delete deletes a file and counts it, or returns why it stays.
func (p *pruner) delete(ctx context.Context, file prunedFile) string {
	if ctx.Err() != nil {
		return keptStopped
	}
	name, err := p.root.name(file.path)
	if err != nil {
		return keptOutside
	}
	id, info, err := p.root.lstat(name)
	if err == nil && (!info.Mode().IsRegular() || id != file.id) {
		return keptReplaced
	}
	if err == nil {
		err = p.root.Remove(name)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist): // deleted meanwhile, or just now by another path
		return ""
	case err != nil:
		return "it cannot be deleted: " + withoutPath(err)
	}
	p.report.DeletedFiles++
	return ""
}

// audioNames are the extensions of the files that the service writes, and of what its models can write besides.
var audioNames = []string{".wav", ".mp3", ".flac", ".ogg"}

func hasAudioName(path string) bool {
	return slices.Contains(audioNames, strings.ToLower(filepath.Ext(path)))
}

// audioStarts are how audio files begin: WAV, WAV over 4 GiB, FLAC, Ogg, and MP3 with a tag.
var audioStarts = []string{"RIFF", "RF64", "fLaC", "OggS", "ID3"}

// hasAudioContent reports whether a file begins as audio does, or is empty, as one whose generation has failed may be.
func (r *filesRoot) hasAudioContent(name string) (bool, error) {
	file, err := r.Open(name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	start := make([]byte, len(audioStarts[0]))
	n, err := io.ReadFull(file, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	isMP3Frame := n > 1 && start[0] == 0xff && start[1]&0xe6 == 0xe2 // the sync word, and layer III
	return n == 0 || isMP3Frame || slices.ContainsFunc(audioStarts, func(magic string) bool {
		return strings.HasPrefix(string(start[:n]), magic)
	}), nil
}
