package dbtx

import (
	"context"
	"log/slog"
	"time"
)

const (
	// apartTimeout is how long Apart waits for what it runs.
	apartTimeout = 100 * time.Millisecond
	// maxApart is how many functions of a user's that do not return are kept.
	maxApart = 64
)

var apart = make(chan struct{}, maxApart)

// Apart runs a user's function for which there is no caller, such as a logger in a goroutine of the store's own. The
// function may panic, block or end its goroutine, and hurts nobody: it runs in a goroutine of its own, and a panic is
// dropped. Apart waits a moment for it, so that what is logged keeps its order.
func Apart(fn func()) {
	select {
	case apart <- struct{}{}:
	default:
		return
	}
	done := make(chan struct{})
	go func() {
		defer func() {
			_ = recover()
			<-apart
			close(done)
		}()
		fn()
	}()
	timeout := time.NewTimer(apartTimeout)
	defer timeout.Stop()
	select {
	case <-done:
	case <-timeout.C:
	}
}

// LogApart logs an event that no caller hears of. The logger may be nil.
func LogApart(logger *slog.Logger, level slog.Level, message string, attributes ...slog.Attr) {
	if logger != nil {
		Apart(func() { logger.LogAttrs(context.Background(), level, message, attributes...) })
	}
}

type noCaller struct{}

// WithoutCaller marks the context of calls that the store makes itself, in goroutines of its own: nobody could recover
// a panic of a user's function there.
func WithoutCaller(ctx context.Context) context.Context {
	return context.WithValue(ctx, noCaller{}, true)
}

// HasNoCaller reports whether ctx comes from WithoutCaller.
func HasNoCaller(ctx context.Context) bool { return ctx.Value(noCaller{}) != nil }
