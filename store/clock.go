package store

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/dgx-music/storage/storagedb"
)

// clock is the source of the store's times. SQL never takes now(): so tests can set the clock, and the times of a row
// agree.
type clock struct {
	now    func() time.Time       // the machine's, or a test's
	anchor atomic.Pointer[anchor] // nil without a server
}

// newClock returns a clock. now may be nil.
func newClock(now func() time.Time) *clock {
	if now == nil {
		now = time.Now
	}
	return &clock{now: now}
}

// anchor is a database server's time at a moment of the machine's. The time since then comes from the monotonic clock,
// so setting the machine's clock does not change the store's.
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
