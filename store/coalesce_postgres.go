package store

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

// maxPostgresBatches is how many batches of a kind may be on their way at once: while one commits, another is executed. More
// of them would be smaller ones.
const maxPostgresBatches = 2

// newCoalescer makes one statement of all writes of a kind that are queued, on a connection of the pool.
func (e *postgresEngine) newCoalescer(together func(ctx context.Context, db storagedb.DBTX, batch []*queuedWrite) error) *coalescer {
	c := newCoalescer(maxPostgresBatches, e.patience, func(ctx context.Context, deadline time.Time) (batchRunner, error) {
		conn, err := e.acquire(ctx, e.pool, time.Until(deadline))
		if err != nil {
			return nil, err
		}
		return func(b *batch) { e.runBatch(conn, b.writes, together) }, nil
	})
	c.leaves = true
	return c
}

// errAlone tells a caller to run its write itself: it cannot be done together with the others.
var errAlone = errors.New("not together with others")

// runBatch runs the writes together, a single one, too, since what it might wait for would hold up the next batch. Those that
// this leaves, and all where the server refuses the statement, are left to their callers: then each waits for what its own
// write waits for. Where the outcome is not known, nothing is run again.
func (e *postgresEngine) runBatch(conn *pgxpool.Conn, batch []*queuedWrite, together func(context.Context, storagedb.DBTX, []*queuedWrite) error) {
	var wanted []*queuedWrite
	for _, w := range batch {
		if w.err = w.ctx.Err(); w.err == nil {
			wanted = append(wanted, w)
		}
	}
	err := e.releasing(conn, func(conn *pgxpool.Conn) error {
		if len(wanted) == 0 {
			return nil
		}
		ctx, cancel := whileAnyLasts(wanted)
		defer cancel()
		return together(ctx, logged(conn, e.logger), wanted)
	})
	for _, w := range wanted {
		switch {
		case w.done:
		case err == nil || changedNothingOnPostgres(err):
			w.err = errAlone
		case w.ctx.Err() != nil: // which may be why: the statement is cut off once all have ended
			w.err = w.ctx.Err()
		default:
			w.err = err
		}
		w.done = true
	}
}

// changedNothingOnPostgres tells of a statement that was not sent, or that the server has refused: any other error may have come
// behind its commit.
func changedNothingOnPostgres(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return pgconn.SafeToRetry(err) || ok && refused.SeverityUnlocalized == "ERROR"
}

// whileAnyLasts is a context that ends when those of all writes have.
func whileAnyLasts(batch []*queuedWrite) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(batch[0].ctx))
	var lasting atomic.Int64
	lasting.Store(int64(len(batch)))
	stops := make([]func() bool, len(batch))
	for i, w := range batch {
		if w.ctx.Done() == nil {
			continue
		}
		stops[i] = context.AfterFunc(w.ctx, func() {
			if lasting.Add(-1) == 0 {
				cancel()
			}
		})
	}
	return ctx, func() {
		for _, stop := range stops {
			if stop != nil {
				stop()
			}
		}
		cancel()
	}
}

// newCoalescers makes one for each kind of joint write.
func (e *postgresEngine) newCoalescers() (all [jointKinds]*coalescer) {
	all[jointCreate] = e.newCoalescer(e.createTogether)
	all[jointTrack] = e.newCoalescer(e.trackTogether)
	all[jointComplete] = e.newCoalescer(changeTogether(e.completeTogether))
	all[jointFail] = e.newCoalescer(changeTogether(e.failTogether))
	all[jointExtend] = e.newCoalescer(changeTogether(e.extendTogether))
	all[jointProgress] = e.newCoalescer(changeTogether(e.reportTogether))
	return all
}

func (e *postgresEngine) writeJoint(ctx context.Context, joint *jointWrite, alone func(storagedb.DBTX) error) error {
	if err := e.coalescers[joint.kind()].writeJoint(ctx, joint, alone); !errors.Is(err, errAlone) {
		return err
	}
	return e.read(ctx, alone)
}

func (e *postgresEngine) createTogether(ctx context.Context, db storagedb.DBTX, batch []*queuedWrite) error {
	err := createTogether(ctx, e, db, batch)
	for _, w := range batch {
		w.done = err == nil // the statement has committed
	}
	return err
}

func (e *postgresEngine) trackTogether(ctx context.Context, db storagedb.DBTX, batch []*queuedWrite) error {
	params := pgdb.TrackPromptsParams{UsedAt: latest(batch)}
	for _, w := range batch {
		params.Texts = append(params.Texts, *w.joint.track)
	}
	tracked, err := pgdb.New(db).TrackPrompts(ctx, params)
	if err != nil {
		return err
	}
	byText := make(map[string]Prompt, len(tracked))
	for _, prompt := range tracked {
		byText[prompt.Text] = Prompt(prompt)
	}
	for _, w := range slices.Backward(batch) { // as if one had come after the other
		prompt := byText[*w.joint.track]
		w.joint.setPrompt(prompt)
		w.done = true
		prompt.UsedCount--
		byText[prompt.Text] = prompt
	}
	return nil
}

// changeTogether makes changes of generations that are there, of each one. Of two on one generation the second is run alone,
// and so are those that change returns nothing of: because they are not allowed, or because somebody else has locked the
// generation. So a batch waits for nobody while it holds locks.
func changeTogether(change func(context.Context, storagedb.DBTX, []*jointWrite, time.Time) ([]Generation, error)) func(context.Context, storagedb.DBTX, []*queuedWrite) error {
	return func(ctx context.Context, db storagedb.DBTX, batch []*queuedWrite) error {
		changes, of := make([]*jointWrite, 0, len(batch)), make(map[uuid.UUID]*queuedWrite, len(batch))
		for _, w := range batch {
			if of[w.joint.id] == nil {
				of[w.joint.id] = w
				changes = append(changes, w.joint)
			}
		}
		changed, err := change(ctx, db, changes, latest(batch))
		if err != nil {
			return err
		}
		for _, g := range changed {
			w := of[g.ID]
			w.joint.set(g)
			w.done = true
		}
		return nil
	}
}

func (e *postgresEngine) completeTogether(ctx context.Context, db storagedb.DBTX, changes []*jointWrite, now time.Time) ([]Generation, error) {
	completions := make([]Completion, len(changes))
	for i, change := range changes {
		completions[i] = Completion{ID: change.id, CompleteGenerationParams: *change.complete}
	}
	return e.completeFree(ctx, db, completions, now)
}

func (e *postgresEngine) failTogether(ctx context.Context, db storagedb.DBTX, changes []*jointWrite, now time.Time) ([]Generation, error) {
	queries := pgdb.New(db)
	params := pgdb.FailGenerationsParams{Now: now}
	var backingOff []uuid.UUID
	for _, change := range changes {
		if change.fail.backsOff() {
			backingOff = append(backingOff, change.id)
		}
	}
	failures := make(map[uuid.UUID]int64)
	if len(backingOff) > 0 {
		counted, err := queries.CountErrorsOfGenerations(ctx, backingOff)
		if err != nil {
			return nil, err
		}
		for _, row := range counted {
			failures[row.GenerationID] = row.Failures
		}
	}
	for _, change := range changes {
		params.Ids = append(params.Ids, change.id)
		params.Attempts = append(params.Attempts, change.attempt)
		params.Finals = append(params.Finals, change.fail.final())
		params.RetryAts = append(params.RetryAts, change.fail.retryAt(now, failures[change.id]))
		params.Errors = append(params.Errors, change.fail.ErrorMessage)
	}
	failed, err := queries.FailGenerations(ctx, params)
	return generationsOf(failed), err
}

func (e *postgresEngine) extendTogether(ctx context.Context, db storagedb.DBTX, changes []*jointWrite, now time.Time) ([]Generation, error) {
	var params pgdb.ExtendLeasesParams
	for _, change := range changes {
		params.Ids = append(params.Ids, change.id)
		params.Attempts = append(params.Attempts, change.attempt)
		params.LeaseExpiresAts = append(params.LeaseExpiresAts, now.Add(*change.extend).Truncate(timePrecision))
	}
	extended, err := pgdb.New(db).ExtendLeases(ctx, params)
	return generationsOf(extended), err
}

func (e *postgresEngine) reportTogether(ctx context.Context, db storagedb.DBTX, changes []*jointWrite, _ time.Time) ([]Generation, error) {
	var params pgdb.ReportProgressesParams
	for _, change := range changes {
		params.Ids = append(params.Ids, change.id)
		params.Attempts = append(params.Attempts, change.attempt)
		params.ProgressSteps = append(params.ProgressSteps, change.progress.Step)
		params.ProgressFractions = append(params.ProgressFractions, change.progress.Fraction)
	}
	reported, err := pgdb.New(db).ReportProgresses(ctx, params)
	generations := make([]Generation, len(reported))
	for i, id := range reported {
		generations[i].ID = id // nobody asks for more
	}
	return generations, err
}
