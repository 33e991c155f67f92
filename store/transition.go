package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/storagedb"
)

// predecessors are the legal transitions, by their end. The queries check the same, in the statement that writes; this
// table explains to a caller why nothing was written.
var predecessors = map[Status][]Status{
	StatusPending:    {StatusProcessing, StatusFailed, StatusCancelled},
	StatusProcessing: {StatusPending},
	StatusCompleted:  {StatusPending, StatusProcessing},
	StatusFailed:     {StatusPending, StatusProcessing},
	StatusCancelled:  {StatusPending, StatusProcessing},
}

// transition is a change that depends on a generation's status and on who holds it.
type transition struct {
	id      uuid.UUID
	to      Status
	from    []Status    // nil: the predecessors of to
	attempt *int64      // the fence; nil: whoever asks needs no claim
	claimed bool        // only whoever holds a claim may ask, so an attempt of 0 never does
	heeds   bool        // a cancel request stops it
	joint   *jointWrite // what an engine may do for many at once; nil: it may not
}

// allowedFor returns why g cannot make the transition, or nil where it can.
func (t transition) allowedFor(g Generation) error {
	underClaim := g.IsProcessing() && g.LeaseExpiresAt != nil
	if t.attempt != nil {
		holder := int64(0)
		if underClaim {
			holder = g.Attempt
		}
		if *t.attempt != holder || t.claimed && !underClaim {
			return fmt.Errorf("%w: attempt %d does not hold the generation", ErrLeaseLost, *t.attempt)
		}
	}
	if t.heeds && g.CancelRequestedAt != nil {
		return ErrCancelRequested
	}
	from := t.from
	if from == nil {
		from = predecessors[t.to]
	}
	if !slices.Contains(from, g.Status) {
		return &TransitionError{ID: t.id, From: g.Status, To: t.to}
	}
	return nil
}

// transition runs change, which checks and writes in one statement, and finds out why where it changed no row. On
// PostgreSQL the row can become one that allows the transition between the statement and the look; then the change is
// tried again, and every further try needs another such coincidence.
func (o *operations) transition(ctx context.Context, t transition, change func(storagedb.DBTX) (Generation, error)) (Generation, error) {
	const tries = 10
	var g Generation
	write := o.session.write
	if t.joint != nil {
		t.joint.set = func(changed Generation) { g = changed }
		write = func(ctx context.Context, alone func(storagedb.DBTX) error) error {
			return o.session.writeJoint(ctx, t.joint, alone)
		}
	}
	err := write(ctx, func(db storagedb.DBTX) (err error) {
		for range tries {
			if g, err = change(db); !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			current, err := storagedb.New(db).GetGeneration(ctx, t.id)
			if err != nil {
				return err
			}
			if err := t.allowedFor(current); err != nil {
				return err
			}
		}
		return fmt.Errorf("%w: the generation's status kept changing", ErrBusy)
	})
	if err != nil {
		return Generation{}, err
	}
	return g, nil
}
