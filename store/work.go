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
	handlerGrace = time.Second      // how long a handler whose context has ended at the shutdown may take to return
	storeGrace   = 5 * time.Second  // how long the database may take to answer at the shutdown
	maxTry       = 10 * time.Second // how long a call may take before it is tried again
	maxClaim     = time.Minute      // the same for a claim, which is better late than lost: that costs an attempt
	maxOutage    = 5 * time.Minute  // how long Work puts up with a database that fails

	// Pauses between tries, from and to, where the database fails; and where there was something due, but others got it.
	minOutagePause    = 250 * time.Millisecond
	maxOutagePause    = 5 * time.Second
	minContendedPause = 50 * time.Millisecond
)

// A panic in a handler says where; more of the stack than this helps nobody.
const maxStackBytes = 16 << 10

var errShutdown = errors.New("the worker shuts down")

// Work claims generations and runs the handler on each, until ctx ends. It then claims no more, lets the handlers finish,
// ends the context of those that have not after ShutdownTimeout and releases their generations, and returns nil.
//
//   - What the handler returns completes the generation; an Attempt is filled in. Its error fails the attempt with that
//     text, and so does a panic. Where FailGeneration's RetryAfter or NoRetry is wanted, the handler calls that itself,
//     with g.Attempt, and then returns any error.
//   - The lease is extended at each third of its length, for as long as the handler runs and nobody wants it stopped.
//   - The handler's context ends, with the cause ErrLeaseLost, where the lease was lost, as after a pause of the whole
//     machine, and with ErrCancelRequested where somebody wants the generation stopped. A handler that then returns an
//     error makes it cancelled; one that returns none has completed it. It ends with ErrClosed where the store was closed
//     under it. The context does not end with ctx, but with the cause "the worker shuts down" after ShutdownTimeout.
//   - A handler that does not heed its context keeps its place until it returns, as it keeps its GPU. At the shutdown it is
//     left behind a second after ShutdownTimeout, and whatever it returns is dropped.
//   - Expired leases are rescued, those of other workers too.
//
// A database that fails is tried again for five minutes, in which Options.Logger hears of it at warn level; then Work shuts
// down as above and returns the error. A result is kept as long, and stored if nobody else has been given the generation
// by then; one that is dropped is logged as an error. At the shutdown the database has five seconds to answer. Work returns a
// *ValidationError for options that make no sense, and ErrClosed.
func (s *Store) Work(ctx context.Context, opts WorkOptions, handler func(ctx context.Context, g Generation) (CompleteGenerationParams, error)) error {
	if handler == nil {
		return describe("work", invalid("handler", "is nil"))
	}
	opts, err := opts.checked()
	if err != nil {
		return describe("work", err)
	}
	w := &worker{Store: s, WorkOptions: opts, handler: handler, slots: make(chan struct{}, opts.Concurrency)}
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

// worker is a running Work. These goroutines belong to it, and end before Work returns: the caller's own, which claims; one
// that rescues; and two for each claimed generation, of which one extends the lease and the other stores the result. The
// handler runs in a further one, so that it can be left behind.
type worker struct {
	*Store
	WorkOptions
	handler func(ctx context.Context, g Generation) (CompleteGenerationParams, error)
	slots   chan struct{}  // holds a token for each generation that is worked on
	jobs    sync.WaitGroup // the goroutines of those

	overdue context.Context // ends when handlers must have finished
	storing context.Context // ends when the database must have answered, too
}

func (w *worker) work(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
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

// lingering is a context that ends some time after ctx does.
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
		announced := w.session.announced() // before the look: what comes after the look rings
		pause := w.PollInterval
		// Where nothing was to be had a moment ago it looks first, since a look does not write; and where a claim passes
		// over what waits for other models.
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
			announced, pause = nil, failing.pause()
		case found:
			failing, contended = outage{}, 0
			continue
		case due: // others were faster, or hold it: no hint tells when that is over
			failing, contended = outage{}, longer(contended, minContendedPause, w.PollInterval)
			announced, pause = nil, contended
		default:
			failing, contended = outage{}, 0
			pause = w.untilScheduled(ctx, pause)
		}
		if waitForWord(ctx, announced, pause) != nil {
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

// longer is the pause behind one that was in vain: twice as long, from and to the given ones.
func longer(pause, from, to time.Duration) time.Duration {
	return min(max(2*pause, from), to)
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

// claimSome claims for the free slots, after a look where that is wanted, and sets to work.
func (w *worker) claimSome(ctx context.Context, look bool) (due bool, claimed int, err error) {
	if look {
		looking, cancel := context.WithTimeout(ctx, maxTry)
		defer cancel()
		if due, err = w.hasDueGenerations(looking, w.ModelNames); err != nil || !due {
			return due, 0, err
		}
	}
	// Not to be cut off by the end of ctx: what is claimed must be worked on, or released.
	claiming, release := lingering(ctx, storeGrace)
	defer release()
	claiming, cancel := context.WithTimeout(claiming, min(w.Lease, maxClaim))
	defer cancel()
	generations, err := w.ClaimGenerations(claiming, w.claim(cap(w.slots)-len(w.slots)))
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
		rescued, err := w.RescueGenerations(rescuing, rescueBatch)
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
			w.log(slog.LevelError, "a handler does not heed its context and is left behind", g, nil)
		}
	}
	ended()
	w.store(g, r, context.Cause(handling))
}

// extendUntil extends the lease at each third of its length until ctx ends. Where the lease is lost, or somebody wants the
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

// result is what a handler returned. Whatever calls its error's methods has done so before, where a panic is recovered.
type result struct {
	params    CompleteGenerationParams
	failed    bool
	message   string
	cancelled bool // the error is an ErrCancelRequested, as ReportProgress may have returned
}

// handle runs the handler, and makes a failure of its panic. It sends in any case, also when the handler ends its goroutine.
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

// store brings the result to the database. cause is why the handler's context ended, nil where it did not.
func (w *worker) store(g Generation, r result, cause error) {
	if errors.Is(cause, ErrLeaseLost) {
		return
	}
	if !r.failed {
		r.params.Attempt = g.Attempt
		err := w.insist("complete", g, func(ctx context.Context) error {
			_, err := w.CompleteGeneration(ctx, g.ID, r.params)
			return err
		})
		refused, ok := errors.AsType[*ValidationError](err)
		if !ok {
			return
		}
		r.message, cause = refused.Error(), nil // what the handler returned makes no sense, and that is a failure
	}
	if r.cancelled && cause == nil { // if that is so: the handler alone has said it
		cause = w.extend(w.storing, g)
	}
	if errors.Is(cause, errShutdown) || errors.Is(cause, ErrCancelRequested) {
		w.release(g)
		return
	}
	w.insist("fail", g, func(ctx context.Context) error {
		_, err := w.FailGeneration(ctx, g.ID, FailGenerationParams{ErrorMessage: storable(r.message), Attempt: g.Attempt})
		return err
	})
}

func (w *worker) extend(ctx context.Context, g Generation) error {
	ctx, cancel := context.WithTimeout(ctx, min(w.Lease/3, maxTry)) // so that there is time for another try
	defer cancel()
	_, err := w.ExtendLease(ctx, g.ID, g.Attempt, w.Lease)
	return err
}

func (w *worker) release(g Generation) {
	w.insist("release", g, func(ctx context.Context) error {
		_, err := w.ReleaseGeneration(ctx, g.ID, g.Attempt)
		return err
	})
}

// insist stores a result in spite of a database that fails for a while, at the shutdown for as long as that may take. A
// lease that runs out meanwhile is none the worse, as long as nobody else is given the generation.
func (w *worker) insist(doing string, g Generation, store func(context.Context) error) error {
	var failing outage
	for {
		ctx, cancel := context.WithTimeout(w.storing, maxTry)
		err := store(ctx)
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

// log says what goes wrong in a worker, of which nobody else hears.
func (w *worker) log(level slog.Level, message string, g Generation, err error) {
	if w.logger == nil {
		return
	}
	attributes := []slog.Attr{slog.String("worker", w.Worker)}
	if g.Attempt > 0 {
		attributes = append(attributes, slog.String("generation", g.ID.String()), slog.Int64("attempt", g.Attempt))
	}
	if err != nil {
		attributes = append(attributes, slog.String("error", errorCode(err)))
	}
	w.logger.LogAttrs(context.Background(), level, message, attributes...)
}

// storable makes of any text one that the store accepts as an error message.
func storable(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
	if len(text) > MaxErrorMessageBytes {
		text = strings.ToValidUTF8(text[:MaxErrorMessageBytes], "") // the cut may have gone through a character
	}
	return text
}
