package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// PruneParams says what is too old to be kept.
type PruneParams struct {
	OlderThan         time.Duration // since the generation ended; must be positive
	Statuses          []Status      // finished ones; empty: completed, failed and cancelled
	KeepFavorites     bool          // favorites stay, however old they are
	DropUnusedPrompts bool          // also prompts that are left without a generation, or had none before, and were last used before that
	DryRun            bool          // nothing is deleted; the report says what would be
}

// PruneReport is what Prune has deleted, or with DryRun what it would delete.
type PruneReport struct {
	Generations int64    `json:"generations"`
	Prompts     int64    `json:"prompts"`
	FilePaths   []string `json:"file_paths"` // of what was deleted, each once, sorted; no generation that is left names them
}

const (
	// pruneBatch is how many rows one transaction deletes: on SQLite it holds the writer for some milliseconds.
	pruneBatch = 100
	// maxPrunePause is how long Prune leaves the database to others between two batches, at most; it is as long as the batch took.
	maxPrunePause = 50 * time.Millisecond
	// maintenancePage is how many rows are read at a time.
	maintenancePage = 1000
	// freePathsPatience is how long Prune looks for the files that nobody else names once its context has ended.
	freePathsPatience = 10 * time.Second
)

// Prune deletes generations that ended long ago, with the errors of their attempts, and returns the file paths of what it has
// deleted, so that the caller can remove the audio. A generation ended at completed_at; one of the Python service that is
// finished and has none counts as old as its created_at. The used_count of prompts is history and stays.
//
// It does not disturb others: it deletes in batches of 100, each a transaction of its own, and leaves the database to others
// in between for as long as a batch took. A generation that is retried meanwhile stays; what somebody else has locked at that
// moment, or was created after the time it is to have ended before, is left for the next time. A prompt that is used at that
// moment stays, too. Two may run at once.
//
// In the end, where it has deleted anything, it reads the IDs and paths of all generations that are left, once, to find the
// paths that none of them names: some seconds for a million. A generation that is created meanwhile with a path of its own
// choice may name one of them.
//
// On an error, and at the end of ctx, the report says beside the error what was deleted until then; where ctx has ended the
// search for the paths may take ten seconds longer. If that search itself fails FilePaths is empty, and Check finds the files.
//
// It returns a *ValidationError for an OlderThan that is not positive, and for a status that is unknown or not finished.
func (s *Store) Prune(ctx context.Context, params PruneParams) (PruneReport, error) {
	params, err := params.checked()
	if err != nil {
		return PruneReport{FilePaths: []string{}}, describe("prune", err)
	}
	p := &pruner{
		PruneParams: params,
		store:       s,
		before:      s.clock.Now().Add(-params.OlderThan).Truncate(timePrecision),
		paths:       make(map[string][]string),
		gone:        make(map[uuid.UUID]struct{}),
		goneOf:      make(map[int64]int64),
	}
	err = p.prune(ctx)
	if pathsErr := p.freePaths(ctx, err); pathsErr != nil {
		clear(p.paths)
		err = errors.Join(err, fmt.Errorf("which files no other generation names is not known, Check finds them: %w", pathsErr))
	}
	p.report.FilePaths = slices.Concat(slices.Collect(maps.Values(p.paths))...)
	if p.report.FilePaths == nil {
		p.report.FilePaths = []string{}
	}
	slices.Sort(p.report.FilePaths)
	return p.report, describe("prune", err)
}

// checked returns the parameters with the statuses that they mean, each once.
func (p PruneParams) checked() (PruneParams, error) {
	if p.OlderThan <= 0 {
		return p, invalid("older_than", "is not positive")
	}
	finished := []Status{StatusCompleted, StatusFailed, StatusCancelled}
	for _, status := range p.Statuses {
		if !slices.Contains(finished, status) {
			return p, invalid("statuses", "has one that is none of completed, failed and cancelled")
		}
	}
	if len(p.Statuses) == 0 {
		p.Statuses = finished
	}
	p.Statuses = slices.Compact(slices.Sorted(slices.Values(p.Statuses)))
	return p, nil
}

// pruner is a Prune on its way.
type pruner struct {
	PruneParams
	store  *Store
	before time.Time // what ended before goes
	report PruneReport
	paths  map[string][]string // of what was deleted, less those that turn out to be named by others: by file, as they were spelled

	// With DryRun, what would be deleted: the generations, and how many of each prompt.
	gone   map[uuid.UUID]struct{}
	goneOf map[int64]int64
}

func (p *pruner) prune(ctx context.Context) error {
	for _, status := range p.Statuses {
		if err := p.generations(ctx, status); err != nil {
			return err
		}
	}
	if p.DropUnusedPrompts {
		return p.prompts(ctx)
	}
	return nil
}

// generations walks those of a status in the order of their creation, and deletes what is old enough.
func (p *pruner) generations(ctx context.Context, status Status) error {
	for after := (position{}); ; {
		page, err := p.prunable(ctx, status, after)
		if err != nil || len(page) == 0 {
			return err
		}
		last := page[len(page)-1]
		after = position{createdAt: last.CreatedAt, id: last.ID}
		if err := p.deleteGenerations(ctx, status, page); err != nil {
			return err
		}
		if len(page) < pruneBatch {
			return nil
		}
	}
}

// prunable is the next batch, read without a lock.
func (p *pruner) prunable(ctx context.Context, status Status, after position) (page []storagedb.PrunableGenerationsRow, err error) {
	err = p.store.session.read(ctx, func(db storagedb.DBTX) (err error) {
		page, err = storagedb.New(db).PrunableGenerations(ctx, storagedb.PrunableGenerationsParams{
			Status: status, AfterCreatedAt: after.createdAt, AfterID: after.id,
			CreatedBefore: p.before, CompletedBefore: &p.before, FavoritesToo: !p.KeepFavorites, RowLimit: pruneBatch,
		})
		return err
	})
	return page, err
}

func (p *pruner) deleteGenerations(ctx context.Context, status Status, page []storagedb.PrunableGenerationsRow) error {
	if p.DryRun {
		for _, row := range page {
			p.gone[row.ID] = struct{}{}
			p.goneOf[row.PromptID]++
			p.note(row.FilePath)
		}
		p.report.Generations += int64(len(page))
		return nil
	}
	ids := make([]uuid.UUID, len(page))
	for i, row := range page {
		ids[i] = row.ID
	}
	var paths []string
	var took time.Duration
	err := p.store.session.writeMany(ctx, func(db storagedb.DBTX) (err error) {
		began := time.Now()
		// Not to be cut off: it waits for nobody, and what it has deleted must be known.
		paths, err = p.store.engine.pruneGenerations(context.WithoutCancel(ctx), db, ids, prunedGenerations{status: status, before: p.before, favoritesToo: !p.KeepFavorites})
		took = time.Since(began)
		return err
	})
	if err != nil {
		return err
	}
	p.report.Generations += int64(len(paths))
	for _, path := range paths {
		p.note(path)
	}
	return leaveToOthers(ctx, took)
}

// note keeps the path of what was deleted. "./a.wav" is the file of "a.wav".
func (p *pruner) note(path string) {
	file := filepath.Clean(path)
	if !slices.Contains(p.paths[file], path) {
		p.paths[file] = append(p.paths[file], path)
	}
}

// leaveToOthers waits after a batch.
func leaveToOthers(ctx context.Context, took time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(took, maxPrunePause)):
		return nil
	}
}

// prompts walks all prompts, and deletes those that nobody has used since and that have no generation.
func (p *pruner) prompts(ctx context.Context) error {
	return p.store.eachPageOfPrompts(ctx, func(page []storagedb.PromptUsesRow) error {
		var unused []int64
		for _, row := range page {
			if row.LastUsedAt.Before(p.before) && row.Generations == p.goneOf[row.ID] {
				unused = append(unused, row.ID)
			}
		}
		if p.DryRun {
			p.report.Prompts += int64(len(unused))
			return nil
		}
		for ids := range slices.Chunk(unused, pruneBatch) {
			if err := p.dropPrompts(ctx, ids); err != nil {
				return err
			}
		}
		return nil
	})
}

// dropPrompts deletes those of the prompts that are still unused. The foreign key would take along a generation that was
// created since they were read; so the engine looks again where nobody can create one any more.
func (p *pruner) dropPrompts(ctx context.Context, ids []int64) error {
	var dropped int64
	var took time.Duration
	err := p.store.session.writeAll(ctx, func(db storagedb.DBTX) (err error) {
		began := time.Now()
		dropped, err = p.store.engine.dropUnusedPrompts(ctx, db, ids, p.before)
		took = time.Since(began)
		return err
	})
	if err != nil {
		return err
	}
	p.report.Prompts += dropped
	return leaveToOthers(ctx, took)
}

// freePaths takes the paths away that a generation names which is left. Who has been told to stop still wants to know.
func (p *pruner) freePaths(ctx context.Context, stopped error) error {
	if len(p.paths) == 0 {
		return nil
	}
	if stopped != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), freePathsPatience)
		defer cancel()
	}
	return p.store.eachFilePath(ctx, func(id uuid.UUID, path string) {
		if _, gone := p.gone[id]; !gone {
			delete(p.paths, filepath.Clean(path))
		}
	})
}

// eachFilePath walks all generations, in no useful order.
func (s *Store) eachFilePath(ctx context.Context, each func(id uuid.UUID, path string)) error {
	for from := uuid.Nil; ; {
		var page []storagedb.FilePathsRow
		err := s.session.read(ctx, func(db storagedb.DBTX) (err error) {
			page, err = storagedb.New(db).FilePaths(ctx, storagedb.FilePathsParams{FromID: from, RowLimit: maintenancePage})
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, row := range page {
			each(row.ID, row.FilePath)
		}
		if from = following(page[len(page)-1].ID); from == uuid.Nil {
			return nil
		}
	}
}

// eachPageOfPrompts walks all prompts, with how many generations use them.
func (s *Store) eachPageOfPrompts(ctx context.Context, each func([]storagedb.PromptUsesRow) error) error {
	for after := int64(math.MinInt64); ; {
		var page []storagedb.PromptUsesRow
		err := s.session.read(ctx, func(db storagedb.DBTX) (err error) {
			page, err = storagedb.New(db).PromptUses(ctx, storagedb.PromptUsesParams{AfterID: after, RowLimit: maintenancePage})
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		if err := each(page); err != nil {
			return err
		}
		after = page[len(page)-1].ID
	}
}
