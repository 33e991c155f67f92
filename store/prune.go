package store

import (
	"context"
	"time"

	"github.com/dgx-music/storage/internal/maintain"
)

// PruneParams say what is too old to keep.
type PruneParams struct {
	// OlderThan is the time since the generations ended; positive.
	OlderThan time.Duration
	// Statuses are finished ones. If empty, completed, failed and cancelled.
	Statuses []Status
	// KeepFavorites keeps favorites, however old they are.
	KeepFavorites bool
	// DropUnusedPrompts also deletes prompts that have no generation, and were last used before that time.
	DropUnusedPrompts bool
	// DryRun deletes nothing. The report says what would be deleted.
	DryRun bool
	// FilesRoot is the directory that file paths are relative to. If empty, no file is looked at.
	FilesRoot string
	// DeleteFiles also deletes the files of FilePaths. It needs a FilesRoot.
	DeleteFiles bool
}

// PruneReport is what Prune has deleted, or with DryRun what it would delete.
type PruneReport struct {
	Generations int64 `json:"generations"`
	Prompts     int64 `json:"prompts"`
	// FilePaths are those of the deleted generations whose audio files may go, or are deleted; each once, sorted.
	FilePaths []string `json:"file_paths"`
	// KeptFiles are those that must stay, by path, except paths that a remaining generation has, too.
	KeptFiles []KeptFile `json:"kept_files"`
	// MissingFiles and DeletedFiles are numbers of files. MissingFiles did not exist. Without a FilesRoot both are 0.
	MissingFiles int64 `json:"missing_files"`
	DeletedFiles int64 `json:"deleted_files"`
}

// KeptFile is a file of a deleted generation that must not be deleted, or could not be.
type KeptFile struct {
	Path   string `json:"path"`
	Reason string `json:"reason"` // for people
	InUse  bool   `json:"in_use"` // whether a remaining generation names the same file by another path
}

// Prune deletes generations that ended long ago, with the errors of their attempts, and on request their audio files. A
// generation ended at completed_at; one of the Python service that is finished and has none ended at created_at. The
// used_count of prompts stays. Prune does not disturb others. It deletes in batches of 100, each in a transaction of its
// own, and pauses after each for as long as it took. A generation that is retried meanwhile stays. One that is locked at
// that moment, or was created after the time before which it must have ended, is left for the next Prune. A prompt that
// is used at that moment stays, too. Two may run at once.
//
// If it has deleted anything, it then reads the IDs and paths of all remaining generations once; that takes some
// seconds for a million. A generation that is created meanwhile with a path of the caller's choice may name one of the
// files.
//
// A file_path may be any text. With a FilesRoot, FilePaths has only regular files below it that are WAV, MP3, FLAC or
// Ogg by name and content. None is the database's own. None is a remaining generation's, by any path, link or hard
// link. Prefer DeleteFiles, which follows no link out of the root, to deleting them yourself.
//
// Without a FilesRoot, FilePaths has relative paths with such a name that no remaining generation has. Links are not
// known then. KeptFiles has absolute paths, and those that lead out by "..".
//
// On an error, and if ctx ends, the report still has what was deleted until then. After ctx has ended, the work on
// files may take ten seconds longer. If their paths cannot be found, FilePaths is empty, and Check finds the files.
//
// It returns a *ValidationError for an OlderThan that is not positive, a status that is unknown or not finished, and a
// FilesRoot that is not a directory.
func (s *Store) Prune(ctx context.Context, params PruneParams) (PruneReport, error) {
	s.clock.tick(ctx)
	report, err := maintain.Prune(ctx, s.engine, s.clock.Now(), maintain.PruneParams(params))
	public := PruneReport{
		Generations: report.Generations, Prompts: report.Prompts, FilePaths: report.FilePaths,
		MissingFiles: report.MissingFiles, DeletedFiles: report.DeletedFiles,
	}
	for _, file := range report.KeptFiles {
		public.KeptFiles = append(public.KeptFiles, KeptFile(file))
	}
	return public, describe("prune", err)
}
