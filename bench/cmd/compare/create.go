package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dgx-music/storage/bench/peers"
)

func (c comparison) createTables(engine engine) {
	for _, callers := range []int{1, 64, 256} {
		if callers == 256 && engine.name == "sqlite" {
			continue
		}
		c.table(fmt.Sprintf("Creating, %s, %s", engine.name, plural(callers, "caller")), func(b *testing.B) error {
			return c.createTable(b, engine, callers)
		})
	}
}

func (c comparison) createTable(b *testing.B, engine engine, callers int) error {
	others := peers.Creators(engine.name)
	if engine.name == "sqlite" {
		others = append(others, peers.PooledModernc())
	}
	all := make([]*measured, 0)
	for _, peer := range others {
		m := &measured{name: peer.Name, url: engine.url(b)}
		var err error
		if m.client, err = peer.Open(b.Context(), m.url); err != nil {
			return fmt.Errorf("%s: %w", peer.Name, err)
		}
		defer m.client.Close()
		all = append(all, m)
	}
	var limit *limitC
	if engine.name == "sqlite" {
		var err error
		if limit, err = newLimitC(b, engine); err != nil && !errors.Is(err, peers.ErrNoC) {
			return err
		}
	}
	for range c.rounds {
		for _, m := range all {
			if err := m.round(callers, c.lasting, func(number int64) error { return m.client.Create(b.Context(), peers.NewJob(number)) }); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
		if limit != nil {
			if err := limit.createEach(b.Context(), c.lasting); err != nil {
				return fmt.Errorf("%s: %w", limit.name, err)
			}
		}
	}
	if limit != nil {
		limit.name += ", prepared, committing each"
		all = append(all, &limit.measured)
	}
	fmt.Fprint(c.to, "| | created per second | store is faster | p99 | p99 to the store's |\n|---|---|---|---|---|\n")
	first := all[0]
	for _, m := range all {
		if err := m.check(b.Context(), m.done.Load()); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
		fmt.Fprintf(c.to, "| %s | %.0f | %.2f | %s | %.1f |\n", m.name, median(m.perSec), median(first.perSec)/median(m.perSec),
			median(m.p99).Round(10*time.Microsecond), float64(median(m.p99))/float64(median(first.p99)))
	}
	if engine.name == "sqlite" && limit == nil {
		fmt.Fprintf(c.to, "| no C: %v | | | | |\n", peers.ErrNoC)
	}
	if engine.name == "postgres" && callers > 1 {
		return c.pgbenchRow(b, engine, median(first.perSec))
	}
	return nil
}
