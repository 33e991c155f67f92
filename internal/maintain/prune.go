package maintain

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
)

// PruneParams say what to delete. Package store documents and checks them.
type PruneParams struct {
	OlderThan         time.Duration
	Statuses          []storagedb.Status
	KeepFavorites     bool
	DropUnusedPrompts bool
	DryRun            bool
}

// PruneReport is what was deleted.
type PruneReport struct {
	Generations int64
	Prompts     int64
	FilePaths   []string
}

// freePathsTimeout is how long Prune looks for the paths that no other generation names, after its context has ended.
const freePathsTimeout = 10 * time.Second

// Prune deletes generations that ended before now minus OlderThan, in batches. On an error the report has what was deleted
// until then.
func Prune(ctx context.Context, e engine.Engine, now time.Time, params PruneParams) (PruneReport, error) {
	p := &pruner{
		PruneParams: params,
		engine:      e,
		before:      now.Add(-params.OlderThan).Truncate(storagedb.TimePrecision),
		paths:       make(map[string][]string),
		gone:        make(map[uuid.UUID]struct{}),
		goneOf:      make(map[int64]int64),
	}
	err := p.prune(ctx)
	if pathsErr := p.freePaths(ctx, err); pathsErr != nil {
		clear(p.paths)
		err = errors.Join(err, fmt.Errorf("which files no other generation names is not known, Check finds them: %w", pathsErr))
	}
	p.report.FilePaths = slices.Concat(slices.Collect(maps.Values(p.paths))...)
	if p.report.FilePaths == nil {
		p.report.FilePaths = []string{}
	}
	slices.Sort(p.report.FilePaths)
	return p.report, err
}

// pruner runs one Prune.
type pruner struct {
	PruneParams
	engine engine.Engine
	before time.Time // generations that ended before are deleted
	report PruneReport
	paths  map[string][]string // the paths of deleted generations that no other one names: by file, as they were spelled

	// With DryRun: the generations that would be deleted, and their number by prompt.
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

// generations walks the generations of a status in the order of their creation, and deletes the old ones.
func (p *pruner) generations(ctx context.Context, status storagedb.Status) error {
	pages := engine.Pages(ctx, p.engine, listing.Key{}, func(q engine.Queries, after listing.Key) ([]storagedb.PrunableGenerationsRow, error) {
		return q.PrunableGenerations(ctx, storagedb.PrunableGenerationsParams{
			Status: status, AfterCreatedAt: after.CreatedAt, AfterID: after.ID,
			CreatedBefore: p.before, CompletedBefore: &p.before, FavoritesToo: !p.KeepFavorites, RowLimit: engine.BatchRows,
		})
	}, func(last storagedb.PrunableGenerationsRow) (listing.Key, bool) {
		return listing.Key{CreatedAt: last.CreatedAt, ID: last.ID}, true
	})
	for page, err := range pages {
		if err != nil {
			return err
		}
		if err := p.deleteGenerations(ctx, status, page); err != nil {
			return err
		}
	}
	return nil
}

func (p *pruner) deleteGenerations(ctx context.Context, status storagedb.Status, page []storagedb.PrunableGenerationsRow) error {
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
	err := p.engine.Write(ctx, engine.Bulk, func(q engine.Queries) (err error) {
		began := time.Now()
		// Not cut off: it waits for nobody, and what it has deleted must be known.
		paths, err = q.PruneGenerations(context.WithoutCancel(ctx), ids, engine.Pruned{Status: status, Before: p.before, FavoritesToo: !p.KeepFavorites})
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

// note records the path of a deleted generation. "./a.wav" is the file of "a.wav".
func (p *pruner) note(path string) {
	file := filepath.Clean(path)
	if !slices.Contains(p.paths[file], path) {
		p.paths[file] = append(p.paths[file], path)
	}
}

// prompts walks all prompts, and deletes those that were not used since and have no generation.
func (p *pruner) prompts(ctx context.Context) error {
	for page, err := range promptPages(ctx, p.engine) {
		if err != nil {
			return err
		}
		var unused []int64
		for _, row := range page {
			if row.LastUsedAt.Before(p.before) && row.Generations == p.goneOf[row.ID] {
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

// dropPrompts deletes those of the prompts that are still unused. The foreign key would delete a generation that was created
// since they were read, so the engine checks again when no other caller can create one.
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

// freePaths drops the paths that a remaining generation names. It runs also after the end of ctx.
func (p *pruner) freePaths(ctx context.Context, stopped error) error {
	if len(p.paths) == 0 {
		return nil
	}
	if stopped != nil {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), freePathsTimeout)
		defer cancel()
	}
	for page, err := range filePathPages(ctx, p.engine) {
		if err != nil {
			return err
		}
		for _, row := range page {
			if _, gone := p.gone[row.ID]; !gone {
				delete(p.paths, filepath.Clean(row.FilePath))
			}
		}
	}
	return nil
}
