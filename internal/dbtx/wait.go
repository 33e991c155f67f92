package dbtx

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
)

// ForConnection says what a call waited for, and names the usual mistakes that make it wait.
const ForConnection = "a connection: inside InTx use the tx, not the store, and close each result of DB().Query"

// WaitUntil runs get with a context that ends at the deadline. If that deadline ends the wait, WaitUntil returns
// ErrBusy; if the caller's own context does, it returns that context's error. It leaves an ErrBusy that get returns in
// the chain.
func WaitUntil[T any](
	ctx context.Context, deadline time.Time, what string, get func(context.Context) (T, error),
) (T, error) {
	waiting, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	got, err := get(waiting)
	if err == nil || ctx.Err() != nil {
		return got, err
	}
	if errors.Is(err, dberr.ErrBusy) {
		return got, fmt.Errorf("while waiting for %s: %w", what, err)
	}
	if waiting.Err() != nil {
		return got, TimedOut(what)
	}
	return got, err
}

// TimedOut returns an ErrBusy for a call that has waited for what in vain.
func TimedOut(what string) error {
	return fmt.Errorf("%w: waited as long as BusyTimeout allows for %s", dberr.ErrBusy, what)
}

// LeaveAfter is how long a caller whose context has ended waits for an outcome that is on its way, before it leaves.
const LeaveAfter = 25 * time.Millisecond

// WaitOrLeave runs fn, which the end of a context must not cut off. If ctx ends, it returns within moments, and fn goes
// on in a goroutine of its own.
func WaitOrLeave(ctx context.Context, fn func() error) error {
	if ctx.Done() == nil {
		return fn()
	}
	done := make(chan error, 1)
	go func() { done <- fn() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	leave := time.NewTimer(LeaveAfter)
	defer leave.Stop()
	select {
	case err := <-done:
		return err
	case <-leave.C:
		return dberr.OutcomeUnknown(ctx.Err())
	}
}
