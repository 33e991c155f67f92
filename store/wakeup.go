package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dgx-music/storage/storagedb"
)

// waitPollInterval is how long a wait for work goes without looking. Wake-ups are hints, which may be lost.
const waitPollInterval = time.Second

// WaitForPending returns when there may be work: when a generation is pending and due, and the queue is not paused. It
// returns at once where that is so already. Another may claim it first, or it is for a model that the caller does not
// run: where a claim finds nothing, pause before waiting again, as Work does.
//
// Work of this process wakes it at once; that of other processes by a notification on PostgreSQL, and on SQLite by a look
// at the file every 50 ms; what was scheduled for later when it comes due; and a look every second finds what is left.
//
// It returns the context's error when that ends, and ErrClosed. On a Tx it does not wait, since that would hold up those
// who could create something: it returns ErrNotFound where there is nothing.
func (o *operations) WaitForPending(ctx context.Context) error {
	const doing = "wait for pending generations"
	for {
		announced := o.session.announced() // before the look: what comes after the look rings
		due, err := o.hasDueGenerations(ctx, nil)
		if err != nil {
			return describe(doing, err)
		}
		if due {
			return nil
		}
		if announced == nil {
			return describe(doing, fmt.Errorf("%w: nothing is pending and due; wait on the store, not in a transaction", ErrNotFound))
		}
		if err := waitForWord(ctx, announced, o.untilScheduled(ctx, waitPollInterval)); err != nil {
			return describe(doing, err)
		}
	}
}

// untilScheduled is how long it takes until something comes due, and interval at most. Nobody tells when that is; and what
// was created by a process whose clock is ahead of this one's comes due only after its word has come.
func (o *operations) untilScheduled(ctx context.Context, interval time.Duration) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	var next []time.Time
	now := o.clock.Now()
	// An error costs nothing but the interval; the next look will return it.
	_ = o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		next, err = storagedb.New(db).NextScheduled(ctx, now)
		return err
	})
	for _, scheduled := range next {
		interval = min(interval, max(scheduled.Sub(now), time.Millisecond))
	}
	return interval
}

// hasDueGenerations tells whether there is work for one of the models, or for any where none is given.
func (o *operations) hasDueGenerations(ctx context.Context, models []string) (due bool, err error) {
	err = o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		queries, now := storagedb.New(db), o.clock.Now()
		if len(models) == 0 {
			due, err = queries.HasDueGenerations(ctx, now)
			return err
		}
		for _, model := range models {
			due, err = queries.HasDueGenerationsOfModel(ctx, storagedb.HasDueGenerationsOfModelParams{ModelName: model, Now: now})
			if due || err != nil {
				return err
			}
		}
		return nil
	})
	return due, err
}

// waitForWord returns when there is word of work, or when it is time to look without. It returns an error where ctx ends.
func waitForWord(ctx context.Context, announced <-chan struct{}, interval time.Duration) error {
	poll := time.NewTimer(interval)
	defer poll.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-announced:
	case <-poll.C:
	}
	return nil
}

// alarm wakes those of this process who wait for work. It rings for the process's own writes; a goroutine that begins with
// the first wait, and ends with the alarm, makes it ring for those of others.
type alarm struct {
	listen func(ctx context.Context) // rings for other processes until ctx ends; nil where there are none

	mu        sync.Mutex
	rung      chan struct{} // closed by the next ring
	listening bool
	closed    bool
	stop      context.CancelFunc
	lifetime  context.Context
	running   sync.WaitGroup
}

func newAlarm(listen func(ctx context.Context)) *alarm {
	a := &alarm{listen: listen, rung: make(chan struct{})}
	a.lifetime, a.stop = context.WithCancel(context.Background())
	return a
}

// next is closed by the next ring, and is closed already where the alarm is.
func (a *alarm) next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.listening && !a.closed && a.listen != nil {
		a.listening = true
		a.running.Go(func() { a.listen(a.lifetime) })
	}
	return a.rung
}

func (a *alarm) ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		close(a.rung)
		a.rung = make(chan struct{})
	}
}

// close wakes all who wait, for the last time.
func (a *alarm) close() {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.rung)
	}
	a.mu.Unlock()
	a.stop()
	a.running.Wait()
}
