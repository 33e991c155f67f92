package postgres

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/dgx-music/storage/internal/commit"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

// maxBatches is how many batches of a kind may be under way at once: while one commits, another is executed. More of
// them would be smaller ones.
const maxBatches = 2

// queues has one group commit for each kind of write, since one statement makes a whole batch.
type queues struct {
	creations   *commit.Keyed[engine.Creation, storagedb.Generation]
	uses        *commit.Keyed[string, storagedb.Prompt]
	completions *commit.Queue[engine.Completion, storagedb.Generation]
	failures    *commit.Queue[engine.Failure, storagedb.Generation]
	extensions  *commit.Queue[engine.Extension, storagedb.Generation]
	reports     *commit.Queue[engine.Report, uuid.UUID]
}

func (e *Engine) newQueues() queues {
	return queues{
		creations: newPromptQueue(e, func(c engine.Creation) string { return c.Prompt }, (*dialect).createBatch),
		uses:      newPromptQueue(e, func(text string) string { return text }, (*dialect).trackBatch),
		completions: newQueue(e, changeBatch(func(c engine.Completion) uuid.UUID { return c.ID }, idOf,
			(*dialect).completeUnlocked)),
		failures: newQueue(e, changeBatch(func(f engine.Failure) uuid.UUID { return f.ID }, idOf,
			(*dialect).failUnlocked)),
		extensions: newQueue(e, changeBatch(func(x engine.Extension) uuid.UUID { return x.ID }, idOf,
			(*dialect).extendUnlocked)),
		reports: newQueue(e, changeBatch(func(r engine.Report) uuid.UUID { return r.ID },
			func(id uuid.UUID) uuid.UUID { return id }, (*dialect).reportUnlocked)),
	}
}

func idOf(g storagedb.Generation) uuid.UUID { return g.ID }

// batchStatement makes the writes of a batch by one statement, at a time. It sets the result of each and marks it as
// done. A write that it leaves runs alone.
type batchStatement[T, R any] func(d *dialect, ctx context.Context, batch []*commit.Write[T, R], now time.Time) error

func newQueue[T, R any](e *Engine, statement batchStatement[T, R]) *commit.Queue[T, R] {
	begin := func(ctx context.Context, deadline time.Time, _ *dbtx.Log) (commit.Run[T, R], error) {
		conn, err := e.acquire(ctx, e.pool, time.Until(deadline))
		if err != nil {
			return nil, err
		}
		return func(b *commit.Batch[T, R]) { runBatch(e, conn, b, statement) }, nil
	}
	return commit.New(e.waitTimeout, commit.Options{Batches: maxBatches, Logger: e.logger}, begin)
}

func (q queues) close() {
	q.creations.Close()
	q.uses.Close()
	q.completions.Close()
	q.failures.Close()
	q.extensions.Close()
	q.reports.Close()
}

// errRunAlone tells a caller to run its write itself.
var errRunAlone = errors.New("not together with others")

// outcomeTimeout is how long a batch may go on when all its callers have left. To cut a statement off closes its
// connection, so it is for servers that do not answer, and not for those that are slow.
const outcomeTimeout = 5 * time.Second

// runBatch runs the writes by one statement. A single write runs so, too: waiting for a lock here would hold up the
// next batch. Writes that the statement leaves, and all of them if the server refuses it, are left to their callers:
// each then waits only for what its own write waits for. If the outcome is not known, nothing runs again.
func runBatch[T, R any](e *Engine, conn *pgxpool.Conn, b *commit.Batch[T, R], statement batchStatement[T, R]) {
	err := e.releasing(conn, func(conn *pgxpool.Conn) error {
		if len(b.Writes) == 0 {
			return nil
		}
		ctx, cancel := b.Context(outcomeTimeout)
		defer cancel()
		return statement(newDialect(dbtx.Naming(b.Log.Wrap(dbtx.Corrected(conn)))), ctx, b.Writes, e.now())
	})
	for _, w := range b.Writes {
		switch {
		case w.Done, w.Err != nil:
		case err == nil || changedNothing(err):
			w.Err = errRunAlone
		default:
			w.Err = err
		}
		w.Done = true
	}
}

// changedNothing reports whether a statement was not sent, or was refused by the server. Any other error may have come
// after its commit.
func changedNothing(err error) bool {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	return pgconn.SafeToRetry(err) || ok && refused.SeverityUnlocalized == "ERROR"
}

// together runs op in a batch, or alone if the batch leaves it.
func together[T, R any](
	ctx context.Context,
	queue interface {
		Do(context.Context, T) (R, error)
	},
	op T,
	alone func(context.Context, T) (R, error),
) (R, error) {
	result, err := queue.Do(ctx, op)
	if errors.Is(err, errRunAlone) {
		return alone(ctx, op)
	}
	return result, err
}

// CreateGeneration creates a generation together with those of other callers.
func (e *Engine) CreateGeneration(ctx context.Context, creation engine.Creation) (storagedb.Generation, error) {
	return together(ctx, e.queues.creations, creation, e.single.CreateGeneration)
}

// TrackPrompt counts a use together with those of other callers.
func (e *Engine) TrackPrompt(ctx context.Context, text string) (storagedb.Prompt, error) {
	return together(ctx, e.queues.uses, text, e.single.TrackPrompt)
}

// CompleteGeneration completes a generation together with those of other callers.
func (e *Engine) CompleteGeneration(ctx context.Context, completion engine.Completion) (storagedb.Generation, error) {
	return together(ctx, e.queues.completions, completion, e.single.CompleteGeneration)
}

// FailGeneration ends an attempt together with those of other callers.
func (e *Engine) FailGeneration(ctx context.Context, failure engine.Failure) (storagedb.Generation, error) {
	return together(ctx, e.queues.failures, failure, e.single.FailGeneration)
}

// ExtendLease extends a lease together with those of other callers.
func (e *Engine) ExtendLease(ctx context.Context, extension engine.Extension) (storagedb.Generation, error) {
	return together(ctx, e.queues.extensions, extension, e.single.ExtendLease)
}

// ReportProgress stores progress together with that of other callers.
func (e *Engine) ReportProgress(ctx context.Context, report engine.Report) error {
	_, err := together(ctx, e.queues.reports, report, func(ctx context.Context, report engine.Report) (uuid.UUID, error) {
		return report.ID, e.single.ReportProgress(ctx, report)
	})
	return err
}

func (d *dialect) createBatch(
	ctx context.Context, batch []*commit.Write[engine.Creation, storagedb.Generation], now time.Time, lockTimeout string,
) error {
	creations := make([]engine.Creation, len(batch))
	for i, w := range batch {
		creations[i] = w.Op
	}
	created, err := d.createWithin(ctx, creations, now, lockTimeout)
	if err != nil {
		return err
	}
	for i, w := range batch {
		w.Result, w.Done = created[i], true // the statement has committed
	}
	return nil
}

func (d *dialect) trackBatch(
	ctx context.Context, batch []*commit.Write[string, storagedb.Prompt], now time.Time, lockTimeout string,
) error {
	params := pgdb.TrackPromptsParams{UsedAt: now, LockTimeout: lockTimeout}
	for _, w := range batch {
		params.Texts = append(params.Texts, w.Op)
	}
	tracked, err := d.own.TrackPrompts(ctx, params)
	if err != nil {
		return err
	}
	byText := make(map[string]storagedb.Prompt, len(tracked))
	for _, prompt := range tracked {
		byText[prompt.Text] = storagedb.Prompt(prompt)
	}
	for _, w := range slices.Backward(batch) { // as if one use had come after the other
		prompt := byText[w.Op]
		w.Result, w.Done = prompt, true
		prompt.UsedCount--
		byText[prompt.Text] = prompt
	}
	return nil
}

// changeBatch returns a statement that changes existing generations, each once. It leaves the second change of a
// generation, and those that change does not return: they are not allowed, or another transaction has locked the
// generation. So a batch waits for nobody while it holds locks.
func changeBatch[T, R any](idOfOp func(T) uuid.UUID, idOfRow func(R) uuid.UUID,
	change func(d *dialect, ctx context.Context, ops []T, now time.Time) ([]R, error)) batchStatement[T, R] {
	return func(d *dialect, ctx context.Context, batch []*commit.Write[T, R], now time.Time) error {
		ops, byID := make([]T, 0, len(batch)), make(map[uuid.UUID]*commit.Write[T, R], len(batch))
		for _, w := range batch {
			if id := idOfOp(w.Op); byID[id] == nil {
				byID[id] = w
				ops = append(ops, w.Op)
			}
		}
		changed, err := change(d, ctx, ops, now)
		if err != nil {
			return err
		}
		for _, row := range changed {
			w := byID[idOfRow(row)]
			w.Result, w.Done = row, true
		}
		return nil
	}
}

// completeUnlocked completes the generations that no other transaction has locked.
func (d *dialect) completeUnlocked(
	ctx context.Context, completions []engine.Completion, now time.Time,
) ([]storagedb.Generation, error) {
	params := pgdb.CompleteGenerationsParams{CompletedAt: now}
	for _, c := range completions {
		params.Ids = append(params.Ids, c.ID)
		params.GenerationTimesSeconds = append(params.GenerationTimesSeconds, c.GenerationTimeSeconds)
		params.FileSizesBytes = append(params.FileSizesBytes, c.FileSizeBytes)
		params.Metadata = append(params.Metadata, c.Metadata)
		params.Attempts = append(params.Attempts, c.Attempt)
	}
	completed, err := d.own.CompleteGenerations(ctx, params)
	return generations(completed), err
}

// failUnlocked ends attempts of the generations that no other transaction has locked.
func (d *dialect) failUnlocked(
	ctx context.Context, failures []engine.Failure, now time.Time,
) ([]storagedb.Generation, error) {
	var backingOff []uuid.UUID
	for _, f := range failures {
		if f.BacksOff() {
			backingOff = append(backingOff, f.ID)
		}
	}
	before := make(map[uuid.UUID]int64)
	if len(backingOff) > 0 {
		counted, err := d.own.CountErrorsOfGenerations(ctx, backingOff)
		if err != nil {
			return nil, err
		}
		for _, row := range counted {
			before[row.GenerationID] = row.Failures
		}
	}
	params := pgdb.FailGenerationsParams{Now: now}
	for _, f := range failures {
		params.Ids = append(params.Ids, f.ID)
		params.Attempts = append(params.Attempts, f.Attempt)
		params.Finals = append(params.Finals, f.Final)
		params.RetryAts = append(params.RetryAts, f.RetryAt(now, before[f.ID]))
		params.Errors = append(params.Errors, f.Error)
	}
	failed, err := d.own.FailGenerations(ctx, params)
	return generations(failed), err
}

func (d *dialect) extendUnlocked(
	ctx context.Context, extensions []engine.Extension, now time.Time,
) ([]storagedb.Generation, error) {
	var params pgdb.ExtendLeasesParams
	for _, x := range extensions {
		params.Ids = append(params.Ids, x.ID)
		params.Attempts = append(params.Attempts, x.Attempt)
		params.LeaseExpiresAts = append(params.LeaseExpiresAts, x.Expires(now))
	}
	extended, err := d.own.ExtendLeases(ctx, params)
	return generations(extended), err
}

func (d *dialect) reportUnlocked(ctx context.Context, reports []engine.Report, _ time.Time) ([]uuid.UUID, error) {
	var params pgdb.ReportProgressesParams
	for _, r := range reports {
		params.Ids = append(params.Ids, r.ID)
		params.Attempts = append(params.Attempts, r.Attempt)
		params.ProgressSteps = append(params.ProgressSteps, r.Step)
		params.ProgressFractions = append(params.ProgressFractions, r.Fraction)
	}
	return d.own.ReportProgresses(ctx, params)
}

// FailGeneration also waits for a locked generation, which the statement of a batch leaves.
func (d *dialect) FailGeneration(ctx context.Context, f engine.Failure, now time.Time) (storagedb.Generation, error) {
	failures := []engine.Failure{f}
	failed, err := d.failUnlocked(ctx, failures, now)
	if err == nil && len(failed) == 0 {
		if err = d.own.LockGenerations(ctx, []uuid.UUID{f.ID}); err == nil {
			failed, err = d.failUnlocked(ctx, failures, now)
		}
	}
	switch {
	case err != nil:
		return storagedb.Generation{}, err
	case len(failed) == 0:
		return storagedb.Generation{}, pgx.ErrNoRows
	}
	return failed[0], nil
}
