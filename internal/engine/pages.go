package engine

import (
	"context"
	"iter"
	"time"

	"github.com/google/uuid"
)

const (
	// PageRows is how many rows maintenance reads at a time.
	PageRows = 1000
	// BatchRows is how many rows maintenance changes in one transaction: on SQLite it holds the writer for milliseconds.
	BatchRows = 100
	// maxPause bounds how long maintenance leaves the database to others between two batches.
	maxPause = 50 * time.Millisecond
)

// Pages walks the rows of a table by keyset pagination, in the order of a key, from start to the end. read returns the
// next page, of at most limit rows. next returns the key to go on from after a row, or false if there can be no more
// rows. A page of fewer rows is the last one.
func Pages[Key, Row any](
	ctx context.Context,
	s Session,
	start Key,
	limit int,
	read func(q Queries, from Key) ([]Row, error),
	next func(last Row) (Key, bool),
) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		for from, more := start, true; more; {
			var page []Row
			if err := s.Read(ctx, func(q Queries) (err error) {
				page, err = read(q, from)
				return err
			}); err != nil {
				yield(nil, err)
				return
			}
			if len(page) == 0 || !yield(page, nil) || len(page) < limit {
				return
			}
			from, more = next(page[len(page)-1])
		}
	}
}

// Following returns the next higher ID, or false after the highest.
func Following(id uuid.UUID) (uuid.UUID, bool) {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			return id, true
		}
	}
	return id, false
}

// LeaveToOthers pauses after a batch for as long as it took, at most 50 ms.
func LeaveToOthers(ctx context.Context, took time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(min(took, maxPause)):
		return nil
	}
}
