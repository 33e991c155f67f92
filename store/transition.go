package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// predecessors are the statuses from which each status can be reached. The queries check the same, in the statement
// that writes. This table explains to a caller why nothing was written.
var predecessors = map[Status][]Status{
	StatusPending:    {StatusProcessing, StatusFailed, StatusCancelled},
	StatusProcessing: {StatusPending},
	StatusCompleted:  {StatusPending, StatusProcessing},
	StatusFailed:     {StatusPending, StatusProcessing},
	StatusCancelled:  {StatusPending, StatusProcessing},
}

// transition is a change that depends on a generation's status and on its claim.
type transition struct {
	id            uuid.UUID
	to            Status
	from          []Status // nil: the predecessors of to
	attempt       *int64   // the attempt that must hold the generation; nil: any
	needsClaim    bool     // an attempt of 0, which holds nothing, is refused
	stopsOnCancel bool     // a cancel request refuses it
}

// allowedFor returns the reason why g cannot make the transition, or nil.
func (t transition) allowedFor(g Generation) error {
	underClaim := g.IsProcessing() && g.LeaseExpiresAt != nil
	if t.attempt != nil {
		holder := int64(0)
		if underClaim {
			holder = g.Attempt
		}
		if *t.attempt != holder || t.needsClaim && !underClaim {
			return fmt.Errorf("%w: attempt %d does not hold the generation", ErrLeaseLost, *t.attempt)
		}
	}
	if t.stopsOnCancel && g.CancelRequestedAt != nil {
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

// errKeptChanging is returned if a generation allowed the transition at each look, and refused it at each try.
var errKeptChanging = fmt.Errorf("%w: the generation's status kept changing", ErrBusy)

// transition runs change, which checks and writes in one statement. If that changed no row, it reads the row to find
// out why: a second step, which the end of ctx cuts off. The row may have become one that allows the transition
// meanwhile. Then transition tries again; every further try needs another such coincidence.
func (o *operations) transition(
	ctx context.Context, t transition, change func() (Generation, error),
) (Generation, error) {
	const tries = 10
	for range tries {
		g, err := change()
		if err == nil {
			return g, nil
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return Generation{}, err
		}
		current, err := o.getGeneration(ctx, t.id)
		if err != nil {
			return Generation{}, err
		}
		if err := t.allowedFor(current); err != nil {
			return Generation{}, err
		}
	}
	return Generation{}, errKeptChanging
}
