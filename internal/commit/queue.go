// Package commit lets concurrent callers share commits, as the writers of LevelDB do. It knows no engine and no
// database.
package commit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
)

// Queue is a group commit. Each caller queues its operation, of type T, and waits for its result, of type R. A leader
// runs all that is queued as one batch, and tells the callers their results. While it commits, the next operations
// queue up. Nobody waits for company: a lone operation runs at once.
//
// A leader is a goroutine of the queue's. A caller that finds fewer leaders than there may be starts one, and it ends
// when nothing is queued. So a batch does not depend on any caller. A caller whose context ends withdraws its
// operation, if no leader has taken that into a batch yet. Otherwise it leaves the batch after [dbtx.LeaveAfter], and
// its outcome is not known.
//
// Locks: mu is held for moments, never while something is waited for. A leader holds the connection that its batch runs
// on; the callers hold nothing.
type Queue[T, R any] struct {
	begin       Begin[T, R]
	waitTimeout time.Duration
	options     Options

	tokens  chan struct{} // holds one for each caller
	running sync.WaitGroup
	mu      sync.Mutex
	queue   []*Write[T, R]
	leaders int
	// beginning is how many of the leaders have not begun a batch yet.
	beginning int
	closed    bool
	idle      context.CancelFunc // ends the waits of all leaders that begin a batch; nil if none does
	waiting   context.Context    // the context of these waits
}

// Options of a queue.
type Options struct {
	// Batches is how many batches may be under way at once.
	Batches int
	// Logger gets the statements of a batch. One of its callers passes them on, when it knows its own result. It may be
	// nil.
	Logger *slog.Logger
	// Afterwards is called by the leader after a batch, when it holds nothing and all callers know their results. It must
	// return soon. It may be nil.
	Afterwards func()
}

// Begin gets what a batch runs on, for example a connection, and waits for it until the deadline. ctx ends when nothing
// is queued any more, so that Close need not wait for it. The batch is not known yet: it takes whatever is queued when
// Begin returns.
type Begin[T, R any] func(ctx context.Context, deadline time.Time, log *dbtx.Log) (Run[T, R], error)

// Run runs a batch, sets the result or the error of each write, and returns when all that succeeded is durable. A batch
// has no write if all its callers have withdrawn.
type Run[T, R any] func(*Batch[T, R])

const (
	maxQueued = 4096 // callers beyond these wait for a token
	maxBatch  = 512  // so that the first caller of a batch does not wait long for the last
	// busyGrace lets the leader be the one who says what was waited for in vain: it knows better than its callers. It is
	// also the least time that a leader has to begin: it may get to run late.
	busyGrace = 50 * time.Millisecond
)

// New returns a queue in which an operation waits for at most waitTimeout.
func New[T, R any](waitTimeout time.Duration, options Options, begin Begin[T, R]) *Queue[T, R] {
	return &Queue[T, R]{begin: begin, waitTimeout: waitTimeout, options: options, tokens: make(chan struct{}, maxQueued)}
}

// Close waits for the leaders, and lets no other begin.
func (q *Queue[T, R]) Close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.running.Wait()
}

// Batch is the writes that are committed together.
type Batch[T, R any] struct {
	Writes []*Write[T, R]
	Log    *dbtx.Log
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

	deadline time.Time
	panicked any
	exited   bool
	log      *dbtx.Log // for this caller to pass on; nil if another one does
	hears    atomic.Int32
	told     chan struct{} // has room for the one value
}

// The values of Write.hears.
const (
	waits int32 = iota
	knows       // its leader has told it the outcome
	left        // its caller has left
)

// Call runs fn and sets Err. If fn panics or ends its goroutine, that is kept for the caller whose operation this is.
func (w *Write[T, R]) Call(fn func() error) {
	w.Err, w.exited = nil, true
	defer func() {
		if w.panicked = recover(); w.panicked != nil {
			w.Err, w.exited = fmt.Errorf("panic: %v", w.panicked), false
		}
	}()
	w.Err = fn()
	w.exited = false
}

// Panicked reports whether Call has recovered a panic: the operation must not run again.
func (w *Write[T, R]) Panicked() bool { return w.panicked != nil }

// outcome returns to the caller what its batch has set. It logs for the batch, because the caller holds nothing now.
func (w *Write[T, R]) outcome() (result R, err error) {
	defer w.log.Flush(w.Ctx)
	switch {
	case w.panicked != nil:
		panic(w.panicked)
	case w.exited:
		runtime.Goexit()
	case w.Err != nil:
		return result, w.Err
	}
	return w.Result, nil
}

// Do runs op in a batch, and returns its result when what it changed is durable. It returns ErrBusy if op waited in the
// queue for longer than the queue's timeout. If ctx ends, it returns within moments, and the error says whether the
// outcome is known.
func (q *Queue[T, R]) Do(ctx context.Context, op T) (none R, err error) {
	w := &Write[T, R]{Ctx: ctx, Op: op, told: make(chan struct{}, 1)}
	if err := q.await(w); err != nil {
		return none, err
	}
	return w.outcome()
}

// await queues a write, and waits until its outcome is known.
func (q *Queue[T, R]) await(w *Write[T, R]) error {
	if err := w.Ctx.Err(); err != nil {
		return dberr.NothingChanged(err)
	}
	w.deadline = time.Now().Add(q.waitTimeout)
	if err := q.enter(w); err != nil {
		return err
	}
	defer func() { <-q.tokens }()
	if err := q.enqueue(w); err != nil {
		return err
	}
	timeout := time.NewTimer(time.Until(w.deadline) + busyGrace)
	defer timeout.Stop()
	select {
	case <-w.told:
		return nil
	case <-timeout.C:
		if !q.begins(w) && q.withdraw(w) {
			return dbtx.TimedOut(dbtx.ForConnection)
		}
		// The write is in a batch, which is not bounded by the timeout, or a leader begins one for it and knows better.
		select {
		case <-w.told:
			return nil
		case <-w.Ctx.Done():
		}
	case <-w.Ctx.Done():
	}
	if q.withdraw(w) {
		return dberr.NothingChanged(w.Ctx.Err())
	}
	leave := time.NewTimer(dbtx.LeaveAfter)
	defer leave.Stop()
	select {
	case <-w.told:
		return nil
	case <-leave.C:
	}
	if !w.hears.CompareAndSwap(waits, left) { // it is told at this moment
		<-w.told
		return nil
	}
	return dberr.OutcomeUnknown(w.Ctx.Err())
}

// enter waits for a token.
func (q *Queue[T, R]) enter(w *Write[T, R]) error {
	select {
	case q.tokens <- struct{}{}:
		return nil
	default: // a wait costs a timer, so it comes second
	}
	timeout := time.NewTimer(time.Until(w.deadline))
	defer timeout.Stop()
	select {
	case q.tokens <- struct{}{}:
		return nil
	case <-timeout.C:
		return dbtx.TimedOut(dbtx.ForConnection)
	case <-w.Ctx.Done():
		return dberr.NothingChanged(w.Ctx.Err())
	}
}

// enqueue queues a write, and sees to it that a leader takes it.
func (q *Queue[T, R]) enqueue(w *Write[T, R]) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return dberr.ErrClosed
	}
	q.queue = append(q.queue, w)
	if q.leaders < q.options.Batches {
		q.leaders++
		q.beginning++
		q.running.Go(q.lead)
	}
	return nil
}

// begins reports whether a leader is about to begin a batch for the write. It waits no longer than the timeout allows,
// but it may not have run yet on a busy machine: then nobody has kept the write waiting.
func (q *Queue[T, R]) begins(w *Write[T, R]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.beginning > 0 && len(q.queue) > 0 && q.queue[0] == w
}

// countBeginning adds n to the leaders that have not begun a batch yet.
func (q *Queue[T, R]) countBeginning(n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.beginning += n
}

// withdraw takes a write out of the queue, and reports whether it was still there.
func (q *Queue[T, R]) withdraw(w *Write[T, R]) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.Index(q.queue, w)
	if i < 0 {
		return false
	}
	q.queue = slices.Delete(q.queue, i, i+1)
	if len(q.queue) == 0 && q.idle != nil {
		q.idle()
		q.idle = nil
	}
	return true
}

// untilIdle returns a context that ends when the queue is empty because the callers have left.
func (q *Queue[T, R]) untilIdle() context.Context {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.idle == nil {
		q.waiting, q.idle = context.WithCancel(context.Background())
	}
	return q.waiting
}

// take takes up to most writes from the queue, first come first served. It leaves out those whose contexts have ended.
func (q *Queue[T, R]) take(most int) []*Write[T, R] {
	q.mu.Lock()
	n := min(len(q.queue), most)
	taken := slices.Clone(q.queue[:n])
	q.queue = slices.Delete(q.queue, 0, n)
	q.mu.Unlock()
	return slices.DeleteFunc(taken, func(w *Write[T, R]) bool {
		err := w.Ctx.Err()
		if err != nil {
			w.Err = dberr.NothingChanged(err)
			w.tell(nil)
		}
		return err != nil
	})
}

// lead runs batches until nothing is queued.
func (q *Queue[T, R]) lead() {
	ended := true
	defer func() {
		if ended { // an operation has ended this goroutine
			q.countBeginning(1)
			q.running.Go(q.lead)
		}
	}()
	for first := q.first(); first != nil; first = q.first() {
		q.runBatch(first)
		if q.options.Afterwards != nil {
			q.options.Afterwards()
		}
		q.countBeginning(1)
	}
	ended = false
}

// first returns the first write of the queue. If there is none, the leader has gone.
func (q *Queue[T, R]) first() *Write[T, R] {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		q.leaders--
		q.beginning--
		return nil
	}
	return q.queue[0]
}

var errLeaderEnded = errors.New("the goroutine that committed for several callers has ended: " +
	"it is not known whether this took effect")

// runBatch runs a batch of what is queued, and tells the callers their outcomes. If the batch cannot begin, the first
// caller has waited in vain; the others have time left. All are told something even if an operation panics or ends this
// goroutine.
func (q *Queue[T, R]) runBatch(first *Write[T, R]) {
	b := &Batch[T, R]{Log: dbtx.NewLog(q.options.Logger), queue: q}
	err, beginning := errLeaderEnded, true
	defer func() {
		if beginning {
			q.countBeginning(-1)
		}
		if reason := recover(); reason != nil {
			err = fmt.Errorf("panic in a commit for several callers: %v", reason)
		}
		if err != nil && q.withdraw(first) {
			b.Writes = append(b.Writes, first)
		}
		b.tell(err)
	}()
	deadline := first.deadline
	if soonest := time.Now().Add(busyGrace); deadline.Before(soonest) {
		deadline = soonest
	}
	run, failed := q.begin(q.untilIdle(), deadline, b.Log)
	if failed != nil {
		err = failed
		return
	}
	b.More()
	q.countBeginning(-1)
	beginning = false
	run(b)
	err = nil
}

// tell tells all callers their outcomes. err is for those that have none. The first one that still waits is also given
// the log to pass on.
func (b *Batch[T, R]) tell(err error) {
	log := b.Log
	for _, w := range b.Writes {
		if err != nil && !w.Done && w.Err == nil {
			w.Err = err
		}
		if w.tell(log) {
			log = nil
		}
	}
	if log != nil {
		go log.Flush(dbtx.WithoutCaller(context.Background()))
	}
}

// tell tells the caller that the outcome is known, and reports whether it was still there to hear it.
func (w *Write[T, R]) tell(log *dbtx.Log) bool {
	w.log = log
	if !w.hears.CompareAndSwap(waits, knows) {
		return false
	}
	w.told <- struct{}{}
	return true
}

// Context returns a context for the batch's statements. The end of a caller's context does not end it. When those of
// all callers have ended, it lasts no longer than late.
func (b *Batch[T, R]) Context(late time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	var lasting atomic.Int64
	lasting.Store(int64(len(b.Writes)))
	stops := make([]func() bool, 0, len(b.Writes))
	for _, w := range b.Writes {
		if w.Ctx.Done() == nil {
			continue
		}
		stops = append(stops, context.AfterFunc(w.Ctx, func() {
			if lasting.Add(-1) == 0 {
				time.AfterFunc(late, cancel)
			}
		}))
	}
	return ctx, func() {
		for _, stop := range stops {
			stop()
		}
		cancel()
	}
}
