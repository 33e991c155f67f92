package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// WorkOptions are those of [Store.Work]. The zero value is a worker that does one generation after the other.
type WorkOptions struct {
	Worker          string        // who works, for people to read; at most 255 bytes; "": host name, process ID and a random part
	Concurrency     int           // how many handlers run at once; 0: 1, for a GPU that takes one job at a time
	Lease           time.Duration // after how long others may take what a killed process was at; a second to a day; 0: a minute
	PollInterval    time.Duration // how long to wait before looking without a wake-up; 0: a second
	RescueInterval  time.Duration // how often to look for expired leases of any worker; 0: 15 seconds
	ShutdownTimeout time.Duration // how long handlers may go on once the context has ended; 0: 30 seconds
	ModelNames      []string      // the models that the handler can run; none: any
}

const (
	defaultLease           = time.Minute
	defaultRescueInterval  = 15 * time.Second
	defaultShutdownTimeout = 30 * time.Second

	rescueBatch  = 100
	handlerGrace = time.Second     // how long a handler whose context has ended may take to return
	maxOutage    = 5 * time.Minute // how long Work goes on trying to claim from a database that fails

	// Pauses before the next try to claim: from and to, where the database fails; and where there was something due, but
	// the claim did not get it.
	minOutagePause = 250 * time.Millisecond
	maxOutagePause = 5 * time.Second
	contendedPause = 50 * time.Millisecond
)

// A panic in a handler says where; more of the stack than this helps nobody.
const maxStackBytes = 16 << 10

var (
	errShutdown     = errors.New("the worker shuts down")
	errHandlerEnded = errors.New("the handler ended its goroutine")
)

// Work claims generations and runs the handler on each, until ctx ends. It then claims no more, lets the handlers finish,
// ends the context of those that have not after ShutdownTimeout and releases their generations, and returns nil.
//
//   - What the handler returns completes the generation; an Attempt is filled in. Its error fails the attempt with that
//     text, and so does a panic. Where FailGeneration's RetryAfter or NoRetry is wanted, the handler calls that itself,
//     with g.Attempt, and then returns any error.
//   - The lease is extended at each third of its length, for as long as the handler runs.
//   - The handler's context ends, with the cause ErrLeaseLost, where the lease was lost, as after a pause of the whole
//     machine, and with ErrCancelRequested where somebody wants the generation stopped. A handler that then returns an error
//     makes it cancelled; one that returns none has completed it. The context does not end with ctx, but with the cause
//     "the worker shuts down" after ShutdownTimeout.
//   - A handler that does not heed its context is left behind a second later; whatever it returns is dropped.
//   - Expired leases are rescued, those of other workers too.
//
// A database that fails is tried again for five minutes, in which Options.Logger hears of it at warn level; then Work shuts
// down as above and returns the error. A result that cannot be stored for as long as the lease is dropped, and the
// generation worked on again. Work returns a *ValidationError for options that make no sense, and ErrClosed.
func (s *Store) Work(ctx context.Context, opts WorkOptions, handler func(ctx context.Context, g Generation) (CompleteGenerationParams, error)) error {
	if handler == nil {
		return describe("work", invalid("handler", "is nil"))
	}
	opts, err := opts.checked()
	if err != nil {
		return describe("work", err)
	}
	w := &worker{Store: s, WorkOptions: opts, handler: handler, slots: make(chan struct{}, opts.Concurrency), overdue: make(chan struct{})}
	return describe("work", w.work(ctx))
}

func (o WorkOptions) checked() (WorkOptions, error) {
	if o.Concurrency < 0 {
		return o, invalid("Concurrency", "is negative")
	}
	for field, given := range map[string]time.Duration{
		"PollInterval": o.PollInterval, "RescueInterval": o.RescueInterval, "ShutdownTimeout": o.ShutdownTimeout,
	} {
		if given < 0 {
			return o, invalid(field, "is negative")
		}
	}
	o.Worker = cmp.Or(o.Worker, thisProcess())
	o.Concurrency = cmp.Or(o.Concurrency, 1)
	o.Lease = cmp.Or(o.Lease, defaultLease)
	o.PollInterval = cmp.Or(o.PollInterval, waitPollInterval)
	o.RescueInterval = cmp.Or(o.RescueInterval, defaultRescueInterval)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, defaultShutdownTimeout)
	return o, o.claim(o.Concurrency).checked()
}

// claim is what the worker claims.
func (o WorkOptions) claim(limit int) ClaimParams {
	return ClaimParams{Worker: o.Worker, Limit: limit, Lease: o.Lease, ModelNames: o.ModelNames}
}

// thisProcess names a worker so that people find the process, and no two have the same name.
var thisProcess = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Sprintf("%.200s-%d-%s", storable(host), os.Getpid(), rand.Text()[:6])
})

// worker is a running Work. Three kinds of goroutines belong to it, and end before Work returns: the caller's own, which
// claims; one that rescues; and one for each claimed generation, which extends the lease and stores the result. The
// handler runs in a further one, so that it can be left behind.
type worker struct {
	*Store
	WorkOptions
	handler func(ctx context.Context, g Generation) (CompleteGenerationParams, error)
	slots   chan struct{}  // holds a token for each generation that is worked on
	jobs    sync.WaitGroup // the goroutines of those
	overdue chan struct{}  // closed when ShutdownTimeout is over
}

func (w *worker) work(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var rescuing sync.WaitGroup
	rescuing.Go(func() { w.rescueAll(ctx) })
	err := w.claimAll(ctx)
	stop()
	w.drain()
	rescuing.Wait()
	return err
}

// claimAll claims as many generations as there are free slots, over and over, until ctx ends.
func (w *worker) claimAll(ctx context.Context) error {
	var failing outage
	waited := false
	for w.waitForSlot(ctx) {
		announced := w.session.announced() // before the look: what comes after the look rings
		pause := w.PollInterval
		due, claimed, err := w.claimSome(ctx, waited)
		switch {
		case err == nil:
			failing = outage{}
		case errors.Is(err, ErrClosed), failing.lasts():
			return err
		default:
			w.warn(ctx, "claim", err)
			announced, pause = nil, failing.pause()
		}
		if claimed {
			waited = false
			continue
		}
		if due { // others were faster, or it is for other models: their hints are not for us
			announced, pause = nil, min(pause, contendedPause)
		}
		if waitForWord(ctx, announced, pause) != nil {
			return nil
		}
		waited = true
	}
	return nil
}

// outage is a time in which the database fails.
type outage struct {
	since time.Time
	wait  time.Duration
}

func (o *outage) lasts() bool {
	if o.since.IsZero() {
		o.since = time.Now()
	}
	return time.Since(o.since) > maxOutage
}

func (o *outage) pause() time.Duration {
	o.wait = min(max(2*o.wait, minOutagePause), maxOutagePause)
	return o.wait
}

// waitForSlot waits until another generation may be worked on, and tells whether it may: not once ctx has ended.
func (w *worker) waitForSlot(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case w.slots <- struct{}{}:
		<-w.slots // only this goroutine takes them, so it stays free
		return ctx.Err() == nil
	}
}

// claimSome claims for the free slots, and sets to work. Where nothing was to be had a moment ago it looks first, since
// the look does not write.
func (w *worker) claimSome(ctx context.Context, look bool) (due, claimed bool, err error) {
	// Not to be cut off by the end of ctx: what is claimed must be worked on, or released.
	ending := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.Lease)
	defer cancel()
	if look {
		if due, err = w.hasDueGenerations(ctx); err != nil || !due {
			return due, false, err
		}
	}
	generations, err := w.ClaimGenerations(ctx, w.claim(cap(w.slots)-len(w.slots)))
	for _, g := range generations {
		w.slots <- struct{}{}
		w.jobs.Go(func() {
			defer func() { <-w.slots }()
			w.do(ending, g)
		})
	}
	return due, len(generations) > 0, err
}

// drain waits for what is being worked on, until ShutdownTimeout is over and then for its release.
func (w *worker) drain() {
	timeout := time.AfterFunc(w.ShutdownTimeout, func() { close(w.overdue) })
	defer timeout.Stop()
	w.jobs.Wait()
}

func (w *worker) rescueAll(ctx context.Context) {
	for {
		rescued, err := w.RescueGenerations(ctx, rescueBatch)
		if err != nil && ctx.Err() == nil {
			w.warn(ctx, "rescue", err)
		}
		if len(rescued) == rescueBatch {
			continue // there may be more
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(w.RescueInterval):
		}
	}
}

// result is what a handler returned.
type result struct {
	params CompleteGenerationParams
	err    error
}

// do runs the handler on a claimed generation, extends the lease meanwhile, and stores the result.
func (w *worker) do(ending context.Context, g Generation) {
	ctx := context.WithoutCancel(ending)
	if ending.Err() != nil { // since the claim
		w.release(ctx, g)
		return
	}
	handling, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	returned := make(chan result, 1)
	go w.handle(handling, g, returned)

	extend := time.NewTicker(w.Lease / 3)
	defer extend.Stop()
	for {
		select {
		case r := <-returned:
			w.store(ctx, g, r, context.Cause(handling))
			return
		case <-extend.C:
			err := w.extend(ctx, g)
			switch {
			case errors.Is(err, ErrLeaseLost), errors.Is(err, ErrNotFound):
				cancel(ErrLeaseLost)
			case errors.Is(err, ErrCancelRequested):
				cancel(ErrCancelRequested)
			case err != nil: // two more tries before the lease runs out
				w.warn(ctx, "extend lease", err)
				continue
			default:
				continue
			}
			extend.Stop()
		case <-w.overdue:
			cancel(errShutdown) // an earlier cause stays
			r := result{err: errShutdown}
			select {
			case r = <-returned:
			case <-time.After(handlerGrace):
			}
			w.store(ctx, g, r, context.Cause(handling))
			return
		}
	}
}

// handle runs the handler, and makes an error of its panic. It sends in any case, also when the handler ends its goroutine.
func (w *worker) handle(ctx context.Context, g Generation, returned chan<- result) {
	r := result{err: errHandlerEnded}
	defer func() {
		if reason := recover(); reason != nil {
			r = result{err: fmt.Errorf("panic: %v\n\n%.*s", reason, maxStackBytes, debug.Stack())}
		}
		returned <- r
	}()
	r.params, r.err = w.handler(ctx, g)
}

// store brings the result to the database. cause is why the handler's context ended, nil where it did not.
func (w *worker) store(ctx context.Context, g Generation, r result, cause error) {
	if errors.Is(cause, ErrLeaseLost) {
		return
	}
	if r.err == nil {
		r.params.Attempt = g.Attempt
		r.err = w.insist(ctx, "complete", func(ctx context.Context) error {
			_, err := w.CompleteGeneration(ctx, g.ID, r.params)
			return err
		})
		if _, refused := errors.AsType[*ValidationError](r.err); !refused {
			return
		}
		cause = nil // what the handler returned makes no sense, and that is a failure
	}
	if errors.Is(r.err, ErrCancelRequested) { // as ReportProgress may have said, but the handler says so now
		cause = w.extend(ctx, g)
	}
	if errors.Is(cause, errShutdown) || errors.Is(cause, ErrCancelRequested) {
		w.release(ctx, g)
		return
	}
	w.insist(ctx, "fail", func(ctx context.Context) error {
		_, err := w.FailGeneration(ctx, g.ID, FailGenerationParams{ErrorMessage: storable(r.err.Error()), Attempt: g.Attempt})
		return err
	})
}

func (w *worker) extend(ctx context.Context, g Generation) error {
	return w.within(ctx, func(ctx context.Context) error {
		_, err := w.ExtendLease(ctx, g.ID, g.Attempt, w.Lease)
		return err
	})
}

func (w *worker) release(ctx context.Context, g Generation) {
	w.insist(ctx, "release", func(ctx context.Context) error {
		_, err := w.ReleaseGeneration(ctx, g.ID, g.Attempt)
		return err
	})
}

// insist stores a result in spite of a database that fails for a while, for as long as the lease.
func (w *worker) insist(ctx context.Context, doing string, attempt func(context.Context) error) error {
	for began, pause := time.Now(), 50*time.Millisecond; ; pause = min(2*pause, time.Second) {
		err := w.within(ctx, attempt)
		_, invalid := errors.AsType[*ValidationError](err)
		_, finished := errors.AsType[*TransitionError](err)
		final := err == nil || invalid || finished ||
			errors.Is(err, ErrLeaseLost) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrClosed)
		if final {
			return err
		}
		w.warn(ctx, doing, err)
		if time.Since(began) > w.Lease {
			return err
		}
		time.Sleep(pause)
	}
}

// within bounds a call that no caller waits for: one that takes longer than the lease is of no use.
func (w *worker) within(ctx context.Context, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, w.Lease)
	defer cancel()
	return call(ctx)
}

func (w *worker) warn(ctx context.Context, doing string, err error) {
	if w.logger != nil {
		w.logger.LogAttrs(ctx, slog.LevelWarn, "worker will try again", slog.String("worker", w.Worker), slog.String("doing", doing), slog.String("error", errorCode(err)))
	}
}

// storable makes of any text one that the store accepts as an error message.
func storable(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > MaxErrorMessageBytes {
		text = strings.ToValidUTF8(text[:MaxErrorMessageBytes], "") // the cut may have gone through a character
	}
	return text
}
