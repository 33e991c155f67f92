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
	Write func(ctx context.Context, mode Mode, fn func(Queries) error) error
	Now   func() time.Time
}

// CreateGeneration creates a generation, and counts the use of its prompt.
func (s Single) CreateGeneration(ctx context.Context, creation Creation) (g storagedb.Generation, err error) {
	err = s.Write(ctx, Operation, func(q Queries) error {
		created, err := q.CreateGenerations(ctx, []Creation{creation}, s.Now())
		if err == nil {
			g = created[0]
		}
		return err
	})
	return g, err
}

// TrackPrompt counts a use of a prompt.
func (s Single) TrackPrompt(ctx context.Context, text string) (p storagedb.Prompt, err error) {
	err = s.Write(ctx, Statement, func(q Queries) (err error) {
		p, err = q.TrackPrompt(ctx, storagedb.TrackPromptParams{Text: text, UsedAt: s.Now()})
		return err
	})
	return p, err
}

// CompleteGeneration completes a generation. The schema may refuse the merged metadata as too long.
func (s Single) CompleteGeneration(ctx context.Context, completion Completion) (g storagedb.Generation, err error) {
	mode := Statement
	if len(completion.Metadata) > len("{}") {
		mode = Operation
	}
	err = s.Write(ctx, mode, func(q Queries) (err error) {
		g, err = q.CompleteGeneration(ctx, completion, s.Now())
		return err
	})
	return g, err
}

// FailGeneration ends an attempt.
func (s Single) FailGeneration(ctx context.Context, failure Failure) (g storagedb.Generation, err error) {
	err = s.Write(ctx, Operation, func(q Queries) (err error) {
		g, err = q.FailGeneration(ctx, failure, s.Now())
		return err
	})
	return g, err
}

// ExtendLease extends the lease of an attempt.
func (s Single) ExtendLease(ctx context.Context, extension Extension) (g storagedb.Generation, err error) {
	err = s.Write(ctx, Statement, func(q Queries) (err error) {
		expires := extension.Expires(s.Now())
		g, err = q.ExtendLease(ctx, storagedb.ExtendLeaseParams{
			LeaseExpiresAt: &expires, ID: extension.ID, Attempt: extension.Attempt,
		})
		return err
	})
	return g, err
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
