package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
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

// creations are those of a round. All do the same number, so that all do the last of them on as large a database.
func (c comparison) creations(callers int) int {
	if callers == 1 {
		return c.creating / 4
	}
	return c.creating
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
		defer m.close()
		m.turn = func() error {
			return m.round(callers, soOften(c.creations(callers)), func(number int64) error { return m.client.Create(b.Context(), peers.NewJob(number)) })
		}
		all = append(all, m)
	}
	switch { // the limits, which are programs
	case engine.name == "sqlite":
		limit, err := c.createInC(b, engine, c.creations(callers))
		if err != nil && !errors.Is(err, peers.ErrNoC) {
			return err
		}
		if err == nil {
			all = append(all, limit)
		}
	case callers > 1:
		all = append(all, c.createByPgbench(b, engine, c.creations(callers))...)
	}
	for range c.rounds {
		for _, m := range all {
			if err := m.turn(); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	fmt.Fprint(c.to, "| | created per second | store is faster | p99 | p99 to the store's |\n|---|---|---|---|---|\n")
	first := all[0]
	for _, m := range all {
		if err := m.check(b.Context(), m.done.Load()); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	for _, m := range bestOfPrograms(all) {
		p99, ratio := "", ""
		if m.p99 != nil {
			p99, ratio = median(m.p99).Round(10*time.Microsecond).String(), fmt.Sprintf("%.1f", float64(median(m.p99))/float64(median(first.p99)))
		}
		fmt.Fprintf(c.to, "| %s | %.0f | %.2f | %s | %s |\n", m.name, median(m.perSec), median(first.perSec)/median(m.perSec), p99, ratio)
	}
	if (callers > 1 || engine.name == "sqlite") && all[len(all)-1].client != nil {
		fmt.Fprintf(c.to, "| no limit to show: %s | | | | |\n", missing[engine.name])
	}
	return nil
}

// missing is why there may be no limit.
var missing = map[string]string{"sqlite": peers.ErrNoC.Error(), "postgres": "pgbench is not installed"}

// bestOfPrograms leaves of the programs at the end, which are one with different settings, the one that creates most.
func bestOfPrograms(all []*measured) []*measured {
	n := slices.IndexFunc(all, func(m *measured) bool { return m.client == nil })
	if n < 0 {
		return all
	}
	best := slices.MaxFunc(all[n:], func(a, b *measured) int { return cmp.Compare(median(a.perSec), median(b.perSec)) })
	return append(all[:n:n], best)
}
