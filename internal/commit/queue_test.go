package commit

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/dberr"
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

func (f *fake) begin(ctx context.Context, deadline time.Time) (Run[int, int], error) {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if f.beginTakes > 0 {
		select {
		case <-time.After(f.beginTakes):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
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
		// Two of the first three told 4 and 5 to lead. The first of them takes both, and the other's batch is empty.
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
		is.Equal(outcomes[1].after, 5*time.Second)
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
		is.Equal(outcomes[1], outcome{err: context.DeadlineExceeded, after: time.Second / 2})
		is.Equal(f.batches, [][]int{{1}, {3}})
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		is.Equal(f.callWith([]context.Context{ended}, 4)()[0].err, context.Canceled)
		is.Equal(len(f.batches), 2)
	})
}

// Once a leader has taken a caller's operation, the end of the caller's context is too late, unless it may abandon it.
func TestContextThatEndsAfterTheOperationWasTaken(t *testing.T) {
	for _, abandon := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			is := is.New(t)
			f := newFake(t, time.Minute, Options{Batches: 1, AbandonOnCancel: abandon})
			short, cancel := context.WithTimeout(t.Context(), 3*time.Second/2)
			defer cancel()
			outcomes := f.callWith([]context.Context{t.Context(), short, short, t.Context()}, 1, 2, 3, 4)()
			is.Equal(outcomes[1], outcome{result: 4, after: 2 * time.Second}) // it leads, for others too
			want := outcome{result: 9, after: 2 * time.Second}
			if abandon {
				want = outcome{err: context.DeadlineExceeded, after: 3 * time.Second / 2}
			}
			is.Equal(outcomes[2], want)
			is.Equal(outcomes[3], outcome{result: 16, after: 2 * time.Second})
			is.Equal(f.batches, [][]int{{1}, {2, 3, 4}})
		})
	}
}

// The timeout bounds the wait in the queue, and not the batch.
func TestTimeoutAfterTheOperationWasTaken(t *testing.T) {
	for _, abandon := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFake(t, 3*time.Second/2, Options{Batches: 1, AbandonOnCancel: abandon})
			for _, o := range f.call(1, 2, 3)()[1:] {
				is.New(t).Equal(o, outcome{result: o.result, after: 2 * time.Second})
			}
		})
	}
}

func TestLeaderWhoseBeginFailsPassesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		f.beginTakes = time.Second
		short, cancel := context.WithTimeout(t.Context(), time.Second/2)
		defer cancel()
		outcomes := f.callWith([]context.Context{short, t.Context(), t.Context()}, 1, 2, 3)()
		is.Equal(outcomes[0], outcome{err: context.DeadlineExceeded, after: time.Second / 2})
		is.Equal(outcomes[1], outcome{result: 4, after: 5 * time.Second / 2})
		is.Equal(f.batches, [][]int{{2, 3}})

		f.beginErr = errRefused // to all of them in turn
		for _, o := range f.call(4, 5)() {
			is.Equal(o.err, errRefused)
		}
		f.beginErr = nil
		is.Equal(f.call(6)()[0].result, 36) // nobody leads who has gone
	})
}

// Of two leaders that wait for a connection, the first takes the operation of the second. When the second gets its own
// connection, its batch may be empty, and it waits for the outcome of its operation.
func TestLeaderWhoseOperationAnotherHasTaken(t *testing.T) {
	for _, failing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			is := is.New(t)
			f := newFake(t, time.Minute, Options{Batches: 2})
			f.takes = 10 * time.Second
			connected := make(chan error)
			first := make(chan struct{})
			f.Queue.begin = func(context.Context, time.Time) (Run[int, int], error) {
				select {
				case <-first:
					err := <-connected // the second leader
					return f.run, err
				default:
					close(first)
					time.Sleep(time.Second)
					return f.run, nil
				}
			}
			outcomes := f.call(1, 2)
			time.Sleep(2 * time.Second) // the first has taken both
			if failing {
				connected <- errRefused // which is nobody's error
			} else {
				connected <- nil
			}
			is.Equal(outcomes()[1].result, 4)
			is.NoErr(outcomes()[1].err)
			is.Equal(f.batches[0], []int{1, 2})
			if !failing {
				is.Equal(len(f.batches[1]), 0)
			}
			f.takes = time.Second
			f.Queue.begin = f.begin
			is.Equal(f.call(3)()[0].result, 9)
		})
	}
}

// The leader whose operation another has taken may abandon it, too.
func TestLeaderMayAbandonWhatAnotherHasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 2, AbandonOnCancel: true})
		f.takes = 10 * time.Second
		short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begins := 0
		f.Queue.begin = func(ctx context.Context, _ time.Time) (Run[int, int], error) {
			if begins++; begins == 1 {
				time.Sleep(time.Second)
				return f.run, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		}
		outcomes := f.callWith([]context.Context{t.Context(), short}, 1, 2)()
		is.Equal(outcomes[0], outcome{result: 1, after: 11 * time.Second})
		is.Equal(outcomes[1], outcome{err: context.DeadlineExceeded, after: 5 * time.Second})
	})
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

// runtime.Goexit in an operation, as testing's FailNow calls it, ends the goroutine of the leader. The others learn
// that their outcome is not known, except those whose outcome is final.
func TestLeaderWhoseGoroutineEnds(t *testing.T) {
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
		is.Equal(outcomes[1].ended, true) // it led
		is.Equal(outcomes[2].err, errRefused)
		for _, o := range outcomes[3:] {
			is.True(errors.Is(o.err, dberr.ErrBusy))
			is.True(errors.Is(o.err, errLeaderEnded))
			is.True(!o.ended)
		}
		f.work = nil
		is.Equal(f.call(6)()[0].result, 36)
	})
}

func TestFinalOutcomeOutlivesTheLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		f := newFake(t, time.Minute, Options{Batches: 1})
		f.work = func(b *Batch[int, int], w *Write[int, int]) {
			if w.Op == 3 { // the last one of its batch
				b.Writes[1].Result, b.Writes[1].Done = 9, true
				runtime.Goexit()
			}
		}
		outcomes := f.call(1, 2, 3)()
		is.True(outcomes[1].ended)
		is.Equal(outcomes[2], outcome{result: 9, after: 2 * time.Second})
	})
}

func TestAfterwardsIsCalledWhenAllKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		var called atomic.Int32
		f := newFake(t, time.Minute, Options{Batches: 1, Afterwards: func() {
			called.Add(1)
			time.Sleep(time.Hour) // holds up the leader alone
		}})
		outcomes := f.call(1, 2, 3)()
		is.Equal(called.Load(), int32(2))
		is.Equal(outcomes[0].after, time.Hour+time.Second)
		is.Equal(outcomes[2].after, 2*time.Second)
	})
}

// Callers whose contexts end at any moment leave the queue whole. The scheduler chooses the order.
func TestManyCallers(t *testing.T) {
	for _, options := range []Options{{Batches: 1}, {Batches: 3, AbandonOnCancel: true}} {
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
		if !options.AbandonOnCancel {
			is.Equal(len(committed), len(all)) // each that was committed was told so
		}
		is.True(f.most <= options.Batches)
		is.Equal(f.leaders, 0)
		is.Equal(len(f.queue)+len(f.tokens), 0)
	}
}
