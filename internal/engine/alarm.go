package engine

import (
	"context"
	"sync"
)

// Alarm wakes the callers of this process that wait for work. The process's own writes ring it. A goroutine rings it
// for the writes of other processes: the first wait starts that goroutine, and Close ends it.
type Alarm struct {
	listen func(ctx context.Context) // rings for other processes until ctx ends; nil if there are none

	mu        sync.Mutex
	rung      chan struct{} // closed by the next ring
	listening bool
	closed    bool
	stop      context.CancelFunc
	lifetime  context.Context
	running   sync.WaitGroup
}

// NewAlarm returns an alarm. listen calls Ring for other processes until its context ends; it may be nil.
func NewAlarm(listen func(ctx context.Context)) *Alarm {
	a := &Alarm{listen: listen, rung: make(chan struct{})}
	a.lifetime, a.stop = context.WithCancel(context.Background())
	return a
}

// Next returns a channel that the next ring closes. After Close it is closed already.
func (a *Alarm) Next() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.listening && !a.closed && a.listen != nil {
		a.listening = true
		a.running.Go(func() { a.listen(a.lifetime) })
	}
	return a.rung
}

// Ring wakes all who wait.
func (a *Alarm) Ring() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		close(a.rung)
		a.rung = make(chan struct{})
	}
}

// Close wakes all who wait, for the last time, and waits for the goroutine.
func (a *Alarm) Close() {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.rung)
	}
	a.mu.Unlock()
	a.stop()
	a.running.Wait()
}
