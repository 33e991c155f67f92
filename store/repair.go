package store

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// Repair mends what is safe to mend, and returns the findings that it has mended: it found them before, and not again
// afterwards. It deletes no file and no generation; whatever else Check finds is for people.
//
// It recounts the counters, so that nothing counted meanwhile is lost: on SQLite the writer is held while all is counted, on
// PostgreSQL nobody waits. It raises a used_count to the number of generations that use the prompt, which a creation that uses it waits for, and
// never lowers one. It rescues the leases that have run out, as RescueGenerations does. It mends the index over metadata
// entry by entry, and the full-text index on PostgreSQL prompt by prompt, less what it has of none; on SQLite it makes the full-text index anew, some ten
// seconds for a million prompts, during which writers wait, and those give up whose BusyTimeout is shorter.
//
// A SQLite file that is broken itself, by SQLite's own check of it, is not written to, since that could do more harm: Repair
// returns an error, and Check says what is broken. Restore a backup then, or have sqlite3 .recover save what it can.
//
// It returns a *ValidationError as Check does. On an error the report has what was mended until then.
func (s *Store) Repair(ctx context.Context, params CheckParams) (CheckReport, error) {
	mended := newFindings(maxFindings)
	files, err := openFiles(params.FilesRoot, s.engine.ownFiles())
	if err != nil {
		return mended.report(), describe("repair", err)
	}
	files.close() // of files there is nothing to mend
	if err := s.wantWhole(ctx); err != nil {
		return mended.report(), describe("repair", err)
	}
	for _, repair := range []struct {
		of   string
		find check
		mend func(ctx context.Context, wrong []Finding) error
	}{
		{"generation_counters", s.checkCounters, s.recount},
		{"prompts", s.checkUsedCounts, s.raiseUsedCounts},
		{"leases", s.checkLeases, s.rescueStuck},
		{"prompts_search", s.engine.checkSearchIndex, s.engine.mendSearchIndex},
		{"generation_metadata", s.checkSurplusMetadata, s.mendMetadata(s.engine.deleteSurplusMetadata)},
		{"generation_metadata", s.checkMissingMetadata, s.mendMetadata(s.engine.addMissingMetadata)},
	} {
		if err := repairOne(ctx, repair.find, repair.mend, mended); err != nil {
			return mended.report(), describe("repair "+repair.of, err)
		}
	}
	return mended.report(), nil
}

var errBroken = errors.New("the database file is broken, and was not written to: see what Check says, and restore a backup")

// wantWhole returns an error where the engine finds its own files broken.
func (s *Store) wantWhole(ctx context.Context) error {
	whole := true
	err := s.engine.checkStorage(ctx, func(Finding) { whole = false })
	if !whole || isCorruption(err) {
		return errBroken
	}
	return err
}

// repairOne looks, mends, and looks again. What cannot even be read is not for it to mend; Check says so.
func repairOne(ctx context.Context, find check, mend func(context.Context, []Finding) error, mended *findings) error {
	var wrong []Finding
	err := find(ctx, func(f Finding) {
		if f.Repairable {
			wrong = append(wrong, f)
		}
	})
	if isCorruption(err) {
		err = nil
	}
	if err != nil || len(wrong) == 0 {
		return err
	}
	if err := mend(ctx, wrong); err != nil {
		return err
	}
	type key struct {
		kind FindingKind
		id   string
	}
	left := make(map[key]bool)
	err = find(ctx, func(f Finding) { left[key{f.Kind, f.ID}] = true })
	if isCorruption(err) {
		return nil // nobody can tell what is mended
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

// recount counts anew, under a lock that only those heed who recount: each transaction counts what it changes, so by how much a
// counter is wrong at one moment it is wrong at any other.
func (s *Store) recount(ctx context.Context, _ []Finding) error {
	return s.session.writeAll(ctx, func(db storagedb.DBTX) error {
		if err := s.engine.lockRecount(ctx, db); err != nil {
			return err
		}
		counters, err := storagedb.New(db).CountsAndTruth(ctx)
		if err != nil {
			return err
		}
		for _, c := range counters {
			if c.Kept == c.There {
				continue
			}
			if err := s.engine.setCounter(ctx, db, CountDifference{Name: c.Name, Kept: c.Kept, There: c.There}); err != nil {
				return err
			}
		}
		return nil
	})
}

// raiseUsedCounts locks one prompt at a time, and counts once it is locked, so that no use is lost that is counted meanwhile, and
// nobody can wait in a circle.
func (s *Store) raiseUsedCounts(ctx context.Context, wrong []Finding) error {
	for _, f := range wrong {
		id, err := strconv.ParseInt(f.ID, 10, 64)
		if err != nil {
			return err
		}
		var began time.Time
		if err := s.session.writeAll(ctx, func(db storagedb.DBTX) error {
			began = time.Now()
			if err := s.engine.lockPrompt(ctx, db, id); err != nil {
				return err
			}
			_, err := storagedb.New(db).RaiseUsedCount(ctx, id)
			return err
		}); err != nil {
			return err
		}
		if err := leaveToOthers(ctx, time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// rescueStuck rescues until less has run out than it has asked for.
func (s *Store) rescueStuck(ctx context.Context, _ []Finding) error {
	for {
		rescued, err := s.RescueGenerations(ctx, pruneBatch)
		if err != nil || len(rescued) < pruneBatch {
			return err
		}
	}
}

// mendMetadata mends entries of so many generations at a time, and leaves the database to others in between, as Prune does.
func (s *Store) mendMetadata(mend func(context.Context, storagedb.DBTX, []uuid.UUID) error) func(context.Context, []Finding) error {
	return func(ctx context.Context, wrong []Finding) error {
		ids := make([]uuid.UUID, len(wrong))
		for i, f := range wrong {
			var err error
			if ids[i], err = uuid.Parse(f.ID); err != nil {
				return err
			}
		}
		for batch := range slices.Chunk(ids, maintenancePage) {
			var began time.Time
			if err := s.session.writeMany(ctx, func(db storagedb.DBTX) error {
				began = time.Now()
				return mend(ctx, db, batch)
			}); err != nil {
				return err
			}
			if err := leaveToOthers(ctx, time.Since(began)); err != nil {
				return err
			}
		}
		return nil
	}
}
