package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// The steps of the Python service. A step may also be any other text. The store itself sets StepQueued when a
// generation is created or becomes pending again, and StepCompleted or StepFailed when it ends.
const (
	StepQueued         = "queued"
	StepLoadingModel   = "loading_model"
	StepEncodingPrompt = "encoding_prompt"
	StepGenerating     = "generating"
	StepSaving         = "saving"
	StepCompleted      = "completed"
	StepFailed         = "failed"
)

// ClaimParams say which worker claims which generations.
type ClaimParams struct {
	Worker     string        // the name of the worker, for people to read; 1 to 255 bytes
	Limit      int           // the most generations to claim; at least 1
	Lease      time.Duration // how long the claim holds unless it is extended; a second to a day
	ModelNames []string      // the models that the worker runs; if empty, any
}

// Progress is how far a worker has got.
type Progress struct {
	Step     string  // the current step, such as StepGenerating; at most 255 bytes; if empty, the step stays
	Fraction float64 // the share of the work that is done, 0 to 1
}

// ClaimGenerations takes due pending generations in the order of PendingGenerations, and sets them to processing under
// a claim, which holds until its lease runs out. Each claim raises Attempt by one. That number is the fence: every
// later call of the worker must give it. The result is empty if nothing is due or the queue is paused.
//
// If ctx ends while the database is at work on the claim, the claimed generations are idle until their leases run out.
// A claim by model reads the due generations of other models, too.
//
// It returns a *ValidationError for bad parameters.
func (o *operations) ClaimGenerations(ctx context.Context, params ClaimParams) ([]Generation, error) {
	if err := params.validate(); err != nil {
		return nil, describe("claim generations", err)
	}
	mode := engine.Operation
	if params.Limit > maxFewRows {
		mode = engine.Bulk
	}
	claimed, err := engine.Returning(ctx, o.session.Write, mode, func(q engine.Queries) ([]Generation, error) {
		return q.ClaimGenerations(ctx, engine.Claim(params), o.clock.Now())
	})
	return claimed, describe("claim generations", err)
}

// maxFewRows is how many rows of one call still count as few.
const maxFewRows = 16

// ExtendLease makes the claim hold for lease from now. A lease that has run out can be extended until the generation is
// rescued.
//
// It returns ErrLeaseLost if the attempt does not hold the generation, whatever its status; ErrCancelRequested if a
// caller wants it stopped; ErrNotFound; and a *ValidationError for a lease under a second or over a day.
func (o *operations) ExtendLease(
	ctx context.Context, id uuid.UUID, attempt int64, lease time.Duration,
) (Generation, error) {
	doing := "extend lease of generation " + id.String()
	if err := checkAttempt(attempt); err != nil {
		return Generation{}, describe(doing, err)
	}
	if err := checkLease(lease); err != nil {
		return Generation{}, describe(doing, err)
	}
	g, err := o.transition(ctx, underClaim(id, attempt), func() (Generation, error) {
		return o.session.ExtendLease(ctx, engine.Extension{ID: id, Attempt: attempt, Lease: lease})
	})
	return g, describe(doing, err)
}

// underClaim is the transition of a worker's call during its work.
func underClaim(id uuid.UUID, attempt int64) transition {
	return transition{
		id: id, to: StatusProcessing, from: []Status{StatusProcessing}, attempt: &attempt, needsClaim: true,
		stopsOnCancel: true,
	}
}

// ReportProgress stores how far the worker has got, in the generation's ProgressStep and ProgressFraction. It does not
// extend the lease.
//
// It returns ErrLeaseLost, ErrCancelRequested and ErrNotFound as ExtendLease does, and a *ValidationError for a
// fraction outside 0 to 1, or a step that is too long, has invalid UTF-8 or a NUL byte.
func (o *operations) ReportProgress(ctx context.Context, id uuid.UUID, attempt int64, progress Progress) error {
	doing := "report progress of generation " + id.String()
	if err := checkAttempt(attempt); err != nil {
		return describe(doing, err)
	}
	if err := progress.validate(); err != nil {
		return describe(doing, err)
	}
	_, err := o.transition(ctx, underClaim(id, attempt), func() (Generation, error) {
		report := engine.Report{ID: id, Attempt: attempt, Step: progress.Step, Fraction: progress.Fraction}
		return Generation{}, o.session.ReportProgress(ctx, report)
	})
	return describe(doing, err)
}

// ReleaseGeneration returns a claimed generation unfinished, as a worker does that shuts down. It is pending again, at
// its old place in the queue. The attempt does not count: MaxAttempts rises by one. If a caller wants the generation
// stopped, it becomes cancelled instead.
//
// It returns ErrLeaseLost if the attempt does not hold the generation, whatever its status, and ErrNotFound.
func (o *operations) ReleaseGeneration(ctx context.Context, id uuid.UUID, attempt int64) (Generation, error) {
	doing := "release generation " + id.String()
	if err := checkAttempt(attempt); err != nil {
		return Generation{}, describe(doing, err)
	}
	t := transition{id: id, to: StatusPending, from: []Status{StatusProcessing}, attempt: &attempt, needsClaim: true}
	g, err := o.changeStatement(ctx, t, func(q engine.Queries) (Generation, error) {
		now := o.clock.Now()
		return q.ReleaseGeneration(ctx, storagedb.ReleaseGenerationParams{Now: &now, ID: id, Attempt: attempt})
	})
	o.notifyDue(g)
	return g, describe(doing, err)
}

// FailGeneration records that an attempt failed. Under a claim, the error is kept with its attempt. If attempts are
// left, the generation is pending again, and claimed after RetryAfter; the last attempt, or NoRetry, makes it failed.
// If a caller wants it stopped, it becomes cancelled. Without a claim a failure is final, as the Python mark_failed is;
// RetryGeneration tries again.
//
// It returns ErrNotFound, ErrLeaseLost and a *TransitionError as CompleteGeneration does, and a *ValidationError for a
// negative RetryAfter or a message with invalid UTF-8 or a NUL byte. strings.ToValidUTF8 makes valid text of a
// program's output.
func (o *operations) FailGeneration(
	ctx context.Context, id uuid.UUID, params FailGenerationParams,
) (Generation, error) {
	doing := "fail generation " + id.String()
	if err := params.validate(); err != nil {
		return Generation{}, describe(doing, err)
	}
	failure := params.failure(id)
	t := transition{id: id, to: StatusFailed, attempt: &params.Attempt}
	g, err := o.transition(ctx, t, func() (Generation, error) {
		return o.session.FailGeneration(ctx, failure)
	})
	o.notifyDue(g)
	return g, describe(doing, err)
}

// failure applies the retry policy: without a claim, or with NoRetry, the failure is final.
func (p FailGenerationParams) failure(id uuid.UUID) engine.Failure {
	f := engine.Failure{ID: id, Attempt: p.Attempt, Error: p.ErrorMessage, Final: p.NoRetry || p.Attempt == 0}
	switch {
	case p.RetryAfter > 0:
		f.RetryAfter = []time.Duration{p.RetryAfter}
	case p.Attempt > 0:
		f.RetryAfter = backoffs()
	}
	return f
}

const maxBackoff = 10 * time.Minute

// backoffs returns the delay before the next attempt by the number of earlier failures: 1, 2, 4 ... seconds, at most 10
// minutes. Each is up to a tenth longer or shorter at random, so that generations that failed together are not tried
// again together. It goes by failures and not by attempts, which releases raise, too.
func backoffs() []time.Duration {
	const doublings = 10 // 2^9 seconds is the last delay below the maximum
	chance := rand.Float64()
	delays := make([]time.Duration, doublings+1)
	for failures := range doublings {
		exact := time.Second << failures
		delays[failures] = exact + time.Duration((chance*0.2-0.1)*float64(exact))
	}
	delays[doublings] = maxBackoff - time.Duration(chance*0.1*float64(maxBackoff))
	return delays
}

// RetryGeneration makes a failed or cancelled generation pending, due now, with at least one more attempt. It returns
// ErrNotFound, and a *TransitionError for any other status.
func (o *operations) RetryGeneration(ctx context.Context, id uuid.UUID) (Generation, error) {
	t := transition{id: id, to: StatusPending, from: []Status{StatusFailed, StatusCancelled}}
	g, err := o.changeStatement(ctx, t, func(q engine.Queries) (Generation, error) {
		return q.RetryGeneration(ctx, storagedb.RetryGenerationParams{Now: o.clock.Now(), ID: id})
	})
	o.notifyDue(g)
	return g, describe("retry generation "+id.String(), err)
}

// CancelGeneration cancels a generation that is pending, or processing without a claim, at once. It asks the worker of
// a claimed generation to stop, and returns the generation still processing. The worker's next ExtendLease or
// ReportProgress returns ErrCancelRequested. Its FailGeneration or ReleaseGeneration, or a rescue after the lease has
// run out, makes the generation cancelled; its CompleteGeneration still completes it. To ask again is no error.
//
// It returns ErrNotFound, and a *TransitionError if the generation is finished.
func (o *operations) CancelGeneration(ctx context.Context, id uuid.UUID) (Generation, error) {
	g, err := o.changeStatement(ctx, transition{id: id, to: StatusCancelled}, func(q engine.Queries) (Generation, error) {
		now := o.clock.Now()
		return q.CancelGeneration(ctx, storagedb.CancelGenerationParams{Now: &now, ID: id})
	})
	return g, describe("cancel generation "+id.String(), err)
}

// RescueGenerations ends up to limit claims whose leases have run out, the longest expired first, and returns the
// generations. Each is pending again at its old place in the queue, or failed if its attempts are used up, or cancelled
// if a caller wanted it stopped. The attempt's error says that the lease ran out. [Store.Work] rescues by itself.
//
// A limit below 1 is a *ValidationError.
func (o *operations) RescueGenerations(ctx context.Context, limit int) ([]Generation, error) {
	if err := checkPositiveLimit(limit); err != nil {
		return nil, describe("rescue generations", err)
	}
	var rescued []Generation
	err := o.session.Write(ctx, engine.Bulk, func(q engine.Queries) (err error) {
		rescued, err = q.RescueGenerations(ctx, int64(limit), o.clock.Now())
		return err
	})
	if err != nil {
		return nil, describe("rescue generations", err)
	}
	o.notifyDue(rescued...)
	return rescued, nil
}

// QueuePosition returns how many claims it takes until the generation is claimed, as the queue stands now: 1 is next, 0
// is being worked on. Generations that are scheduled for later stand after all that are due. The cost grows with the
// position.
//
// It returns ErrNotFound if there is no such generation, or if it is finished.
func (o *operations) QueuePosition(ctx context.Context, id uuid.UUID) (int64, error) {
	var position int64
	err := o.session.Read(ctx, func(q engine.Queries) (err error) {
		position, err = q.QueuePosition(ctx, storagedb.QueuePositionParams{Now: o.clock.Now(), ID: id})
		if err == nil && position < 0 {
			position, err = 0, ErrNotFound
		}
		return err
	})
	return position, describe("queue position of generation "+id.String(), err)
}

// GenerationErrors returns why attempts of the generation failed, in their order: one for each that FailGeneration
// ended under a claim, and one for each whose lease ran out. It returns ErrNotFound if there is no such generation.
func (o *operations) GenerationErrors(ctx context.Context, id uuid.UUID) ([]GenerationError, error) {
	var kept []GenerationError
	err := o.session.Read(ctx, func(q engine.Queries) (err error) {
		if kept, err = q.GenerationErrors(ctx, id); err != nil || len(kept) > 0 {
			return err
		}
		_, err = q.GetGeneration(ctx, id)
		return err
	})
	if err != nil {
		return nil, describe("errors of generation "+id.String(), err)
	}
	return kept, nil
}

// PauseQueue stops claims in all processes until ResumeQueue. Work that is under way goes on, and a claim that runs at
// this moment may still take something. The queue stays paused across restarts.
func (o *operations) PauseQueue(ctx context.Context) error {
	err := o.session.Write(ctx, engine.Statement, func(q engine.Queries) error {
		now := o.clock.Now()
		return q.PauseQueue(ctx, &now)
	})
	return describe("pause the queue", err)
}

// ResumeQueue allows claims again. It does nothing if the queue is not paused.
func (o *operations) ResumeQueue(ctx context.Context) error {
	err := o.session.Write(ctx, engine.Statement, func(q engine.Queries) error { return q.ResumeQueue(ctx) })
	if err == nil {
		o.session.Notify()
	}
	return describe("resume the queue", err)
}

// QueuePausedAt returns the time at which the queue was paused, or the zero time if it is not.
func (o *operations) QueuePausedAt(ctx context.Context) (time.Time, error) {
	var paused *time.Time
	err := o.session.Read(ctx, func(q engine.Queries) (err error) {
		paused, err = q.QueuePausedAt(ctx)
		return err
	})
	if err != nil || paused == nil {
		return time.Time{}, describe("read whether the queue is paused", err)
	}
	return *paused, nil
}

// notifyDue wakes the callers that wait for work if one of the generations can be claimed now, or before they look
// again.
func (o *operations) notifyDue(generations ...Generation) {
	soon := o.clock.Now().Add(waitPollInterval)
	for _, g := range generations {
		if g.IsPending() && !g.ScheduledAt.After(soon) {
			o.session.Notify()
			return
		}
	}
}
