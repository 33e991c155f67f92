package store

import (
	"context"
	"slices"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
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
}

// PruneReport is what Prune has deleted, or with DryRun what it would delete.
type PruneReport struct {
	Generations int64 `json:"generations"`
	Prompts     int64 `json:"prompts"`
	// FilePaths are those of the deleted generations that no remaining generation names, each once, sorted.
	FilePaths []string `json:"file_paths"`
}

// Prune deletes generations that ended long ago, with the errors of their attempts. It returns their file paths, so
// that the caller can delete the audio files. A generation ended at completed_at; one of the Python service that is
// finished and has none ended at created_at. The used_count of prompts stays.
//
// It does not disturb others. It deletes in batches of 100, each in a transaction of its own, and pauses after each for
// as long as it took. A generation that is retried meanwhile stays. A generation that is locked at that moment, or was
// created after the time before which it must have ended, is left for the next Prune. A prompt that is used at that
// moment stays, too. Two may run at once.
//
// If it has deleted anything, it then reads the IDs and paths of all remaining generations once, to find the paths that
// none of them names; that takes some seconds for a million. A generation that is created meanwhile with a path of the
// caller's choice may name one of them.
//
// On an error, and if ctx ends, the report still has what was deleted until then. After ctx has ended, the search for
// the paths may take ten seconds longer. If the search itself fails, FilePaths is empty, and Check finds the files.
//
// It returns a *ValidationError for an OlderThan that is not positive, and for a status that is unknown or not
// finished.
func (s *Store) Prune(ctx context.Context, params PruneParams) (PruneReport, error) {
	params, err := params.normalized()
	if err != nil {
		return PruneReport{FilePaths: []string{}}, describe("prune", err)
	}
	s.clock.tick(ctx)
	report, err := maintain.Prune(ctx, s.engine, s.clock.Now(), maintain.PruneParams(params))
	return PruneReport(report), describe("prune", err)
}

// normalized checks the parameters, and returns them with the statuses that they mean, each once.
func (p PruneParams) normalized() (PruneParams, error) {
	if p.OlderThan <= 0 {
		return p, dberr.Invalid("older_than", "is not positive")
	}
	finished := []Status{StatusCompleted, StatusFailed, StatusCancelled}
	for _, status := range p.Statuses {
		if !slices.Contains(finished, status) {
			return p, dberr.Invalid("statuses", "has one that is none of completed, failed and cancelled")
		}
	}
	if len(p.Statuses) == 0 {
		p.Statuses = finished
	}
	p.Statuses = slices.Compact(slices.Sorted(slices.Values(p.Statuses)))
	return p, nil
}
