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
	historySize = 10000 // generations in the database
	pageSize    = 100
)

func (c comparison) readTables(engine engine) {
	for _, callers := range []int{1, 64} {
		by := fmt.Sprintf("%s, %s", engine.name, plural(callers, "caller"))
		c.table("Getting by id, "+by, func(b *testing.B) error {
			return c.readTable(b, engine, callers, get)
		})
		c.table(fmt.Sprintf("Listing the newest %d, %s", pageSize, by), func(b *testing.B) error {
			return c.readTable(b, engine, callers, list)
		})
	}
}

// read makes one read, and checks the result, so that no peer is fast because it reads something else.
type read func(ctx context.Context, client peers.Client, jobs []peers.Job, number int64) error

func get(ctx context.Context, client peers.Client, jobs []peers.Job, number int64) error {
	job := &jobs[number*7919%int64(len(jobs))] // 7919 is prime, so the reads spread over the whole table
	prompt, err := client.Get(ctx, uuid.MustParse(job.ID))
	if err == nil && prompt != job.Prompt {
		err = fmt.Errorf("generation %s has the prompt %q, want %q", job.ID, prompt, job.Prompt)
	}
	return err
}

func list(ctx context.Context, client peers.Client, jobs []peers.Job, _ int64) error {
	newest, rows, err := client.List(ctx, pageSize)
	if last := jobs[len(jobs)-1].ID; err == nil && (rows != pageSize || newest.String() != last) {
		err = fmt.Errorf("the list has %d rows and begins with %s, want %d and %s", rows, newest, pageSize, last)
	}
	return err
}

func (c comparison) readTable(b *testing.B, engine engine, callers int, read read) error {
	url := engine.url(b)
	jobs, err := peers.History(b.Context(), url, historySize)
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
			err := m.round(callers, limitTime(c.readFor), func(number int64) error {
				return read(b.Context(), m.client, jobs, number)
			})
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	fmt.Fprint(c.to, "| | per second | store is faster | p99 | p99 to the store's | allocations per call |\n"+
		"|---|---|---|---|---|---|\n")
	first := all[0]
	for _, m := range all {
		fmt.Fprintf(c.to, "| %s | %.0f | %.2f | %s | %.1f | %.0f |\n", m.name,
			median(m.perSec), median(first.perSec)/median(m.perSec), median(m.p99).Round(10*time.Microsecond),
			float64(median(m.p99))/float64(median(first.p99)), median(m.allocations))
	}
	return nil
}
