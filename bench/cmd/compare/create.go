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

// creations returns the number of creations in a round. It is the same for all peers, so that their databases grow
// alike.
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
			return m.round(callers, limitCalls(c.creations(callers)), func(number int64) error {
				return m.client.Create(b.Context(), peers.NewJob(number))
			})
		}
		all = append(all, m)
	}
	switch { // the limits are external programs
	case engine.name == "sqlite":
		limit, err := c.createWithC(b, engine, c.creations(callers))
		if err != nil && !errors.Is(err, peers.ErrNoC) {
			return err
		}
		if err == nil {
			all = append(all, limit)
		}
	case callers > 1:
		all = append(all, c.createWithPgbench(b, engine, c.creations(callers))...)
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
	for _, m := range keepBestProgram(all) {
		p99, ratio := "", ""
		if m.p99 != nil {
			p99 = median(m.p99).Round(10 * time.Microsecond).String()
			ratio = fmt.Sprintf("%.1f", float64(median(m.p99))/float64(median(first.p99)))
		}
		fmt.Fprintf(c.to, "| %s | %.0f | %.2f | %s | %s |\n",
			m.name, median(m.perSec), median(first.perSec)/median(m.perSec), p99, ratio)
	}
	if (callers > 1 || engine.name == "sqlite") && all[len(all)-1].client != nil {
		fmt.Fprintf(c.to, "| the limit was not measured: %s | | | | |\n", missing[engine.name])
	}
	return nil
}

// missing is the reason why an engine's limit may not be measured.
var missing = map[string]string{"sqlite": peers.ErrNoC.Error(), "postgres": "pgbench is not installed"}

// keepBestProgram drops all external programs but the fastest. They stand at the end, and are one program with
// different settings.
func keepBestProgram(all []*measured) []*measured {
	n := slices.IndexFunc(all, func(m *measured) bool { return m.client == nil })
	if n < 0 {
		return all
	}
	best := slices.MaxFunc(all[n:], func(a, b *measured) int { return cmp.Compare(median(a.perSec), median(b.perSec)) })
	return append(all[:n:n], best)
}
