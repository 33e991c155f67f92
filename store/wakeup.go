package store

import (
	"context"
	"fmt"
	"time"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// waitPollInterval is how often a wait for work reads the database. Wake-ups are hints, which may be lost.
const waitPollInterval = time.Second

// WaitForPending returns when there may be work: when a generation is pending and due, and the queue is not paused. It
// returns at once if that is so already. Another worker may claim the generation first, or it may be for a model that
// the caller does not run. If a claim finds nothing, pause before waiting again, as Work does.
//
// New work of this process wakes it at once. New work of another process wakes it by a notification on PostgreSQL, and
// within 50 ms on SQLite. It wakes when a scheduled generation comes due, and reads the database every second.
//
// It returns the context's error when that ends, and ErrClosed. On a Tx it does not wait, since that would hold up
// those who could create something: it returns ErrNotFound if nothing is due.
func (o *operations) WaitForPending(ctx context.Context) error {
	const doing = "wait for pending generations"
	for {
		notified := o.session.Notified() // before the read, so that later work is not missed
		due, err := o.hasDueGenerations(ctx, nil)
		if err != nil {
			return describe(doing, err)
		}
		if due {
			return nil
		}
		if notified == nil {
			return describe(doing, fmt.Errorf("%w: nothing is pending and due; wait on the store, not in a transaction",
				ErrNotFound))
		}
		if err := waitForWakeUp(ctx, notified, o.untilScheduled(ctx, waitPollInterval)); err != nil {
			return describe(doing, err)
		}
	}
}

// untilScheduled returns the time until a generation comes due, at most interval. No notification tells of that. If a
// process whose clock is ahead of this one's creates a generation, it also comes due only after its notification.
func (o *operations) untilScheduled(ctx context.Context, interval time.Duration) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	var next []time.Time
	now := o.clock.Now()
	// An error costs no more than the interval; the next read returns it.
	_ = o.session.Read(ctx, func(q engine.Queries) (err error) {
		next, err = q.NextScheduled(ctx, now)
		return err
	})
	for _, scheduled := range next {
		interval = min(interval, max(scheduled.Sub(now), time.Millisecond))
	}
	return interval
}

// hasDueGenerations reports whether there is work for one of the models, or for any model if none is given.
func (o *operations) hasDueGenerations(ctx context.Context, models []string) (due bool, err error) {
	err = o.session.Read(ctx, func(q engine.Queries) (err error) {
		now := o.clock.Now()
		if len(models) == 0 {
			due, err = q.HasDueGenerations(ctx, now)
			return err
		}
		for _, model := range models {
			due, err = q.HasDueGenerationsOfModel(ctx, storagedb.HasDueGenerationsOfModelParams{ModelName: model, Now: now})
			if due || err != nil {
				return err
			}
		}
		return nil
	})
	return due, err
}

// waitForWakeUp returns after a notification or the interval. It returns an error if ctx ends.
func waitForWakeUp(ctx context.Context, notified <-chan struct{}, interval time.Duration) error {
	poll := time.NewTimer(interval)
	defer poll.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-notified:
	case <-poll.C:
	}
	return nil
}
