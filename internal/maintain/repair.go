package maintain

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// repairer mends what a checker finds.
type repairer struct{ checker }

// Repair mends what is safe to mend, and reports what it has mended: what it found before, and not again afterwards.
func Repair(ctx context.Context, e engine.Engine, now func() time.Time, filesRoot string) (Report, error) {
	mended := newFindings(maxFindings)
	files, err := openFiles(filesRoot, e.OwnFiles())
	if err != nil {
		return mended.report(), err
	}
	files.close() // there is nothing to mend in files
	r := repairer{checker{engine: e, now: now}}
	if err := r.wantWhole(ctx); err != nil {
		return mended.report(), err
	}
	for _, repair := range []struct {
		of   string
		find check
		mend func(ctx context.Context, wrong []engine.Finding) error
	}{
		{"generation_counters", r.counters, r.recount},
		{"prompts", r.usedCounts, r.raiseUsedCounts},
		{"leases", r.leases, r.rescueStuck},
		{"prompts_search", e.CheckSearchIndex, e.MendSearchIndex},
		{"generation_metadata", r.surplusMetadata, r.mendMetadata(engine.Queries.DeleteSurplusMetadata)},
		{"generation_metadata", r.missingMetadata, r.mendMetadata(engine.Queries.AddMissingMetadata)},
	} {
		if err := r.repairOne(ctx, repair.find, repair.mend, mended); err != nil {
			return mended.report(), fmt.Errorf("%s: %w", repair.of, err)
		}
	}
	return mended.report(), nil
}

var errBroken = fmt.Errorf("the file was not written to: %w", dberr.ErrCorrupt)

// wantWhole returns an error if the engine finds its own files broken.
func (r repairer) wantWhole(ctx context.Context) error {
	whole := true
	err := r.engine.CheckStorage(ctx, false, func(engine.Finding) { whole = false })
	if !whole || r.cannotRead(err) {
		return errBroken
	}
	return err
}

// repairOne finds, mends, and finds again. It leaves what cannot be read: Check reports that.
func (r repairer) repairOne(
	ctx context.Context, find check, mend func(context.Context, []engine.Finding) error, mended *findings,
) error {
	var wrong []engine.Finding
	err := find(ctx, func(f engine.Finding) {
		if f.Repairable {
			wrong = append(wrong, f)
		}
	})
	if r.cannotRead(err) {
		err = nil
	}
	if err != nil || len(wrong) == 0 {
		return err
	}
	if err := mend(ctx, wrong); err != nil {
		return err
	}
	type key struct {
		kind string
		id   string
	}
	left := make(map[key]bool)
	err = find(ctx, func(f engine.Finding) { left[key{f.Kind, f.ID}] = true })
	if r.cannotRead(err) {
		return nil // what is mended is not known
	}
	if err != nil {
		return err
	}
	for _, f := range wrong {
		if !left[key{f.Kind, f.ID}] {
			mended.add(f)
		}
	}
	return nil
}

// recount corrects the counters under a lock that only recounts take. Each transaction counts what it changes, so a
// counter is off by the same number at any moment.
func (r repairer) recount(ctx context.Context, _ []engine.Finding) error {
	return r.engine.Write(ctx, engine.Transaction, func(q engine.Queries) error {
		if err := q.LockRecount(ctx); err != nil {
			return err
		}
		wrong, err := engine.WrongCounts(ctx, q)
		if err != nil {
			return err
		}
		for _, d := range wrong {
			if err := q.SetCounter(ctx, d); err != nil {
				return err
			}
		}
		return nil
	})
}

// raiseUsedCounts locks one prompt at a time, so that there is no deadlock, and counts its generations under the lock,
// so that no concurrent use is lost.
func (r repairer) raiseUsedCounts(ctx context.Context, wrong []engine.Finding) error {
	for _, f := range wrong {
		id, err := strconv.ParseInt(f.ID, 10, 64)
		if err != nil {
			return err
		}
		var began time.Time
		if err := r.engine.Write(ctx, engine.Transaction, func(q engine.Queries) error {
			began = time.Now()
			if err := q.LockPrompt(ctx, id); err != nil {
				return err
			}
			_, err := q.RaiseUsedCount(ctx, id)
			return err
		}); err != nil {
			return err
		}
		if err := engine.LeaveToOthers(ctx, time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// rescueStuck rescues until fewer leases have run out than it asks for.
func (r repairer) rescueStuck(ctx context.Context, _ []engine.Finding) error {
	for {
		var rescued []storagedb.Generation
		if err := r.engine.Write(ctx, engine.Bulk, func(q engine.Queries) (err error) {
			rescued, err = q.RescueGenerations(ctx, engine.BatchRows, r.now())
			return err
		}); err != nil {
			return err
		}
		if len(rescued) > 0 {
			r.engine.Notify()
		}
		if len(rescued) < engine.BatchRows {
			return nil
		}
	}
}

// mendMetadata mends the entries of one page of generations at a time, and leaves the database to others in between.
func (r repairer) mendMetadata(
	mend func(engine.Queries, context.Context, []uuid.UUID) error,
) func(context.Context, []engine.Finding) error {
	return func(ctx context.Context, wrong []engine.Finding) error {
		ids := make([]uuid.UUID, len(wrong))
		for i, f := range wrong {
			var err error
			if ids[i], err = uuid.Parse(f.ID); err != nil {
				return err
			}
		}
		for batch := range slices.Chunk(ids, engine.PageRows) {
			var began time.Time
			if err := r.engine.Write(ctx, engine.Bulk, func(q engine.Queries) error {
				began = time.Now()
				return mend(q, ctx, batch)
			}); err != nil {
				return err
			}
			if err := engine.LeaveToOthers(ctx, time.Since(began)); err != nil {
				return err
			}
		}
		return nil
	}
}
