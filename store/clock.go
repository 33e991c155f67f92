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
	now    func() time.Time
	offset atomic.Int64 // nanoseconds by which the database server is ahead; 0 without a server
}

func (c *clock) Now() time.Time {
	return c.now().Add(time.Duration(c.offset.Load())).UTC().Truncate(timePrecision)
}

// follow sets the clock by a server's, so that workers whose own clocks disagree agree about leases. The server's
// answer belongs to the middle of the round trip; of a few samples the one with the shortest trip is the most exact.
func (c *clock) follow(ctx context.Context, serverNow func(context.Context) (server time.Time, trip time.Duration, err error)) error {
	const samples = 3
	shortest := time.Duration(-1)
	for range samples {
		server, trip, err := serverNow(ctx)
		if err != nil {
			return err
		}
		if shortest < 0 || trip < shortest {
			shortest = trip
			c.offset.Store(int64(time.Until(server.Add(trip / 2))))
		}
	}
	return nil
}
