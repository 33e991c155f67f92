package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
)

// WorkOptions of [Store.Work]. The zero value is a worker that runs one generation after the other.
type WorkOptions struct {
	// Worker is the worker's name, for people to read, of at most 255 bytes. If empty, the host name, the process ID and a
	// random part.
	Worker string
	// Concurrency is how many handlers run at once. If zero, 1, for a GPU that runs one job at a time.
	Concurrency int
	// Lease is the time after which others may take the job of a killed process, a second to a day. If zero, a minute.
	Lease time.Duration
	// PollInterval is how long to wait without a wake-up before reading the database. If zero, a second.
	PollInterval time.Duration
	// RescueInterval is how often to look for expired leases of any worker. If zero, 15 seconds.
	RescueInterval time.Duration
	// ShutdownTimeout is how long handlers may go on after the context has ended. If zero, 30 seconds.
	ShutdownTimeout time.Duration
	// ModelNames are the models that the handler runs. If empty, any.
	ModelNames []string
}

const (
	defaultLease           = time.Minute
	defaultRescueInterval  = 15 * time.Second
	defaultShutdownTimeout = 30 * time.Second

	rescueBatch  = 100
	handlerGrace = time.Second      // how long a handler may take to return after its context has ended at the shutdown
	storeGrace   = 5 * time.Second  // how long the database may take to answer at the shutdown
	maxTry       = 10 * time.Second // how long a call may take before it is tried again
	maxClaim     = time.Minute      // the same for a claim: a lost one costs an attempt
	maxOutage    = 5 * time.Minute  // how long Work tolerates a failing database

	// The shortest and the longest pause while the database fails, and the first pause after other workers were faster.
	minOutagePause    = 250 * time.Millisecond
	maxOutagePause    = 5 * time.Second
	minContendedPause = 50 * time.Millisecond
)

// maxStackBytes is how much of the stack of a handler's panic is kept.
const maxStackBytes = 16 << 10

var errShutdown = errors.New("the worker shuts down")

// Work claims generations and runs the handler on each, until ctx ends. Then it claims no more and lets the handlers
// finish. After ShutdownTimeout it ends the contexts of the rest, releases their generations, and returns nil.
//
//   - The handler's result completes the generation; Work fills in the Attempt. Its error fails the attempt with that
//     text, and so does a panic. For a RetryAfter or NoRetry, the handler calls FailGeneration itself, with g.Attempt,
//     and then returns any error.
//   - Work extends the lease at each third of its length while the handler runs, unless a caller wants the generation
//     stopped.
//   - The handler's context ends with the cause ErrLeaseLost if the lease is lost, as after a pause of the machine;
//     with ErrCancelRequested if a caller wants the generation stopped; with ErrClosed if the store is closed. It does
//     not end with ctx, but ShutdownTimeout later, with the cause "the worker shuts down".
//   - After ErrCancelRequested, a handler that returns an error makes the generation cancelled; one that returns none
//     has completed it.
//   - A handler that ignores its context keeps its place until it returns, as it keeps its GPU. At the shutdown Work
//     abandons it a second after ShutdownTimeout, and drops whatever it returns.
//   - Work rescues expired leases, including those of other workers.
//
// If the database fails, Work tries again for five minutes, and logs at warn level; then it shuts down as above and
// returns the error. It keeps a result as long, and stores it if no other worker has claimed the generation by then. It
// logs a dropped result as an error. At the shutdown the database has five seconds to answer. Work returns a
// *ValidationError for bad options, and ErrClosed.
func (s *Store) Work(
	ctx context.Context, opts WorkOptions,
	handler func(ctx context.Context, g Generation) (CompleteGenerationParams, error),
) error {
	if handler == nil {
		return describe("work", dberr.Invalid("handler", "is nil"))
	}
	opts, err := opts.normalized()
	if err != nil {
		return describe("work", err)
	}
	w := &worker{store: s, WorkOptions: opts, handler: handler, slots: make(chan struct{}, opts.Concurrency)}
	return describe("work", w.work(ctx))
}

func (o WorkOptions) normalized() (WorkOptions, error) {
	if o.Concurrency < 0 {
		return o, dberr.Invalid("Concurrency", "is negative")
	}
	for field, given := range map[string]time.Duration{
		"PollInterval": o.PollInterval, "RescueInterval": o.RescueInterval, "ShutdownTimeout": o.ShutdownTimeout,
	} {
		if given < 0 {
			return o, dberr.Invalid(field, "is negative")
		}
	}
	o.Worker = cmp.Or(o.Worker, thisProcess())
	o.Concurrency = cmp.Or(o.Concurrency, 1)
	o.Lease = cmp.Or(o.Lease, defaultLease)
	o.PollInterval = cmp.Or(o.PollInterval, waitPollInterval)
	o.RescueInterval = cmp.Or(o.RescueInterval, defaultRescueInterval)
	o.ShutdownTimeout = cmp.Or(o.ShutdownTimeout, defaultShutdownTimeout)
	return o, o.claim(o.Concurrency).validate()
}

// claim returns the parameters of the worker's claims.
func (o WorkOptions) claim(limit int) ClaimParams {
	return ClaimParams{Worker: o.Worker, Limit: limit, Lease: o.Lease, ModelNames: o.ModelNames}
}

// thisProcess returns a name by which people find the process, and which no other worker has.
var thisProcess = sync.OnceValue(func() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return fmt.Sprintf("%.200s-%d-%s", storable(host), os.Getpid(), rand.Text()[:6])
})

// worker is a running Work. It owns these goroutines, which end before Work returns: the caller's, which claims; one
// that rescues; and two for each claimed generation, of which one extends the lease and the other stores the result.
// The handler runs in another one, so that it can be abandoned.
type worker struct {
	store *Store
	WorkOptions
	handler func(ctx context.Context, g Generation) (CompleteGenerationParams, error)
	slots   chan struct{}  // holds a token for each generation under work
	jobs    sync.WaitGroup // their goroutines

	overdue context.Context // ends when the handlers must have finished
	storing context.Context // ends when the database must have answered
}

func (w *worker) work(ctx context.Context) error {
	ctx, stop := context.WithCancel(dbtx.WithoutCaller(ctx))
	defer stop()
	var release context.CancelFunc
	w.overdue, release = lingering(ctx, w.ShutdownTimeout)
	defer release()
	w.storing, release = lingering(w.overdue, handlerGrace+storeGrace)
	defer release()
	var rescuing sync.WaitGroup
	rescuing.Go(func() { w.rescueAll(ctx) })
	err := w.claimAll(ctx)
	stop()
	w.jobs.Wait()
	rescuing.Wait()
	return err
}

// lingering returns a context that ends some time after ctx does.
func lingering(ctx context.Context, after time.Duration) (context.Context, context.CancelFunc) {
	later, end := context.WithCancel(context.WithoutCancel(ctx))
	timer := time.AfterFunc(math.MaxInt64, end)
	timer.Stop()
	stop := context.AfterFunc(ctx, func() { timer.Reset(after) })
	return later, func() {
		stop()
		timer.Stop()
		end()
	}
}

// claimAll claims as many generations as there are free slots, over and over, until ctx ends.
func (w *worker) claimAll(ctx context.Context) error {
	var failing outage
	var contended time.Duration
	found := true
	for w.waitForSlot(ctx) {
		notified := w.store.session.Notified() // before the read, so that later work is not missed
		pause := w.PollInterval
		// It reads before it claims if the last claim found nothing, since a read takes no lock; and if it claims by model,
		// since such a claim also reads the generations of others.
		due, claimed, err := w.claimSome(ctx, !found || len(w.ModelNames) > 0)
		found = claimed > 0
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrClosed):
			return err
		case err != nil:
			if failing.lasts() {
				return err
			}
			w.log(slog.LevelWarn, "a worker cannot claim, and will try again", Generation{}, err)
			notified, pause = nil, failing.pause()
		case found:
			failing, contended = outage{}, 0
			continue
		case due: // others were faster, or hold a lock: no notification tells when that ends
			failing, contended = outage{}, longer(contended, minContendedPause, w.PollInterval)
			notified, pause = nil, contended
		default:
			failing, contended = outage{}, 0
			pause = w.store.untilScheduled(ctx, pause)
		}
		if waitForWakeUp(ctx, notified, pause) != nil {
			return nil
		}
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
	o.wait = longer(o.wait, minOutagePause, maxOutagePause)
	return o.wait
}

// longer returns the pause after another one: twice as long, between the given limits.
func longer(pause, from, to time.Duration) time.Duration {
	return min(max(2*pause, from), to)
}

// waitForSlot waits until a slot is free, and reports whether one is: not after ctx has ended.
func (w *worker) waitForSlot(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case w.slots <- struct{}{}:
		<-w.slots // only this goroutine fills slots, so this one stays free
		return ctx.Err() == nil
	}
}

// claimSome claims generations for the free slots and starts to work on them. With look, it first reads whether any is
// due.
func (w *worker) claimSome(ctx context.Context, look bool) (due bool, claimed int, err error) {
	if look {
		looking, cancel := context.WithTimeout(ctx, maxTry)
		defer cancel()
		if due, err = w.store.hasDueGenerations(looking, w.ModelNames); err != nil || !due {
			return due, 0, err
		}
	}
	// Not cut off by the end of ctx: a claimed generation must be worked on, or released.
	claiming, release := lingering(ctx, storeGrace)
	defer release()
	claiming, cancel := context.WithTimeout(claiming, min(w.Lease, maxClaim))
	defer cancel()
	generations, err := w.store.ClaimGenerations(claiming, w.claim(cap(w.slots)-len(w.slots)))
	for _, g := range generations {
		w.slots <- struct{}{}
		w.jobs.Go(func() {
			defer func() { <-w.slots }()
			if ctx.Err() != nil { // since the claim
				w.release(g)
				return
			}
			w.do(g)
		})
	}
	return due, len(generations), err
}

func (w *worker) rescueAll(ctx context.Context) {
	for {
		rescuing, cancel := context.WithTimeout(ctx, maxTry)
		rescued, err := w.store.RescueGenerations(rescuing, rescueBatch)
		cancel()
		if err != nil && ctx.Err() == nil {
			w.log(slog.LevelWarn, "a worker cannot rescue, and will try again", Generation{}, err)
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

// do runs the handler on a claimed generation, and stores the result.
func (w *worker) do(g Generation) {
	handling, cancel := context.WithCancelCause(context.WithoutCancel(w.overdue))
	defer cancel(nil)
	var extending sync.WaitGroup
	defer extending.Wait()
	running, ended := context.WithCancel(w.storing)
	defer ended()
	extending.Go(func() { w.extendUntil(running, g, cancel) })

	returned := make(chan result, 1)
	go w.handle(handling, g, returned)
	r := result{failed: true}
	select {
	case r = <-returned:
	case <-w.overdue.Done():
		cancel(errShutdown) // an earlier cause stays
		select {
		case r = <-returned:
		case <-time.After(handlerGrace):
			w.log(slog.LevelError, "a handler ignores its context and is abandoned", g, nil)
		}
	}
	ended()
	w.storeResult(g, r, context.Cause(handling))
}

// extendUntil extends the lease at each third of its length until ctx ends. If the lease is lost, or a caller wants the
// generation stopped, it ends the handler's context.
func (w *worker) extendUntil(ctx context.Context, g Generation, stop context.CancelCauseFunc) {
	every := time.NewTicker(w.Lease / 3)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		}
		switch err := w.extend(ctx, g); {
		case ctx.Err() != nil:
			return
		case errors.Is(err, ErrClosed): // for good, so the lease will be lost
			stop(ErrClosed)
			return
		case errors.Is(err, ErrLeaseLost), errors.Is(err, ErrNotFound):
			w.log(slog.LevelWarn, "a worker has lost its lease", g, err)
			stop(ErrLeaseLost)
			return
		case errors.Is(err, ErrCancelRequested):
			stop(ErrCancelRequested)
			return
		case err != nil:
			w.log(slog.LevelWarn, "a worker cannot extend its lease, and will try again", g, err)
		}
	}
}

// result is what a handler returned. The methods of its error were called before, where a panic is recovered.
type result struct {
	params    CompleteGenerationParams
	failed    bool
	message   string
	cancelled bool // the error is an ErrCancelRequested, as ReportProgress may have returned
}

// handle runs the handler, and turns a panic into a failure. It always sends, also if the handler ends its goroutine.
func (w *worker) handle(ctx context.Context, g Generation, returned chan<- result) {
	r := result{failed: true, message: "the handler ended its goroutine"}
	defer func() {
		if reason := recover(); reason != nil {
			r = result{failed: true, message: fmt.Sprintf("panic: %v\n\n%.*s", reason, maxStackBytes, debug.Stack())}
		}
		returned <- r
	}()
	params, err := w.handler(ctx, g)
	if err == nil {
		r = result{params: params}
		return
	}
	r = result{failed: true, message: err.Error(), cancelled: errors.Is(err, ErrCancelRequested)}
}

// storeResult stores the result. cause is why the handler's context ended, or nil.
func (w *worker) storeResult(g Generation, r result, cause error) {
	if errors.Is(cause, ErrLeaseLost) {
		return
	}
	if !r.failed {
		r.params.Attempt = g.Attempt
		err := w.insist("complete", g, func(ctx context.Context) error {
			_, err := w.store.CompleteGeneration(ctx, g.ID, r.params)
			return err
		})
		refused, ok := errors.AsType[*ValidationError](err)
		if !ok {
			return
		}
		r.message, cause = refused.Error(), nil // an invalid result is a failure
	}
	if r.cancelled && cause == nil { // the handler says so; the database knows
		cause = w.extend(w.storing, g)
	}
	if errors.Is(cause, errShutdown) || errors.Is(cause, ErrCancelRequested) {
		w.release(g)
		return
	}
	w.insist("fail", g, func(ctx context.Context) error {
		_, err := w.store.FailGeneration(ctx, g.ID, FailGenerationParams{
			ErrorMessage: storable(r.message), Attempt: g.Attempt,
		})
		return err
	})
}

func (w *worker) extend(ctx context.Context, g Generation) error {
	ctx, cancel := context.WithTimeout(ctx, min(w.Lease/3, maxTry)) // so that there is time for another try
	defer cancel()
	_, err := w.store.ExtendLease(ctx, g.ID, g.Attempt, w.Lease)
	return err
}

func (w *worker) release(g Generation) {
	w.insist("release", g, func(ctx context.Context) error {
		_, err := w.store.ReleaseGeneration(ctx, g.ID, g.Attempt)
		return err
	})
}

// insist tries to store a result until the database has failed for too long, or the shutdown ends. An expired lease
// does not matter as long as no other worker claims the generation.
func (w *worker) insist(doing string, g Generation, try func(context.Context) error) error {
	var failing outage
	for {
		ctx, cancel := context.WithTimeout(w.storing, maxTry)
		err := try(ctx)
		cancel()
		_, invalid := errors.AsType[*ValidationError](err)
		switch {
		case err == nil, invalid:
			return err
		case errors.Is(err, ErrLeaseLost), errors.Is(err, ErrNotFound):
			w.log(slog.LevelWarn, "a worker has lost its lease, and could not "+doing, g, err)
			return err
		case errors.Is(err, ErrClosed), failing.lasts(), w.storing.Err() != nil:
			w.log(slog.LevelError, "a result is dropped: a worker could not "+doing, g, err)
			return err
		}
		w.log(slog.LevelWarn, "a worker could not "+doing+", and will try again", g, err)
		select {
		case <-w.storing.Done():
		case <-time.After(failing.pause()):
		}
	}
}

// log logs an error of the worker, which no caller sees.
func (w *worker) log(level slog.Level, message string, g Generation, err error) {
	attributes := []slog.Attr{slog.String("worker", w.Worker)}
	if g.Attempt > 0 {
		attributes = append(attributes, slog.String("generation", g.ID.String()), slog.Int64("attempt", g.Attempt))
	}
	if err != nil {
		attributes = append(attributes, slog.String("error", dberr.Code(err)))
	}
	dbtx.LogApart(w.store.logger, level, message, attributes...)
}

// storable turns any text into one that the store accepts as an error message.
func storable(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > MaxErrorMessageBytes {
		text = strings.ToValidUTF8(text[:MaxErrorMessageBytes], "") // the cut may have split a character
	}
	return text
}
