package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// clock is the source of the store's times. SQL never takes now(): so tests can set the clock, and the times of a row
// agree.
type clock struct {
	given  func() time.Time // Options.Now, or nil
	ticked atomic.Pointer[time.Time]
	anchor atomic.Pointer[anchor] // nil without a server
}

// newClock returns a clock. given may be nil. It may panic, as at each tick.
func newClock(given func() time.Time) *clock {
	c := &clock{given: given}
	if given != nil {
		c.ticked.Store(new(given()))
	}
	return c
}

// tick reads Options.Now. Each call does so when it begins. What runs later, for other callers too, does not call it.
func (c *clock) tick(ctx context.Context) {
	read := func() { c.ticked.Store(new(c.given())) }
	switch {
	case c.given == nil:
	case dbtx.HasNoCaller(ctx):
		dbtx.Apart(read)
	default:
		read()
	}
}

// ticking returns session, or one that ticks first if it has to.
func (c *clock) ticking(session engine.Session) engine.Session {
	if c.given == nil {
		return session
	}
	return engine.Ticking{Session: session, Tick: c.tick}
}

// anchor is a database server's time at a moment of the machine's. The time since then comes from the monotonic clock,
// so setting the machine's clock does not change the store's.
type anchor struct {
	at     time.Time
	server time.Time
}

func (a *anchor) now() time.Time { return a.server.Add(time.Since(a.at)) }

func (c *clock) Now() time.Time {
	now := time.Now
	if a := c.anchor.Load(); a != nil {
		now = a.now
	}
	if c.given != nil {
		now = func() time.Time { return *c.ticked.Load() }
	}
	return now().UTC().Truncate(storagedb.TimePrecision)
}

// A long trip to the server is tried again: the time is off by up to half the trip, and of two processes the one whose
// clock is behind sees new work late.
const (
	minClockSamples = 3
	maxClockSamples = 12
	goodTrip        = 2 * time.Millisecond
)

// follow sets the clock by a server's, so that workers on machines with different clocks agree about leases. The
// server's answer belongs to the middle of the round trip, and the sample with the shortest trip is the most exact. The
// clock stays as it is if it is within that uncertainty.
func (c *clock) follow(
	ctx context.Context, serverNow func(context.Context) (server time.Time, trip time.Duration, err error),
) error {
	var best anchor
	shortest := time.Duration(-1)
	for n := 0; n < minClockSamples || n < maxClockSamples && shortest > goodTrip; n++ {
		server, trip, err := serverNow(ctx)
		if err != nil {
			return err
		}
		if shortest < 0 || trip < shortest {
			shortest, best = trip, anchor{at: time.Now(), server: server.Add(trip / 2)}
		}
	}
	if old := c.anchor.Load(); old == nil || old.now().Sub(best.now()).Abs() > shortest/2 {
		c.anchor.Store(&best)
	}
	return nil
}
