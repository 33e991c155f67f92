package store

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dgx-music/storage/storagedb"
)

// coalescer lets concurrent callers share commits, as the writers of LevelDB do: each queues its write, and whoever finds
// that nobody leads becomes the leader, makes one transaction of all that is queued, and tells the others how theirs went.
// While it commits, the next ones queue up. There is no goroutine behind it, and nobody waits for company: a lone caller
// leads at once.
//
// What locks what: mu is held for moments, and never while something is waited for. The leader holds the connection that
// its batch runs on; everybody else holds nothing. Once a write is taken into a batch its caller waits for the outcome,
// whatever becomes of its context, unless leaves says that it need not: until then it may withdraw.
type coalescer struct {
	// begin gets what a batch runs on, for as long as the leader's context and patience allow. It is not known yet what is
	// going to be in the batch: whatever is queued by the time that it returns.
	begin func(ctx context.Context, deadline time.Time) (batchRunner, error)
	// patience is how long a write may wait in the queue.
	patience time.Duration
	// leaves says that callers whose context ends need not wait for the outcome of a batch: where that is far away.
	leaves bool
	// afterwards is called by the leader when it holds nothing any more, and all know how their writes went.
	afterwards func()

	room    chan struct{} // holds a token for each write that is queued or runs
	mu      sync.Mutex
	queue   []*queuedWrite
	leaders int // how many batches are on their way
	most    int // how many may be
}

// batchRunner runs the writes of a batch, sets the error of each, and returns when all that succeeded is durable. There may be
// no write at all, where their callers have given up.
type batchRunner func(*batch)

// batch is what is committed together.
type batch struct {
	writes []*queuedWrite
	queue  *coalescer
}

// more takes along what has been queued since, as long as there is room, and returns it.
func (b *batch) more() []*queuedWrite {
	taken := b.queue.take(maxBatchWrites - len(b.writes))
	b.writes = append(b.writes, taken...)
	return taken
}

const (
	maxQueuedWrites = 4096 // whoever comes then waits for room
	maxBatchWrites  = 512  // so that the first of a batch does not wait long for the last
	maxTogether     = 16   // rows of one call that still count as few
)

func newCoalescer(most int, patience time.Duration, begin func(context.Context, time.Time) (batchRunner, error)) *coalescer {
	return &coalescer{begin: begin, patience: patience, most: most, room: make(chan struct{}, maxQueuedWrites)}
}

// queuedWrite is a write of one caller.
type queuedWrite struct {
	ctx    context.Context
	fn     func(storagedb.DBTX) error
	joint  *jointWrite // what fn does, where the engine can do that for many at once
	atomic bool        // fn has several statements that change something, or one that the schema may refuse behind another
	err    error
	done   bool // the outcome is final
	panic  any
	turn   chan turn // tells its caller what to do next; there is room for both words
	leads  bool      // its caller has been told to lead; under the coalescer's mu
}

type turn int

const (
	turnToLead turn = iota
	turnDone
)

// call runs fn, and keeps its panic for its own caller.
func (w *queuedWrite) call(db storagedb.DBTX) {
	w.err = nil
	defer func() {
		if w.panic = recover(); w.panic != nil {
			w.err = fmt.Errorf("panic: %v", w.panic)
		}
	}()
	w.err = w.fn(db)
}

// result is what its caller gets.
func (w *queuedWrite) result() error {
	if w.panic != nil {
		panic(w.panic)
	}
	return w.err
}

// write runs fn in a batch, and returns its error once what it changed is durable. Statements of fn are not cut off by ctx,
// since that would end the transaction for all.
func (c *coalescer) write(ctx context.Context, atomic bool, fn func(storagedb.DBTX) error) error {
	return c.do(&queuedWrite{ctx: ctx, fn: fn, atomic: atomic, turn: make(chan turn, 2)})
}

// writeJoint is write, for what the engine can do for many at once.
func (c *coalescer) writeJoint(ctx context.Context, joint *jointWrite, alone func(storagedb.DBTX) error) error {
	return c.do(&queuedWrite{ctx: ctx, fn: alone, joint: joint, atomic: joint.atomic, turn: make(chan turn, 2)})
}

func (c *coalescer) do(w *queuedWrite) error {
	ctx := w.ctx
	if err := ctx.Err(); err != nil {
		return err
	}
	deadline := time.Now().Add(c.patience)
	if err := c.enter(ctx, deadline); err != nil {
		return err
	}
	defer func() { <-c.room }()
	if !c.enqueue(w) {
		next, err := c.wait(ctx, deadline, w)
		if err != nil {
			return err
		}
		if next == turnDone {
			return w.result()
		}
	}
	return c.lead(ctx, deadline, w)
}

// enter waits for room in the queue.
func (c *coalescer) enter(ctx context.Context, deadline time.Time) error {
	select {
	case c.room <- struct{}{}:
		return nil
	default: // only now a wait costs its timer
	}
	_, err := waitUntil(ctx, deadline, waitForConnection, func(ctx context.Context) (struct{}, error) {
		select {
		case c.room <- struct{}{}:
			return struct{}{}, nil
		case <-ctx.Done():
			return struct{}{}, ctx.Err()
		}
	})
	return err
}

// enqueue tells whether the caller leads.
func (c *coalescer) enqueue(w *queuedWrite) (leads bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, w)
	if c.leaders == c.most {
		return false
	}
	c.leaders++
	w.leads = true
	return true
}

// wait waits for the word, or withdraws the write, where it has not been taken into a batch yet.
func (c *coalescer) wait(ctx context.Context, deadline time.Time, w *queuedWrite) (turn, error) {
	return waitUntil(ctx, deadline, waitForConnection, func(ctx context.Context) (turn, error) {
		select {
		case next := <-w.turn:
			return next, nil
		case <-ctx.Done():
		}
		if c.withdraw(w) {
			return 0, ctx.Err()
		}
		// It is in a batch, and its outcome is on the way.
		if !c.leaves || w.leads {
			return <-w.turn, nil
		}
		select {
		case next := <-w.turn:
			return next, nil
		case <-w.ctx.Done():
			return 0, w.ctx.Err()
		}
	})
}

// withdraw takes a write out of the queue, and tells whether it was still there. Where it had been made the leader, another
// one leads instead.
func (c *coalescer) withdraw(w *queuedWrite) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, w)
	if i < 0 {
		return false
	}
	c.queue = slices.Delete(c.queue, i, i+1)
	if w.leads {
		c.passOn()
	}
	return true
}

// passOn lets the first in the queue that does not lead yet lead the next batch. mu is held.
func (c *coalescer) passOn() {
	for _, w := range c.queue {
		if !w.leads {
			w.leads = true
			w.turn <- turnToLead
			return
		}
	}
	c.leaders--
}

// take takes what is queued, so many at the most, first come first served.
func (c *coalescer) take(most int) []*queuedWrite {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := min(len(c.queue), most)
	batch := slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	return batch
}

// lead makes a batch of what is queued, its own write among it unless another leader has taken that.
func (c *coalescer) lead(ctx context.Context, deadline time.Time, own *queuedWrite) error {
	run, err := c.begin(ctx, deadline)
	if err != nil {
		if c.withdraw(own) {
			return err
		}
		c.mu.Lock()
		c.passOn()
		c.mu.Unlock()
		return c.outcome(own)
	}
	b := &batch{queue: c}
	b.more()
	c.runAndTell(b, run, own)
	if c.afterwards != nil {
		c.afterwards()
	}
	if slices.Contains(b.writes, own) {
		return own.result()
	}
	return c.outcome(own)
}

// runAndTell runs a batch, lets the next begin, and tells the others how theirs went, also where one of the writes ends this
// goroutine.
func (c *coalescer) runAndTell(b *batch, run batchRunner, own *queuedWrite) {
	finished := false
	defer func() {
		c.mu.Lock()
		c.passOn()
		c.mu.Unlock()
		for _, w := range b.writes {
			if !finished && !w.done && w.err == nil {
				w.err = fmt.Errorf("%w: the goroutine that committed for several has ended", ErrBusy)
			}
			if w != own {
				w.turn <- turnDone
			}
		}
	}()
	run(b)
	finished = true
}

// outcome is that of a leader's write that another leader has taken along.
func (c *coalescer) outcome(own *queuedWrite) error {
	if !c.leaves {
		<-own.turn
		return own.result()
	}
	select {
	case <-own.turn:
		return own.result()
	case <-own.ctx.Done():
		return own.ctx.Err()
	}
}

// latest is the time of the write that was asked for last.
func latest(batch []*queuedWrite) time.Time {
	now := batch[0].joint.now
	for _, w := range batch[1:] {
		if w.joint.now.After(now) {
			now = w.joint.now
		}
	}
	return now
}

// createTogether does creations at once, and leaves to the caller to tell when they are durable.
func createTogether(ctx context.Context, d dialect, db storagedb.DBTX, batch []*queuedWrite) error {
	rows := make([]CreateGenerationParams, len(batch))
	for i, w := range batch {
		rows[i] = *w.joint.create
	}
	created, err := d.createGenerations(ctx, db, rows, latest(batch))
	if err != nil {
		return err
	}
	for i, w := range batch {
		w.joint.set(created[i])
	}
	return nil
}
