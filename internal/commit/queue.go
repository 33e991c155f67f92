// Package commit lets concurrent callers share commits, as the writers of LevelDB do. It knows no engine and no
// database.
package commit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
)

// Queue is a group commit. Each caller queues its operation, of type T. A caller that finds no leader becomes one: it
// runs all that is queued as one batch, and tells the others their results, of type R. While it commits, the next
// operations queue up. There is no goroutine and no timer, and nobody waits for company: a lone caller leads at once.
//
// Locks: mu is held for moments, never while something is waited for. A leader holds the connection that its batch runs
// on; the other callers hold nothing. A caller may withdraw its operation until a leader takes it into a batch. From
// then on the caller waits for the outcome, even if its context ends, unless AbandonOnCancel is set.
type Queue[T, R any] struct {
	begin       Begin[T, R]
	waitTimeout time.Duration
	options     Options

	tokens  chan struct{} // holds one for each operation that is queued or runs
	mu      sync.Mutex
	queue   []*Write[T, R]
	leaders int // the number of batches under way
}

// Options of a queue.
type Options struct {
	// Batches is how many batches may be under way at once.
	Batches int
	// AbandonOnCancel lets a caller whose context ends return without waiting for its batch: its outcome is not known
	// then.
	AbandonOnCancel bool
	// Afterwards is called by the leader after its batch, when it holds nothing and all callers know their results. It may
	// be nil.
	Afterwards func()
}

// Begin gets what a batch runs on, for example a connection. It waits until ctx ends or until the deadline. The batch
// is not known yet: it takes whatever is queued when Begin returns.
type Begin[T, R any] func(ctx context.Context, deadline time.Time) (Run[T, R], error)

// Run runs a batch, sets the result or the error of each write, and returns when all that succeeded is durable. A batch
// has no write if all its callers have withdrawn.
type Run[T, R any] func(*Batch[T, R])

const (
	maxQueued = 4096 // callers beyond these wait for a token
	maxBatch  = 512  // so that the first caller of a batch does not wait long for the last
)

// New returns a queue in which an operation waits for at most waitTimeout.
func New[T, R any](waitTimeout time.Duration, options Options, begin Begin[T, R]) *Queue[T, R] {
	return &Queue[T, R]{begin: begin, waitTimeout: waitTimeout, options: options, tokens: make(chan struct{}, maxQueued)}
}

// Batch is the writes that are committed together.
type Batch[T, R any] struct {
	Writes []*Write[T, R]
	queue  *Queue[T, R]
}

// More adds what has been queued since to the batch, up to its limit, and returns the added writes.
func (b *Batch[T, R]) More() []*Write[T, R] {
	taken := b.queue.take(maxBatch - len(b.Writes))
	b.Writes = append(b.Writes, taken...)
	return taken
}

// Write is the operation of one caller.
type Write[T, R any] struct {
	Ctx    context.Context
	Op     T
	Result R
	Err    error
	Done   bool // the outcome is final

	panicked any
	turn     chan turn // tells the caller what to do next; it has room for both values
	leads    bool      // the caller was told to lead; guarded by the queue's mu
}

type turn int

const (
	turnToLead turn = iota
	turnDone
)

// Call runs fn and sets Err. It keeps a panic of fn for the caller whose operation this is.
func (w *Write[T, R]) Call(fn func() error) {
	w.Err = nil
	defer func() {
		if w.panicked = recover(); w.panicked != nil {
			w.Err = fmt.Errorf("panic: %v", w.panicked)
		}
	}()
	w.Err = fn()
}

// Panicked reports whether Call has recovered a panic: the operation must not run again.
func (w *Write[T, R]) Panicked() bool { return w.panicked != nil }

// outcome returns to the caller what its batch has set.
func (w *Write[T, R]) outcome() (result R, err error) {
	if w.panicked != nil {
		panic(w.panicked)
	}
	if w.Err != nil {
		return result, w.Err
	}
	return w.Result, nil
}

// Do runs op in a batch, and returns its result when what it changed is durable. It returns ErrBusy if op waited in the
// queue for longer than the queue's timeout.
func (q *Queue[T, R]) Do(ctx context.Context, op T) (none R, err error) {
	if err := ctx.Err(); err != nil {
		return none, err
	}
	deadline := time.Now().Add(q.waitTimeout)
	if err := q.enter(ctx, deadline); err != nil {
		return none, err
	}
	defer func() { <-q.tokens }()
	w := &Write[T, R]{Ctx: ctx, Op: op, turn: make(chan turn, 2)}
	if !q.enqueue(w) {
		next, err := q.wait(ctx, deadline, w)
		if err != nil {
			return none, err
		}
		if next == turnDone {
			return w.outcome()
		}
	}
	return q.lead(ctx, deadline, w)
}

// enter waits for a token.
func (q *Queue[T, R]) enter(ctx context.Context, deadline time.Time) error {
	select {
	case q.tokens <- struct{}{}:
		return nil
	default: // a wait costs a timer, so it comes second
	}
	_, err := dbtx.WaitUntil(ctx, deadline, dbtx.ForConnection, func(ctx context.Context) (struct{}, error) {
		select {
		case q.tokens <- struct{}{}:
			return struct{}{}, nil
		case <-ctx.Done():
			return struct{}{}, ctx.Err()
		}
	})
	return err
}

// enqueue reports whether the caller leads.
func (q *Queue[T, R]) enqueue(w *Write[T, R]) (leads bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = append(q.queue, w)
	if q.leaders == q.options.Batches {
		return false
	}
	q.leaders++
	w.leads = true
	return true
}

// wait waits until the caller is told what to do. If ctx ends before, it withdraws the write.
func (q *Queue[T, R]) wait(ctx context.Context, deadline time.Time, w *Write[T, R]) (turn, error) {
	return dbtx.WaitUntil(ctx, deadline, dbtx.ForConnection, func(ctx context.Context) (turn, error) {
		select {
		case next := <-w.turn:
			return next, nil
		case <-ctx.Done():
		}
		if q.withdraw(w) {
			return 0, ctx.Err()
		}
		// The write is in a batch, and its outcome is on the way.
		if !q.options.AbandonOnCancel || w.leads {
			return <-w.turn, nil
		}
		select {
		case next := <-w.turn:
			return next, nil
		case <-w.Ctx.Done():
			return 0, w.Ctx.Err()
		}
	})
}

// withdraw takes a write out of the queue, and reports whether it was still there. If its caller was to lead, another
// leads instead.
func (q *Queue[T, R]) withdraw(w *Write[T, R]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.queue, w)
	if i < 0 {
		return false
	}
	q.queue = slices.Delete(q.queue, i, i+1)
	if w.leads {
		q.passOn()
	}
	return true
}

// passOn makes the first caller in the queue that does not lead yet the leader of the next batch. mu is held.
func (q *Queue[T, R]) passOn() {
	for _, w := range q.queue {
		if !w.leads {
			w.leads = true
			w.turn <- turnToLead
			return
		}
	}
	q.leaders--
}

// take takes up to most writes from the queue, first come first served.
func (q *Queue[T, R]) take(most int) []*Write[T, R] {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.queue), most)
	taken := slices.Clone(q.queue[:n])
	q.queue = slices.Delete(q.queue, 0, n)
	return taken
}

// lead runs a batch of what is queued. The leader's own write is in it, unless another leader has taken that.
func (q *Queue[T, R]) lead(ctx context.Context, deadline time.Time, own *Write[T, R]) (none R, err error) {
	run, err := q.begin(ctx, deadline)
	if err != nil {
		if q.withdraw(own) {
			return none, err
		}
		q.mu.Lock()
		q.passOn()
		q.mu.Unlock()
		return q.taken(own)
	}
	b := &Batch[T, R]{queue: q}
	b.More()
	q.runAndTell(b, run, own)
	if q.options.Afterwards != nil {
		q.options.Afterwards()
	}
	if slices.Contains(b.Writes, own) {
		return own.outcome()
	}
	return q.taken(own)
}

var errLeaderEnded = errors.New("the goroutine that committed for several callers has ended")

// runAndTell runs a batch, lets the next begin, and tells the other callers their outcomes. It does so even if an
// operation ends this goroutine.
func (q *Queue[T, R]) runAndTell(b *Batch[T, R], run Run[T, R], own *Write[T, R]) {
	finished := false
	defer func() {
		q.mu.Lock()
		q.passOn()
		q.mu.Unlock()
		for _, w := range b.Writes {
			if !finished && !w.Done && w.Err == nil {
				w.Err = fmt.Errorf("%w: %w", dberr.ErrBusy, errLeaderEnded)
			}
			if w != own {
				w.turn <- turnDone
			}
		}
	}()
	run(b)
	finished = true
}

// taken waits for the outcome of a leader's write that another leader has taken into its batch.
func (q *Queue[T, R]) taken(own *Write[T, R]) (none R, err error) {
	if !q.options.AbandonOnCancel {
		<-own.turn
		return own.outcome()
	}
	select {
	case <-own.turn:
		return own.outcome()
	case <-own.Ctx.Done():
		return none, own.Ctx.Err()
	}
}
