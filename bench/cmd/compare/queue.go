package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgx-music/storage/bench/peers"
	"github.com/dgx-music/storage/bench/queues"
)

// enqueuers is the number of concurrent callers that enqueue.
const enqueuers = 64

func (c comparison) queueTable(engine engine) {
	title := fmt.Sprintf("Queueing, %s: %d callers enqueue %d jobs one by one, then all is worked off",
		engine.name, enqueuers, c.jobs)
	c.table(title, func(b *testing.B) error { return c.fillQueueTable(b, engine) })
}

// worked holds the seconds that a queue took for all jobs, in each round.
type worked struct{ enqueue, workOff, together []float64 }

func (c comparison) fillQueueTable(b *testing.B, engine engine) error {
	all := queues.Of(engine.name)
	took := make([]worked, len(all))
	for range c.rounds {
		for i, peer := range all {
			enqueue, workOff, err := c.queueRound(b.Context(), peer, engine.url(b))
			if err != nil {
				return fmt.Errorf("%s: %w", peer.Name, err)
			}
			took[i].enqueue = append(took[i].enqueue, enqueue.Seconds())
			took[i].workOff = append(took[i].workOff, workOff.Seconds())
			took[i].together = append(took[i].together, (enqueue + workOff).Seconds())
		}
	}
	fmt.Fprint(c.to, "| | enqueued per second | worked off per second | together per second "+
		"| store is faster together | store is faster at the work-off |\n|---|---|---|---|---|---|\n")
	for i, peer := range all {
		perSecond := func(seconds []float64) float64 { return float64(c.jobs) / median(seconds) }
		fmt.Fprintf(c.to, "| %s | %.0f | %.0f | %.0f | %.2f | %.2f |\n", peer.Name,
			perSecond(took[i].enqueue), perSecond(took[i].workOff), perSecond(took[i].together),
			median(took[i].together)/median(took[0].together), median(took[i].workOff)/median(took[0].workOff))
	}
	return nil
}

// queueRound enqueues all jobs on a new database and works them off. After each it checks the database's own counts.
func (c comparison) queueRound(
	ctx context.Context, peer queues.Peer, url string,
) (enqueue, workOff time.Duration, err error) {
	queue, err := peer.Open(ctx, url)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if closing := queue.Close(); err == nil {
			err = closing
		}
	}()
	began := time.Now()
	if err := c.enqueueAll(ctx, queue); err != nil {
		return 0, 0, err
	}
	enqueue = time.Since(began)
	if err := peer.Check(ctx, url, c.jobs, 0); err != nil {
		return 0, 0, err
	}
	began = time.Now()
	if err := queue.WorkOff(ctx, c.jobs); err != nil {
		return 0, 0, err
	}
	workOff = time.Since(began)
	return enqueue, workOff, peer.Check(ctx, url, 0, c.jobs)
}

func (c comparison) enqueueAll(ctx context.Context, queue queues.Queue) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var group sync.WaitGroup
	var next atomic.Int64
	for range enqueuers {
		group.Go(func() {
			for i := next.Add(1); i <= int64(c.jobs) && ctx.Err() == nil; i = next.Add(1) {
				if err := queue.Enqueue(ctx, peers.NewJob(i)); err != nil {
					cancel(err)
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}
