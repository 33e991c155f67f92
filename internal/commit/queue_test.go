package commit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/storagedb"
)

// All tests but the last run in a bubble of testing/synctest, where time passes only while all goroutines wait. So
// each order is exact.

var errRefused = errors.New("refused")

// fake is what a queue of numbers commits to. The result of n is its square.
type fake struct {
	*Queue[int, int]
	t          *testing.T
	beginTakes time.Duration // how long Begin waits for its connection
	takes      time.Duration // how long a batch runs
	beginErr   error         // what Begin returns instead of a connection
	work       func(b *Batch[int, int], w *Write[int, int])

	mu       sync.Mutex
	batches  [][]int
	underWay int
	most     int // batches under way at once
}

func newFake(t *testing.T, waitTimeout time.Duration, options Options) *fake {
	f := &fake{t: t, takes: time.Second}
	f.Queue = New(waitTimeout, options, f.begin)
	return f
}

func (f *fake) begin(ctx context.Context, deadline time.Time, log *dbtx.Log) (Run[int, int], error) {
	if f.beginTakes > time.Until(deadline) {
		time.Sleep(time.Until(deadline))
		return nil, fmt.Errorf("%w: no connection", dberr.ErrBusy)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(f.beginTakes):
	}
	if f.beginErr != nil {
		return nil, f.beginErr
	}
	return f.run, nil
}

func (f *fake) run(b *Batch[int, int]) {
	f.mu.Lock()
	var ops []int
	for _, w := range b.Writes {
		ops = append(ops, w.Op)
	}
	f.batches = append(f.batches, ops)
	f.underWay++
	f.most = max(f.most, f.underWay)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.underWay--
		f.mu.Unlock()
	}()
	time.Sleep(f.takes)
	for _, w := range b.Writes {
		if f.work != nil {
			f.work(b, w)
		} else {
			w.Result = w.Op * w.Op
		}
	}
}

// outcome is what a caller was told, and when.
type outcome struct {
	result   int
	err      error
	after    time.Duration
	panicked any
	ended    bool // its goroutine was ended
}

func (o outcome) changedNothing() bool {
	return errors.Is(o.err, context.DeadlineExceeded) && strings.Contains(o.err.Error(), "nothing was changed")
}

func (o outcome) isNotKnown() bool {
	return errors.Is(o.err, context.DeadlineExceeded) && strings.Contains(o.err.Error(), "not known")
}

// call starts callers one after the other, and returns what each will have been told when all have ended.
func (f *fake) call(ops ...int) func() []outcome {
	contexts := make([]context.Context, len(ops))
	for i := range contexts {
		contexts[i] = f.t.Context()
	}
	return f.callWith(contexts, ops...)
}

func (f *fake) callWith(contexts []context.Context, ops ...int) func() []outcome {
	outcomes := make([]outcome, len(ops))
	began := time.Now()
	var group sync.WaitGroup
	for i, op := range ops {
		group.Add(1)
		go func() {
			o := &outcomes[i]
			o.ended = true
			defer func() {
				if o.panicked = recover(); o.panicked != nil {
					o.ended = false
				}
				o.after = time.Since(began)
				group.Done()
			}()
			o.result, o.err = f.Do(contexts[i], op)
			o.ended = false
		}()
		synctest.Wait() // until it is queued or leads
	}
	return func() []outcome { group.Wait(); return outcomes }
}

func TestLoneCallerLeadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		is.Equal(f.call(3)(), []outcome{{result: 9, after: time.Second}})
		is.Equal(f.call(4)(), []outcome{{result: 16, after: time.Second}})
		is.Equal(f.batches, [][]int{{3}, {4}})
	})
}

func TestCallersShareABatchInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		for i, o := range f.call(1, 2, 3, 4, 5)() {
			is.NoErr(o.err)
			is.Equal(o.result, (i+1)*(i+1))
		}
		is.Equal(f.batches, [][]int{{1}, {2, 3, 4, 5}})
	})
}

// What a batch runs on comes late, and then the batch takes all that is queued.
func TestBatchTakesWhatIsQueuedWhenBeginReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		f.beginTakes = time.Second
		f.call(1, 2, 3)()
		is.Equal(f.batches, [][]int{{1, 2, 3}})
	})
}

func TestBatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		ops := make([]int, 1+maxBatch+10)
		for i := range ops {
			ops[i] = i
		}
		outcomes := f.call(ops...)()
		is.Equal(f.batches, [][]int{ops[:1], ops[1 : 1+maxBatch], ops[1+maxBatch:]})
		is.Equal(outcomes[len(ops)-1].after, 3*time.Second)
	})
}

func TestSoManyBatchesAreUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 3})
		f.call(1, 2, 3, 4, 5)()
		is.Equal(f.most, 3)
		// The first of the three leaders that is done takes both, and the others find nothing or run an empty batch.
		is.Equal(slices.DeleteFunc(f.batches, func(ops []int) bool { return len(ops) == 0 }), [][]int{{1}, {2}, {3}, {4, 5}})
	})
}

func TestMoreTakesWhatHasBeenQueuedSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		var more []int
		f.work = func(b *Batch[int, int], w *Write[int, int]) {
			if w.Op == 1 {
				for _, w := range b.More() {
					more = append(more, w.Op)
					w.Result = -w.Op
				}
			}
		}
		outcomes := f.call(1, 2, 3)()
		is.Equal(more, []int{2, 3})
		is.Equal(outcomes[2], outcome{result: -3, after: time.Second})
		is.Equal(len(f.batches), 1)
	})
}

func TestCallerGivesUpAfterTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, 5*time.Second, Options{Batches: 1})
		f.takes = time.Minute
		outcomes := f.call(1, 2)()
		is.Equal(outcomes[0], outcome{result: 1, after: time.Minute}) // it runs, and does not wait
		is.True(errors.Is(outcomes[1].err, dberr.ErrBusy))
		is.Equal(outcomes[1].after, 5*time.Second+busyGrace)
		is.Equal(f.call(3)()[0].result, 9)
		is.Equal(f.batches, [][]int{{1}, {3}})
	})
}

func TestCallersBeyondTheQueueWaitForAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, 5*time.Second, Options{Batches: 1})
		f.takes = 4 * time.Second
		for range maxQueued - 1 { // as many others
			f.tokens <- struct{}{}
		}
		outcomes := f.call(1, 2, 3)()
		is.Equal(outcomes[0].after, 4*time.Second)
		is.Equal(outcomes[1].after, 8*time.Second)
		is.True(errors.Is(outcomes[2].err, dberr.ErrBusy))
		is.Equal(outcomes[2].after, 5*time.Second)
	})
}

func TestCallerWhoseContextEndsWithdraws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		outcomes := f.callWith([]context.Context{t.Context(), short, t.Context()}, 1, 2, 3)()
		is.True(outcomes[1].changedNothing())
		is.Equal(outcomes[1].after, time.Second/2)
		is.Equal(f.batches, [][]int{{1}, {3}})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		o := f.callWith([]context.Context{ended}, 4)()[0]
		is.True(errors.Is(o.err, context.Canceled))
		is.Equal(len(f.batches), 2)
	})
}

// A caller whose context has ended, and that has not noticed yet, does no work for nobody.
func TestBatchLeavesOutWhomNobodyWaitsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		ending, end := context.WithCancel(t.Context())
		f.work = func(_ *Batch[int, int], w *Write[int, int]) { end() }
		outcomes := f.callWith([]context.Context{t.Context(), ending, t.Context()}, 1, 2, 3)()
		is.True(errors.Is(outcomes[1].err, context.Canceled))
		is.Equal(f.batches, [][]int{{1}, {3}})
	})
}

// Once a leader has taken a caller's operation, the caller waits for the outcome for a moment, and then leaves it: the
// first of a batch like the others. The batch goes on.
func TestContextThatEndsAfterTheOperationWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		early, cancel := context.WithTimeout(t.Context(), 3*time.Second/2)
		defer cancel()
		late, cancel := context.WithTimeout(t.Context(), 2*time.Second-dbtx.LeaveAfter/2)
		defer cancel()
		outcomes := f.callWith([]context.Context{t.Context(), early, early, late, t.Context()}, 1, 2, 3, 4, 5)()
		for _, o := range outcomes[1:3] {
			is.True(o.isNotKnown())
			is.Equal(o.after, 3*time.Second/2+dbtx.LeaveAfter)
		}
		is.Equal(outcomes[3], outcome{result: 16, after: 2 * time.Second})
		is.Equal(outcomes[4], outcome{result: 25, after: 2 * time.Second})
		is.Equal(f.batches, [][]int{{1}, {2, 3, 4, 5}})
		is.Equal(len(f.tokens), 0)
	})
}

// A lone caller leaves its batch, too, and the next one does not wait for that caller.
func TestCallersThatLeaveAreNotMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		is.True(f.callWith([]context.Context{short}, 1)()[0].isNotKnown())
		is.Equal(f.call(2)()[0].result, 4)
		is.Equal(f.batches, [][]int{{1}, {2}})
		f.Close()
		is.Equal(f.call(3)()[0].err, dberr.ErrClosed)
	})
}

func TestCloseWaitsForTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, time.Minute, Options{Batches: 2})
		began := time.Now()
		outcomes := f.call(1, 2, 3)
		f.Close()
		is.New(t).Equal(time.Since(began), 2*time.Second) // what is queued still runs
		for _, o := range outcomes() {
			is.New(t).NoErr(o.err)
		}
	})
}

// A leader that still waits for a connection waits for nobody when the callers have left.
func TestCloseDoesNotWaitForWithdrawnWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake(t, time.Hour, Options{Batches: 2})
		f.beginTakes = time.Minute
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		for _, o := range f.callWith([]context.Context{short, short}, 1, 2)() {
			is.New(t).True(errors.Is(o.err, context.DeadlineExceeded))
		}
		f.Close()
		is.New(t).Equal(time.Since(began), time.Second)
	})
}

// The timeout bounds the wait in the queue, and not the batch.
func TestTimeoutAfterTheOperationWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, 3*time.Second/2, Options{Batches: 1})
		short, cancel := context.WithTimeout(t.Context(), 3*time.Second/2+busyGrace*2)
		defer cancel()
		f.takes = time.Second
		outcomes := f.callWith([]context.Context{t.Context(), t.Context(), short, t.Context()}, 1, 2, 3, 4)()
		is.Equal(outcomes[1], outcome{result: 4, after: 2 * time.Second})
		is.True(outcomes[2].isNotKnown()) // its context ended after the timeout
		is.Equal(outcomes[3], outcome{result: 16, after: 2 * time.Second})
	})
}

// If a batch cannot begin, the first caller hears why. The others have time left, and the next batch is theirs.
func TestBatchThatCannotBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, 2*time.Second, Options{Batches: 1})
		f.beginTakes = time.Hour
		first := f.call(1)
		time.Sleep(time.Second)
		second := f.call(2)
		is.True(errors.Is(first()[0].err, dberr.ErrBusy))
		is.True(strings.Contains(first()[0].err.Error(), "no connection")) // as Begin says it
		is.Equal(first()[0].after, 2*time.Second)
		is.True(errors.Is(second()[0].err, dberr.ErrBusy))
		is.Equal(second()[0].after, 2*time.Second)

		f.beginTakes, f.beginErr = 0, errRefused // to all of them in turn
		for _, o := range f.call(4, 5)() {
			is.Equal(o.err, errRefused)
		}
		f.beginErr = nil
		is.Equal(f.call(6)()[0].result, 36)
		is.Equal(f.batches, [][]int{{6}})
	})
}

// The caller for which a leader began to wait has gone. The error of that wait is nobody's, and the leader waits again.
func TestBatchThatCannotBeginAndWhoseFirstCallerHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, 5*time.Second, Options{Batches: 1})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		connected := make(chan error)
		f.Queue.begin = func(context.Context, time.Time, *dbtx.Log) (Run[int, int], error) { return f.run, <-connected }
		outcomes := f.callWith([]context.Context{short, t.Context()}, 1, 2)
		time.Sleep(2 * time.Second)
		connected <- errRefused
		connected <- nil
		is.True(outcomes()[0].changedNothing())
		is.Equal(outcomes()[0].after, time.Second)
		is.Equal(outcomes()[1], outcome{result: 4, after: 3 * time.Second})
	})
}

// Of two leaders that wait for a connection, the first takes both operations. The second's batch is empty, or its error
// is nobody's.
func TestLeaderWhoseOperationAnotherHasTaken(t *testing.T) {
	for _, failing := range []error{nil, errRefused} {
		synctest.Test(t, func(t *testing.T) {
			is := is.New(t)
			f := newFake(t, time.Minute, Options{Batches: 2})
			f.takes = 10 * time.Second
			connected := make(chan error)
			f.Queue.begin = func(context.Context, time.Time, *dbtx.Log) (Run[int, int], error) { return f.run, <-connected }
			outcomes := f.call(1, 2)
			connected <- nil
			time.Sleep(time.Second)
			connected <- failing
			is.Equal(outcomes()[1].result, 4)
			is.NoErr(outcomes()[1].err)
			is.Equal(f.batches[0], []int{1, 2})
			time.Sleep(time.Minute) // until the other leader, which has nothing to do, has gone
			synctest.Wait()
			f.takes = time.Second
			f.Queue.begin = f.begin
			is.Equal(f.call(3)()[0].result, 9)
		})
	}
}

func TestPanicReachesItsOwnCallerOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		f.work = func(_ *Batch[int, int], w *Write[int, int]) {
			w.Call(func() error {
				if w.Op%2 == 0 {
					panic(fmt.Sprint("oops ", w.Op))
				}
				if w.Op == 3 {
					return errRefused
				}
				w.Result = w.Op
				return nil
			})
			if w.Panicked() != (w.Op%2 == 0) || (w.Err == nil) != (w.Op == 1 || w.Op == 5) {
				t.Errorf("%d: %v, %v", w.Op, w.Panicked(), w.Err)
			}
		}
		for lead := range []int{0, 1} { // the leader's own operation, and that of another
			outcomes := f.call(1+lead, 2, 3, 4, 5)()
			if lead == 0 {
				is.Equal(outcomes[0].result, 1)
			} else {
				is.Equal(outcomes[0].panicked, "oops 2")
			}
			is.Equal(outcomes[1].panicked, "oops 2")
			is.Equal(outcomes[2].err, errRefused)
			is.Equal(outcomes[3].panicked, "oops 4")
			is.Equal(outcomes[4].result, 5)
		}
	})
}

// runtime.Goexit in an operation, as testing's FailNow calls it, ends the goroutine of its caller. The others of the
// batch learn that their outcome is not known, except those whose outcome is final, and the queue goes on.
func TestOperationThatEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		f.work = func(_ *Batch[int, int], w *Write[int, int]) {
			switch w.Op {
			case 2:
				w.Result, w.Done = 4, true
			case 3:
				w.Err = errRefused
			case 4:
				w.Call(func() error { runtime.Goexit(); return nil })
			}
		}
		outcomes := f.call(1, 2, 3, 4, 5)()
		is.Equal(outcomes[1], outcome{result: 4, after: 2 * time.Second})
		is.Equal(outcomes[2].err, errRefused)
		is.True(outcomes[3].ended)
		is.True(errors.Is(outcomes[4].err, errLeaderEnded))
		f.work = nil
		is.Equal(f.call(6)()[0].result, 36)
	})
}

// A panic outside of an operation is a fault of the store's. It does not end the process, nor the queue.
func TestBatchThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		f.work = func(*Batch[int, int], *Write[int, int]) { panic("oops") }
		for _, o := range f.call(1, 2, 3)() {
			is.True(strings.Contains(o.err.Error(), "oops"))
		}
		f.Queue.begin = func(context.Context, time.Time, *dbtx.Log) (Run[int, int], error) { panic("oops") }
		for _, o := range f.call(4, 5)() {
			is.True(strings.Contains(o.err.Error(), "oops"))
		}
		f.work, f.Queue.begin = nil, f.begin
		is.Equal(f.call(6)()[0].result, 36)
	})
}

func TestAfterwardsIsCalledWhenAllKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		var called atomic.Int32
		f := newFake(t, time.Minute, Options{Batches: 1, Afterwards: func() { called.Add(1); time.Sleep(time.Second / 2) }})
		outcomes := f.call(1, 2, 3)()
		f.Close()
		is.Equal(called.Load(), int32(2))
		is.Equal(outcomes[0].after, time.Second)
		is.Equal(outcomes[2].after, 5*time.Second/2)
	})
}

// handler is a user's logger that does what it likes, in the goroutine of the caller that logs.
type handler struct {
	slog.Handler
	handle func(ctx context.Context, query string)
}

func (h handler) Enabled(context.Context, slog.Level) bool { return true }
func (h handler) Handle(ctx context.Context, record slog.Record) error {
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "query" {
			h.handle(ctx, a.Value.String())
		}
		return true
	})
	return nil
}

// nothing is a connection that does nothing, which is logged.
type nothing struct{ storagedb.DBTX }

func (nothing) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, nil
}

// One of the callers of a batch passes its log on. A logger that panics, ends its goroutine or blocks hurts that caller
// alone: the others know their results, and the next batch runs.
func TestLoggerHurtsOneCallerAtMost(t *testing.T) {
	for _, kind := range []string{"panics", "exits", "blocks"} {
		synctest.Test(t, func(t *testing.T) {
			is := is.New(t)
			var logged atomic.Int32
			release := make(chan struct{})
			logger := slog.New(handler{slog.DiscardHandler, func(context.Context, string) {
				if logged.Add(1) != 2 {
					return
				}
				switch kind {
				case "panics":
					panic("oops")
				case "exits":
					runtime.Goexit()
				case "blocks":
					<-release
				}
			}})
			f := newFake(t, time.Minute, Options{Batches: 1, Logger: logger})
			f.work = func(b *Batch[int, int], w *Write[int, int]) {
				if w == b.Writes[0] {
					_, err := b.Log.Wrap(nothing{}).Exec(context.Background(), "COMMIT")
					is.NoErr(err)
				}
				w.Result = w.Op * w.Op
			}
			outcomes := f.call(1, 2, 3, 4)
			time.Sleep(5 * time.Second)
			is.Equal(f.call(5)()[0], outcome{result: 25, after: time.Second})
			is.Equal(len(f.tokens), 0)
			f.Close()
			close(release)
			got := outcomes()
			switch kind {
			case "panics":
				is.Equal(got[1].panicked, "oops")
			case "exits":
				is.True(got[1].ended)
			case "blocks":
				is.Equal(got[1].result, 4)
			}
			for _, i := range []int{0, 2, 3} {
				is.Equal(got[i].result, (i+1)*(i+1))
				is.True(got[i].after <= 2*time.Second)
			}
			is.Equal(logged.Load(), int32(3)) // once for each batch
		})
	}
}

// If all callers have left, nobody could recover a panic of the logger. It is dropped, and what was slow is logged.
func TestLogThatNobodyPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		var logged atomic.Int32
		logger := slog.New(handler{slog.DiscardHandler, func(context.Context, string) { logged.Add(1); panic("oops") }})
		f := newFake(t, time.Minute, Options{Batches: 1, Logger: logger})
		f.work = func(b *Batch[int, int], w *Write[int, int]) {
			_, err := b.Log.Wrap(nothing{}).Exec(context.Background(), "COMMIT")
			is.NoErr(err)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		is.True(f.callWith([]context.Context{short}, 1)()[0].isNotKnown())
		time.Sleep(time.Second)
		is.Equal(logged.Load(), int32(1))
	})
}

// Callers whose contexts end at any moment leave the queue whole. The scheduler chooses the order.
func TestManyCallers(t *testing.T) {
	for _, options := range []Options{{Batches: 1}, {Batches: 3}} {
		is := is.New(t)
		f := newFake(t, time.Minute, options)
		f.takes = 0
		var mu sync.Mutex
		committed := make(map[int]bool)
		f.work = func(_ *Batch[int, int], w *Write[int, int]) {
			mu.Lock()
			defer mu.Unlock()
			if committed[w.Op] {
				t.Errorf("%d is committed twice", w.Op)
			}
			committed[w.Op], w.Result = true, w.Op*w.Op
		}
		const callers, each = 32, 200
		var group sync.WaitGroup
		var told [callers][]int
		for caller := range callers {
			group.Go(func() {
				for i := range each {
					op := caller*each + i
					ctx, cancel := context.WithCancel(t.Context())
					if i%3 == 0 {
						go cancel()
					}
					result, err := f.Do(ctx, op)
					cancel()
					switch {
					case err == nil && result == op*op:
						told[caller] = append(told[caller], op)
					case !errors.Is(err, context.Canceled):
						t.Errorf("%d: %d, %v", op, result, err)
					}
				}
			})
		}
		group.Wait()
		all := slices.Concat(told[:]...)
		is.True(len(all) >= callers*each*2/3)
		for _, op := range all {
			is.True(committed[op])
		}
		f.Close()
		is.True(f.most <= options.Batches)
		is.Equal(f.leaders, 0)
		is.Equal(len(f.queue)+len(f.tokens), 0)
	}
}
