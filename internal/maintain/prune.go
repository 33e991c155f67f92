package maintain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
)

// PruneParams selects what to delete. Package store documents and checks it.
type PruneParams struct {
	OlderThan         time.Duration
	Statuses          []storagedb.Status
	KeepFavorites     bool
	DropUnusedPrompts bool
	DryRun            bool
	FilesRoot         string
	DeleteFiles       bool
}

// PruneReport says what was deleted. Package store documents it.
type PruneReport struct {
	Generations int64
	Prompts     int64
	FilePaths   []string
	KeptFiles   []KeptFile
	// MissingFiles and DeletedFiles are counts. They and the checks of files need a FilesRoot.
	MissingFiles int64
	DeletedFiles int64
}

// KeptFile is a file that is not to be deleted. Package store documents it.
type KeptFile struct {
	Path   string
	Reason string
	InUse  bool
}

// normalized checks the parameters, and returns them with the statuses that they mean, each once.
func (p PruneParams) normalized() (PruneParams, error) {
	if p.OlderThan <= 0 {
		return p, dberr.Invalid("older_than", "is not positive")
	}
	if p.DeleteFiles && p.FilesRoot == "" {
		return p, dberr.Invalid("files_root", "is empty, and no file is deleted without one")
	}
	finished := []storagedb.Status{storagedb.StatusCompleted, storagedb.StatusFailed, storagedb.StatusCancelled}
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

// Prune deletes generations that ended before now minus OlderThan, in batches, and then looks at their files. If it
// returns an error, the report says what was deleted before that.
func Prune(ctx context.Context, e engine.Engine, now time.Time, params PruneParams) (PruneReport, error) {
	params, err := params.normalized()
	if err != nil {
		return PruneReport{FilePaths: []string{}}, err
	}
	p := &pruner{
		PruneParams:  params,
		engine:       e,
		before:       now.Add(-params.OlderThan).Truncate(storagedb.TimePrecision),
		paths:        make(map[string][]string),
		gone:         make(map[uuid.UUID]struct{}),
		goneByPrompt: make(map[int64]int64),
	}
	if params.FilesRoot != "" {
		if p.root, err = openRoot(params.FilesRoot, e.OwnFiles()); err != nil {
			return PruneReport{FilePaths: []string{}}, err
		}
		defer p.root.Close()
	}
	err = p.prune(ctx)
	if filesErr := p.files(ctx, err); filesErr != nil {
		err = errors.Join(err, fmt.Errorf("the files of deleted generations are not known; Check finds them: %w", filesErr))
	}
	if p.report.FilePaths == nil {
		p.report.FilePaths = []string{}
	}
	return p.report, err
}

// pruner runs one Prune.
type pruner struct {
	PruneParams
	engine engine.Engine
	root   *filesRoot // nil without FilesRoot
	before time.Time  // generations that ended before this time are deleted
	report PruneReport
	paths  map[string][]string // the paths of deleted generations, by their key, in each spelling

	// With DryRun: the generations that would be deleted, and their number for each prompt.
	gone         map[uuid.UUID]struct{}
	goneByPrompt map[int64]int64
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

// generations reads the old generations of a status in the order of their creation, page by page, and deletes them.
func (p *pruner) generations(ctx context.Context, status storagedb.Status) error {
	type row = storagedb.PrunableGenerationsRow
	read := func(q engine.Queries, after listing.Key) ([]row, error) {
		return q.PrunableGenerations(ctx, storagedb.PrunableGenerationsParams{
			Status: status, AfterCreatedAt: after.CreatedAt, AfterID: after.ID,
			CreatedBefore: p.before, CompletedBefore: &p.before, FavoritesToo: !p.KeepFavorites, RowLimit: engine.BatchRows,
		})
	}
	next := func(last row) (listing.Key, bool) { return listing.Key{CreatedAt: last.CreatedAt, ID: last.ID}, true }
	for page, err := range engine.Pages(ctx, p.engine, listing.Key{}, engine.BatchRows, read, next) {
		if err != nil {
			return err
		}
		if err := p.deleteGenerations(ctx, status, page); err != nil {
			return err
		}
	}
	return nil
}

func (p *pruner) deleteGenerations(
	ctx context.Context, status storagedb.Status, page []storagedb.PrunableGenerationsRow,
) error {
	if p.DryRun {
		for _, row := range page {
			p.gone[row.ID] = struct{}{}
			p.goneByPrompt[row.PromptID]++
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
	err := p.engine.Write(ctx, engine.Bulk, func(q engine.Queries) (err error) {
		began := time.Now()
		// The end of ctx must not cut it off, or what it has deleted would not be known. It never waits for a lock.
		paths, err = q.PruneGenerations(context.WithoutCancel(ctx), ids, engine.Pruned{
			Status: status, Before: p.before, FavoritesToo: !p.KeepFavorites,
		})
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
	return engine.LeaveToOthers(ctx, took)
}

// note records the path of a deleted generation.
func (p *pruner) note(path string) {
	key := p.key(path)
	if !slices.Contains(p.paths[key], path) {
		p.paths[key] = append(p.paths[key], path)
	}
}

// prompts reads all prompts, and deletes those that were last used before p.before and have no generation.
func (p *pruner) prompts(ctx context.Context) error {
	for page, err := range promptPages(ctx, p.engine) {
		if err != nil {
			return err
		}
		var unused []int64
		for _, row := range page {
			if row.LastUsedAt.Before(p.before) && row.Generations == p.goneByPrompt[row.ID] {
				unused = append(unused, row.ID)
			}
		}
		if p.DryRun {
			p.report.Prompts += int64(len(unused))
			continue
		}
		for ids := range slices.Chunk(unused, engine.BatchRows) {
			if err := p.dropPrompts(ctx, ids); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropPrompts deletes the prompts that are still unused. A generation may have been created since they were read, which
// the foreign key would delete. So the engine checks again after no other caller can create one.
func (p *pruner) dropPrompts(ctx context.Context, ids []int64) error {
	var dropped int64
	var took time.Duration
	err := p.engine.Write(ctx, engine.Transaction, func(q engine.Queries) (err error) {
		began := time.Now()
		dropped, err = q.DropUnusedPrompts(ctx, ids, p.before)
		took = time.Since(began)
		return err
	})
	if err != nil {
		return err
	}
	p.report.Prompts += dropped
	return engine.LeaveToOthers(ctx, took)
}
