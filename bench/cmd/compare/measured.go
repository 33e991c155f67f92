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

// measured is what a peer did in its rounds.
type measured struct {
	name        string
	url         string
	client      peers.Client // nil: a program, which is no peer
	closed      bool
	turn        func() error // its part of a round, where it is not the same for all
	done        atomic.Int64 // calls, and so the number of the last one
	perSec      []float64
	p99         []time.Duration
	allocations []float64 // per call
}

// forAWhile lets the callers of a round call for so long.
func forAWhile(lasting time.Duration) (another func() bool) {
	began := time.Now()
	return func() bool { return time.Since(began) < lasting }
}

// soOften lets the callers of a round call so often, all in all.
func soOften(calls int) (another func() bool) {
	var made atomic.Int64
	return func() bool { return made.Add(1) <= int64(calls) }
}

// round lets so many callers call. Each call has a number of its own, over all rounds.
func (m *measured) round(callers int, another func() bool, call func(number int64) error) error {
	var group sync.WaitGroup
	failed := make(chan error, callers)
	took := make([][]time.Duration, callers)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	for caller := range callers {
		group.Go(func() {
			for another() {
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

// check looks whether all is there that a peer says it has created, once that is closed: two SQLite libraries in one process
// do not see each other's locks, and break them.
func (m *measured) check(ctx context.Context, created int64) error {
	if err := m.close(); err != nil {
		return err
	}
	there, err := peers.Count(ctx, m.url)
	if err == nil && there != created {
		err = fmt.Errorf("%d are there, and %d were created", there, created)
	}
	return err
}
