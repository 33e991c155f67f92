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

// heapTable is the most that the store keeps on Go's heap while many create. What SQLite itself allocates is no part of it.
func (c comparison) heapTable(engine engine) {
	c.table(fmt.Sprintf("Go's heap, %s: %d callers create for %s", engine.name, heapCallers, c.heapFor), func(b *testing.B) error {
		return c.fillHeapTable(b, engine)
	})
}

func (c comparison) fillHeapTable(b *testing.B, engine engine) (err error) {
	store := peers.Creators(engine.name)[0]
	m := &measured{name: store.Name, url: engine.url(b)}
	if m.client, err = store.Open(b.Context(), m.url); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	done := make(chan struct{})
	var most uint64
	var watching sync.WaitGroup
	watching.Go(func() { most = mostHeap(done) })
	err = m.round(heapCallers, forAWhile(c.heapFor), func(number int64) error { return m.client.Create(b.Context(), peers.NewJob(number)) })
	close(done)
	watching.Wait()
	if err != nil {
		return err
	}
	fmt.Fprintf(c.to, "| | created | most heap, live and garbage, in MiB |\n|---|---|---|\n| %s | %d | %.1f |\n", m.name, m.done.Load(), float64(most)/(1<<20))
	return m.check(b.Context(), m.done.Load())
}

// mostHeap looks a hundred times a second until done is closed. It counts what this program itself keeps, too.
func mostHeap(done <-chan struct{}) (most uint64) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for {
		metrics.Read(sample)
		most = max(most, sample[0].Value.Uint64())
		select {
		case <-done:
			return most
		case <-look.C:
		}
	}
}
