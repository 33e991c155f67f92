package store

import (
	"context"
	"sync/atomic"
	"time"
)

// Times are stored with microseconds, what PostgreSQL's TIMESTAMPTZ holds.
const timePrecision = time.Microsecond

// clock is where the store's times come from: now() is never taken in SQL, so that tests can set it and so that a row's
// times agree with each other.
type clock struct {
	now    func() time.Time       // the machine's, or a test's
	anchor atomic.Pointer[anchor] // nil without a server
}

// anchor is a database server's time at a moment of the machine's. The time since then is read from the monotonic clock: to
// set the machine's own clock does not turn the store's.
type anchor struct {
	at     time.Time
	server time.Time
}

func (a *anchor) now() time.Time { return a.server.Add(time.Since(a.at)) }

func (c *clock) Now() time.Time {
	now := c.now
	if a := c.anchor.Load(); a != nil {
		now = a.now
	}
	return now().UTC().Truncate(timePrecision)
}

// How a server is asked for the time: a trip that takes longer than a good one is tried again, since it is off by as much as
// half its length, and of two processes on one database the one whose clock is behind sees new work late.
const (
	minClockSamples = 3
	maxClockSamples = 12
	goodTrip        = 2 * time.Millisecond
)

// follow sets the clock by a server's, so that workers whose own clocks disagree agree about leases. The server's
// answer belongs to the middle of the round trip; of a few samples the one with the shortest trip is the most exact. A clock
// that is within what that cannot tell stays as it is.
func (c *clock) follow(ctx context.Context, serverNow func(context.Context) (server time.Time, trip time.Duration, err error)) error {
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
