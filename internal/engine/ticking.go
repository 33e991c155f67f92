package engine

import (
	"context"

	"github.com/dgx-music/storage/storagedb"
)

// Ticking is a session that calls Tick before each of its calls: in the caller's goroutine, before the call holds
// anything or others wait for it. There a user's clock may do what it likes.
type Ticking struct {
	Session
	Tick func(ctx context.Context)
}

func (t Ticking) Read(ctx context.Context, fn func(Queries) error) error {
	t.Tick(ctx)
	return t.Session.Read(ctx, fn)
}

func (t Ticking) ReadStale(ctx context.Context, fn func(Queries) error) error {
	t.Tick(ctx)
	return t.Session.ReadStale(ctx, fn)
}

func (t Ticking) Write(ctx context.Context, mode Mode, fn func(Queries) error) error {
	t.Tick(ctx)
	return t.Session.Write(ctx, mode, fn)
}

func (t Ticking) CreateGeneration(ctx context.Context, creation Creation) (storagedb.Generation, error) {
	t.Tick(ctx)
	return t.Session.CreateGeneration(ctx, creation)
}

func (t Ticking) TrackPrompt(ctx context.Context, text string) (storagedb.Prompt, error) {
	t.Tick(ctx)
	return t.Session.TrackPrompt(ctx, text)
}

func (t Ticking) CompleteGeneration(ctx context.Context, completion Completion) (storagedb.Generation, error) {
	t.Tick(ctx)
	return t.Session.CompleteGeneration(ctx, completion)
}

func (t Ticking) FailGeneration(ctx context.Context, failure Failure) (storagedb.Generation, error) {
	t.Tick(ctx)
	return t.Session.FailGeneration(ctx, failure)
}

func (t Ticking) ExtendLease(ctx context.Context, extension Extension) (storagedb.Generation, error) {
	t.Tick(ctx)
	return t.Session.ExtendLease(ctx, extension)
}

func (t Ticking) ReportProgress(ctx context.Context, report Report) error {
	t.Tick(ctx)
	return t.Session.ReportProgress(ctx, report)
}
