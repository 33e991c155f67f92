package engine

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/storagedb"
)

// Single runs each write of one row by itself, as a call of Write. SQLite's queue batches any Write, so it needs no
// other form; a transaction runs its writes one after the other.
type Single struct {
	Write WriteFunc
	Now   func() time.Time
}

// WriteFunc is the type of Session.Write.
type WriteFunc func(ctx context.Context, mode Mode, fn func(Queries) error) error

// Returning runs a write that has a result. Only after a success is the result read: if the context ends, Write may
// return while fn still runs in a batch.
func Returning[T any](
	ctx context.Context, write WriteFunc, mode Mode, fn func(Queries) (T, error),
) (none T, err error) {
	var result T
	err = write(ctx, mode, func(q Queries) (err error) {
		result, err = fn(q)
		return err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}

// CreateGeneration creates a generation, and counts the use of its prompt.
func (s Single) CreateGeneration(ctx context.Context, creation Creation) (storagedb.Generation, error) {
	return Returning(ctx, s.Write, Operation, func(q Queries) (g storagedb.Generation, err error) {
		created, err := q.CreateGenerations(ctx, []Creation{creation}, s.Now())
		if err == nil {
			g = created[0]
		}
		return g, err
	})
}

// TrackPrompt counts a use of a prompt.
func (s Single) TrackPrompt(ctx context.Context, text string) (storagedb.Prompt, error) {
	return Returning(ctx, s.Write, Statement, func(q Queries) (storagedb.Prompt, error) {
		return q.TrackPrompt(ctx, storagedb.TrackPromptParams{Text: text, UsedAt: s.Now()})
	})
}

// CompleteGeneration completes a generation. The schema may refuse the merged metadata as too long.
func (s Single) CompleteGeneration(ctx context.Context, completion Completion) (storagedb.Generation, error) {
	mode := Statement
	if len(completion.Metadata) > len("{}") {
		mode = Operation
	}
	return Returning(ctx, s.Write, mode, func(q Queries) (storagedb.Generation, error) {
		return q.CompleteGeneration(ctx, completion, s.Now())
	})
}

// FailGeneration ends an attempt.
func (s Single) FailGeneration(ctx context.Context, failure Failure) (storagedb.Generation, error) {
	return Returning(ctx, s.Write, Operation, func(q Queries) (storagedb.Generation, error) {
		return q.FailGeneration(ctx, failure, s.Now())
	})
}

// ExtendLease extends the lease of an attempt.
func (s Single) ExtendLease(ctx context.Context, extension Extension) (storagedb.Generation, error) {
	return Returning(ctx, s.Write, Statement, func(q Queries) (storagedb.Generation, error) {
		expires := extension.Expires(s.Now())
		return q.ExtendLease(ctx, storagedb.ExtendLeaseParams{
			LeaseExpiresAt: &expires, ID: extension.ID, Attempt: extension.Attempt,
		})
	})
}

// ReportProgress stores how far an attempt has got.
func (s Single) ReportProgress(ctx context.Context, report Report) error {
	return s.Write(ctx, Statement, func(q Queries) error {
		rows, err := q.ReportProgress(ctx, storagedb.ReportProgressParams{
			ProgressStep: NullIfEmpty(report.Step), ProgressFraction: report.Fraction, ID: report.ID, Attempt: report.Attempt,
		})
		if err == nil && rows == 0 {
			return pgx.ErrNoRows
		}
		return err
	})
}
