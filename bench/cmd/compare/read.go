package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/bench/peers"
)

const (
	there  = 10000 // generations to read
	listed = 100
)

func (c comparison) readTables(engine engine) {
	for _, callers := range []int{1, 64} {
		c.table(fmt.Sprintf("Getting by id, %s, %s", engine.name, plural(callers, "caller")), func(b *testing.B) error {
			return c.readTable(b, engine, callers, get)
		})
		c.table(fmt.Sprintf("Listing the newest %d, %s, %s", listed, engine.name, plural(callers, "caller")), func(b *testing.B) error {
			return c.readTable(b, engine, callers, list)
		})
	}
}

// A read is looked at, number by number, so that nobody is fast by reading something else.
type read func(ctx context.Context, client peers.Client, jobs []peers.Job, number int64) error

func get(ctx context.Context, client peers.Client, jobs []peers.Job, number int64) error {
	job := &jobs[number*7919%int64(len(jobs))] // all over the table: 7919 is prime
	prompt, err := client.Get(ctx, uuid.MustParse(job.ID))
	if err == nil && prompt != job.Prompt {
		err = fmt.Errorf("%s has the prompt %q, and not %q", job.ID, prompt, job.Prompt)
	}
	return err
}

func list(ctx context.Context, client peers.Client, jobs []peers.Job, _ int64) error {
	newest, rows, err := client.List(ctx, listed)
	if last := jobs[len(jobs)-1].ID; err == nil && (rows != listed || newest.String() != last) {
		err = fmt.Errorf("there are %d rows from %s on, and not %d from %s", rows, newest, listed, last)
	}
	return err
}

func (c comparison) readTable(b *testing.B, engine engine, callers int, read read) error {
	url := engine.url(b)
	jobs, err := peers.History(b.Context(), url, there)
	if err != nil {
		return err
	}
	all := make([]*measured, 0)
	for _, peer := range peers.Readers(engine.name) {
		m := &measured{name: peer.Name, url: url}
		if m.client, err = peer.Open(b.Context(), m.url); err != nil {
			return fmt.Errorf("%s: %w", peer.Name, err)
		}
		defer m.close()
		all = append(all, m)
	}
	for range c.rounds {
		for _, m := range all {
			if err := m.round(callers, forAWhile(c.lasting), func(number int64) error { return read(b.Context(), m.client, jobs, number) }); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	fmt.Fprint(c.to, "| | per second | store is faster | p99 | p99 to the store's | allocations per call |\n|---|---|---|---|---|---|\n")
	first := all[0]
	for _, m := range all {
		fmt.Fprintf(c.to, "| %s | %.0f | %.2f | %s | %.1f | %.0f |\n", m.name, median(m.perSec), median(first.perSec)/median(m.perSec),
			median(m.p99).Round(10*time.Microsecond), float64(median(m.p99))/float64(median(first.p99)), median(m.allocations))
	}
	return nil
}
