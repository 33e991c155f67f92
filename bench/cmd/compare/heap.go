package main

import (
	"errors"
	"fmt"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"github.com/dgx-music/storage/bench/peers"
)

const heapCallers = 64

// heapTable shows the peak of Go's heap while many callers create. It does not include what SQLite itself allocates.
func (c comparison) heapTable(engine engine) {
	title := fmt.Sprintf("Go's heap, %s: %d callers create for %s", engine.name, heapCallers, c.heapFor)
	c.table(title, func(b *testing.B) error { return c.fillHeapTable(b, engine) })
}

func (c comparison) fillHeapTable(b *testing.B, engine engine) (err error) {
	store := peers.Creators(engine.name)[0]
	m := &measured{name: store.Name, url: engine.url(b)}
	if m.client, err = store.Open(b.Context(), m.url); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	done := make(chan struct{})
	var peak uint64
	var watching sync.WaitGroup
	watching.Go(func() { peak = peakHeap(done) })
	err = m.round(heapCallers, limitTime(c.heapFor), func(number int64) error {
		return m.client.Create(b.Context(), peers.NewJob(number))
	})
	close(done)
	watching.Wait()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.to, "| | created | most heap, live and garbage, in MiB |\n|---|---|---|\n| %s | %d | %.1f |\n",
		m.name, m.done.Load(), float64(peak)/(1<<20))
	return m.check(b.Context(), m.done.Load())
}

// peakHeap samples the heap a hundred times a second until done is closed, and returns the peak in bytes. The heap of
// this program itself is included.
func peakHeap(done <-chan struct{}) (peak uint64) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for {
		metrics.Read(sample)
		peak = max(peak, sample[0].Value.Uint64())
		select {
		case <-done:
			return peak
		case <-ticker.C:
		}
	}
}
