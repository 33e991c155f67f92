package store

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/storagedb"
)

// GenerationError is why an attempt failed.
type GenerationError = storagedb.GenerationError

// The steps of the Python service. A step may be any other text, too; the store itself sets StepQueued when a generation
// is created or goes back to pending, StepCompleted and StepFailed when it ends so.
const (
	StepQueued         = "queued"
	StepLoadingModel   = "loading_model"
	StepEncodingPrompt = "encoding_prompt"
	StepGenerating     = "generating"
	StepSaving         = "saving"
	StepCompleted      = "completed"
	StepFailed         = "failed"
)

// ClaimParams says who claims what.
type ClaimParams struct {
	Worker     string        // who claims, for people to read; 1 to 255 bytes
	Limit      int           // how many at the most; at least 1
	Lease      time.Duration // how long the claim holds unless it is extended; a second to a day
	ModelNames []string      // the models that the worker can run; none: any
}

// Progress is how far a worker has got.
type Progress struct {
	Step     string  // what it is at, such as StepGenerating; at most 255 bytes; "": still the same
	Fraction float64 // how much of the whole is done, 0 to 1
}

// ClaimGenerations takes pending generations that are due, in the order of PendingGenerations, and sets them to
// processing under a claim that holds until the lease runs out. Each claim raises Attempt by one: the number is the fence
// that every later call of the worker must give. None to be had is no error. While the queue is paused there are none.
// Where the end of ctx cuts the answer off on PostgreSQL, what was claimed is nobody's until its lease has run out.
//
// Filtering by model passes over what waits for other models, so it costs by how much that is.
//
// It returns a *ValidationError for bad parameters.
func (o *operations) ClaimGenerations(ctx context.Context, params ClaimParams) ([]Generation, error) {
	if err := params.checked(); err != nil {
		return nil, describe("claim generations", err)
	}
	var claimed []Generation
	write := o.session.writeAtomic
	if params.Limit > maxTogether {
		write = o.session.writeMany
	}
	err := write(ctx, func(db storagedb.DBTX) (err error) {
		claimed, err = o.dialect.claimGenerations(ctx, db, params, o.clock.Now())
		return err
	})
	if err != nil {
		return nil, describe("claim generations", err)
	}
	return claimed, nil
}

// ExtendLease makes the claim hold for lease from now. A lease that has run out can be extended as long as nobody has
// rescued the generation.
//
// It returns ErrLeaseLost where the attempt does not hold the generation, whatever its status, ErrCancelRequested where
// somebody wants it stopped, ErrNotFound, and a *ValidationError for a lease under a second or over a day.
func (o *operations) ExtendLease(ctx context.Context, id uuid.UUID, attempt int64, lease time.Duration) (Generation, error) {
	doing := "extend lease of generation " + id.String()
	if err := checkAttempt(attempt); err != nil {
		return Generation{}, describe(doing, err)
	}
	if err := checkLease(lease); err != nil {
		return Generation{}, describe(doing, err)
	}
	t := transition{id: id, to: StatusProcessing, from: []Status{StatusProcessing}, attempt: &attempt, claimed: true, heeds: true}
	t.joint = &jointWrite{extend: &lease, id: id, attempt: attempt, now: o.clock.Now()}
	g, err := o.transition(ctx, t, func(db storagedb.DBTX) (Generation, error) {
		expires := o.clock.Now().Add(lease).Truncate(timePrecision)
		return storagedb.New(db).ExtendLease(ctx, storagedb.ExtendLeaseParams{LeaseExpiresAt: &expires, ID: id, Attempt: attempt})
	})
	return g, describe(doing, err)
}

// ReportProgress stores how far the worker has got, for anyone to read in the generation's ProgressStep and
// ProgressFraction. It does not extend the lease.
//
// It returns ErrLeaseLost, ErrCancelRequested and ErrNotFound as ExtendLease does, and a *ValidationError for a fraction
// outside 0 to 1 or a step that is too long, invalid UTF-8 or has a NUL byte.
func (o *operations) ReportProgress(ctx context.Context, id uuid.UUID, attempt int64, progress Progress) error {
	doing := "report progress of generation " + id.String()
	if err := checkAttempt(attempt); err != nil {
		return describe(doing, err)
	}
	if err := progress.checked(); err != nil {
		return describe(doing, err)
	}
	t := transition{id: id, to: StatusProcessing, from: []Status{StatusProcessing}, attempt: &attempt, claimed: true, heeds: true}
	t.joint = &jointWrite{progress: &progress, id: id, attempt: attempt, now: o.clock.Now()}
	_, err := o.transition(ctx, t, func(db storagedb.DBTX) (Generation, error) {
		rows, err := storagedb.New(db).ReportProgress(ctx, storagedb.ReportProgressParams{
			ProgressStep: nullIfEmpty(progress.Step), ProgressFraction: progress.Fraction, ID: id, Attempt: attempt,
		})
		if err == nil && rows == 0 {
			err = pgx.ErrNoRows
		}
		return Generation{}, err
	})
	return describe(doing, err)
}

// ReleaseGeneration gives a claimed generation back unfinished, as a worker does that shuts down: it is pending again, at
// its old place in the queue, and the attempt does not count, since MaxAttempts rises by one. Where somebody wants it
// stopped it becomes cancelled instead.
//
// It returns ErrLeaseLost where the attempt does not hold the generation, whatever its status, and ErrNotFound.
func (o *operations) ReleaseGeneration(ctx context.Context, id uuid.UUID, attempt int64) (Generation, error) {
	doing := "release generation " + id.String()
	if err := checkAttempt(attempt); err != nil {
		return Generation{}, describe(doing, err)
	}
	t := transition{id: id, to: StatusPending, from: []Status{StatusProcessing}, attempt: &attempt, claimed: true}
	g, err := o.transition(ctx, t, func(db storagedb.DBTX) (Generation, error) {
		now := o.clock.Now()
		return storagedb.New(db).ReleaseGeneration(ctx, storagedb.ReleaseGenerationParams{Now: &now, ID: id, Attempt: attempt})
	})
	o.announceDue(g)
	return g, describe(doing, err)
}

// FailGeneration records that an attempt failed. Under a claim the error is kept with its attempt, and where attempts are
// left the generation is pending again, to be claimed after RetryAfter; the last attempt makes it failed, as NoRetry
// does. Where somebody wants it stopped it becomes cancelled. Without a claim a failure is final, as the Python
// mark_failed is, and RetryGeneration tries again.
//
// It returns ErrNotFound, ErrLeaseLost and a *TransitionError as CompleteGeneration does, and a *ValidationError for a
// negative RetryAfter and for a message with invalid UTF-8 or a NUL byte: strings.ToValidUTF8 makes text of what a
// program has printed.
func (o *operations) FailGeneration(ctx context.Context, id uuid.UUID, params FailGenerationParams) (Generation, error) {
	doing := "fail generation " + id.String()
	if err := params.checked(); err != nil {
		return Generation{}, describe(doing, err)
	}
	t := transition{id: id, to: StatusFailed, attempt: &params.Attempt}
	t.joint = &jointWrite{fail: &params, atomic: true, id: id, attempt: params.Attempt, now: o.clock.Now()}
	g, err := o.transition(ctx, t, func(db storagedb.DBTX) (Generation, error) {
		var failures int64
		if params.backsOff() {
			var err error
			if failures, err = storagedb.New(db).CountGenerationErrors(ctx, id); err != nil {
				return Generation{}, err
			}
		}
		now := o.clock.Now()
		return o.dialect.failGeneration(ctx, db, id, params, now, params.retryAt(now, failures))
	})
	o.announceDue(g)
	return g, describe(doing, err)
}

// backsOff tells whether the next attempt comes the later the more have failed before.
func (p FailGenerationParams) backsOff() bool { return p.RetryAfter == 0 && p.Attempt > 0 }

// final tells whether there is to be no other attempt, whatever is left of them.
func (p FailGenerationParams) final() bool { return p.NoRetry || p.Attempt == 0 }

// retryAt is when the generation is due again, where it is to be tried again, after so many failures before.
func (p FailGenerationParams) retryAt(now time.Time, failures int64) time.Time {
	after := p.RetryAfter
	if p.backsOff() {
		after = backoff(failures)
	}
	return now.Add(after).Truncate(timePrecision)
}

const maxBackoff = 10 * time.Minute

// backoff is how long a generation waits after another attempt has failed: 1, 2, 4 ... seconds, at most 10 minutes, and by
// chance a tenth more or less, so that what failed together is not tried again together. It goes by the failures before
// and not by the attempt, which rises with each release, too.
func backoff(failures int64) time.Duration {
	chance := rand.Float64()
	if failures >= 10 { // 2^9 seconds are the last below the maximum
		return maxBackoff - time.Duration(chance*0.1*float64(maxBackoff))
	}
	exact := time.Second << failures
	return exact + time.Duration((chance*0.2-0.1)*float64(exact))
}

// RetryGeneration puts a failed or cancelled generation back in the queue, as of now, and makes sure of at least one more
// attempt. It returns ErrNotFound, and a *TransitionError for any other status.
func (o *operations) RetryGeneration(ctx context.Context, id uuid.UUID) (Generation, error) {
	t := transition{id: id, to: StatusPending, from: []Status{StatusFailed, StatusCancelled}}
	g, err := o.transition(ctx, t, func(db storagedb.DBTX) (Generation, error) {
		return storagedb.New(db).RetryGeneration(ctx, storagedb.RetryGenerationParams{Now: o.clock.Now(), ID: id})
	})
	o.announceDue(g)
	return g, describe("retry generation "+id.String(), err)
}

// CancelGeneration cancels a pending generation, and one that is processing without a claim, at once. One that is under a
// claim it asks to stop, and returns it still processing: the worker's next ExtendLease or ReportProgress returns
// ErrCancelRequested, and its FailGeneration or ReleaseGeneration, or a rescue once its lease has run out, makes the
// generation cancelled. A CompleteGeneration still completes it. To ask again is no error.
//
// It returns ErrNotFound, and a *TransitionError where the generation is finished.
func (o *operations) CancelGeneration(ctx context.Context, id uuid.UUID) (Generation, error) {
	g, err := o.transition(ctx, transition{id: id, to: StatusCancelled}, func(db storagedb.DBTX) (Generation, error) {
		now := o.clock.Now()
		return storagedb.New(db).CancelGeneration(ctx, storagedb.CancelGenerationParams{Now: &now, ID: id})
	})
	return g, describe("cancel generation "+id.String(), err)
}

// leaseExpired is the error of an attempt that was rescued. The queries are given it, so that it is said once.
const leaseExpired = "lease expired: the worker did not extend it, so it may have been killed"

// RescueGenerations ends claims whose lease has run out, the longest expired first, at most limit of them, and returns the
// generations: pending again, at their old place in the queue, or failed where the attempts are used up, or cancelled
// where somebody wanted them stopped. That the lease ran out is kept as the attempt's error. [Store.Work] does so by itself.
//
// A limit below 1 is a *ValidationError.
func (o *operations) RescueGenerations(ctx context.Context, limit int) ([]Generation, error) {
	if err := checkPositiveLimit(limit); err != nil {
		return nil, describe("rescue generations", err)
	}
	var rescued []Generation
	err := o.session.writeMany(ctx, func(db storagedb.DBTX) (err error) {
		rescued, err = o.dialect.rescueGenerations(ctx, db, limit, o.clock.Now())
		return err
	})
	if err != nil {
		return nil, describe("rescue generations", err)
	}
	o.announceDue(rescued...)
	return rescued, nil
}

// QueuePosition tells how many claims it takes until the generation's turn, in the order in which the queue stands now: 1
// is next, 0 is being worked on. What is scheduled for later stands behind all that is due. The cost is by how many stand
// before it.
//
// It returns ErrNotFound where there is no such generation, and where it is finished.
func (o *operations) QueuePosition(ctx context.Context, id uuid.UUID) (int64, error) {
	var position int64
	err := o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		position, err = storagedb.New(db).QueuePosition(ctx, storagedb.QueuePositionParams{Now: o.clock.Now(), ID: id})
		if err == nil && position < 0 {
			position, err = 0, ErrNotFound
		}
		return err
	})
	return position, describe("queue position of generation "+id.String(), err)
}

// GenerationErrors returns why attempts of the generation failed, in their order: one for each that FailGeneration ended
// under a claim, and one for each whose lease ran out. It returns ErrNotFound where there is no such generation.
func (o *operations) GenerationErrors(ctx context.Context, id uuid.UUID) ([]GenerationError, error) {
	var kept []GenerationError
	err := o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		queries := storagedb.New(db)
		if kept, err = queries.GenerationErrors(ctx, id); err != nil || len(kept) > 0 {
			return err
		}
		_, err = queries.GetGeneration(ctx, id)
		return err
	})
	if err != nil {
		return nil, describe("errors of generation "+id.String(), err)
	}
	return kept, nil
}

// PauseQueue stops claims, in all processes, until ResumeQueue: what is being worked on goes on, and a claim that runs at
// this very moment may still take something. A queue that is paused stays so, across restarts, too.
func (o *operations) PauseQueue(ctx context.Context) error {
	err := o.session.write(ctx, func(db storagedb.DBTX) error {
		now := o.clock.Now()
		return storagedb.New(db).PauseQueue(ctx, &now)
	})
	return describe("pause the queue", err)
}

// ResumeQueue lets claims go on. A queue that runs goes on running.
func (o *operations) ResumeQueue(ctx context.Context) error {
	err := o.session.write(ctx, func(db storagedb.DBTX) error {
		return storagedb.New(db).ResumeQueue(ctx)
	})
	if err == nil {
		o.session.announce()
	}
	return describe("resume the queue", err)
}

// QueuePausedAt returns since when the queue is paused, or the zero time where it runs.
func (o *operations) QueuePausedAt(ctx context.Context) (time.Time, error) {
	var paused *time.Time
	err := o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		paused, err = storagedb.New(db).QueuePausedAt(ctx)
		return err
	})
	if err != nil || paused == nil {
		return time.Time{}, describe("look whether the queue is paused", err)
	}
	return *paused, nil
}

// announceDue tells those who wait for work, where some of the generations can be claimed now, or before they would look
// again and learn when.
func (o *operations) announceDue(generations ...Generation) {
	soon := o.clock.Now().Add(waitPollInterval)
	for _, g := range generations {
		if g.IsPending() && !g.ScheduledAt.After(soon) {
			o.session.announce()
			return
		}
	}
}
