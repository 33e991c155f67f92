package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dgx-music/storage/bench/peers"
)

// measured holds the measurements of a peer.
type measured struct {
	name        string
	url         string
	client      peers.Client // nil for an external program
	closed      bool
	turn        func() error // runs its part of a round, if peers differ in it
	done        atomic.Int64 // number of calls so far
	perSec      []float64    // this and the following have one value per round
	p99         []time.Duration
	allocations []float64 // per call
}

// limitTime ends a round after the duration.
func limitTime(limit time.Duration) (next func() bool) {
	began := time.Now()
	return func() bool { return time.Since(began) < limit }
}

// limitCalls ends a round after that many calls of all callers together.
func limitCalls(calls int) (next func() bool) {
	var made atomic.Int64
	return func() bool { return made.Add(1) <= int64(calls) }
}

// round runs call in as many goroutines as there are callers, while next returns true. Each call has a number of its
// own across all rounds.
func (m *measured) round(callers int, next func() bool, call func(number int64) error) error {
	var group sync.WaitGroup
	failed := make(chan error, callers)
	took := make([][]time.Duration, callers)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for caller := range callers {
		group.Go(func() {
			for next() {
				number, from := m.done.Add(1), time.Now()
				if err := call(number); err != nil {
					failed <- err
					return
				}
				took[caller] = append(took[caller], time.Since(from))
			}
		})
	}
	group.Wait()
	lasted := time.Since(began)
	runtime.ReadMemStats(&after)
	select {
	case err := <-failed:
		return err
	default:
	}
	every := slices.Concat(took...)
	slices.Sort(every)
	m.add(int64(len(every)), lasted, every[len(every)*99/100])
	m.allocations = append(m.allocations, float64(after.Mallocs-before.Mallocs)/float64(len(every)))
	return nil
}

func (m *measured) add(calls int64, lasted, p99 time.Duration) {
	m.perSec = append(m.perSec, float64(calls)/lasted.Seconds())
	m.p99 = append(m.p99, p99)
}

func (m *measured) close() error {
	if m.client == nil || m.closed {
		return nil
	}
	m.closed = true
	return m.client.Close()
}

// check closes the peer, and then checks that the database has what the peer created. The peer must be closed: two
// SQLite libraries in one process do not see each other's locks, and break them.
func (m *measured) check(ctx context.Context, created int64) error {
	if err := m.close(); err != nil {
		return err
	}
	found, err := peers.Count(ctx, m.url)
	if err == nil && found != created {
		err = fmt.Errorf("the database has %d generations, but %d were created", found, created)
	}
	return err
}
