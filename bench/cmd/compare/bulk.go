package main

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/dgx-music/storage/bench/peers"
)

const bulkSize = 10000

func (c comparison) bulkTable(engine engine) {
	title := fmt.Sprintf("Creating %d in one call, %s", bulkSize, engine.name)
	c.table(title, func(b *testing.B) error { return c.fillBulkTable(b, engine) })
}

// fillBulkTable gives each peer a new database in each round, since inserts get slower as a database grows.
func (c comparison) fillBulkTable(b *testing.B, engine engine) error {
	all := peers.BulkCreators(engine.name)
	took := make([][]time.Duration, len(all))
	var cTook []time.Duration
	for range c.rounds {
		for i, peer := range all {
			m := &measured{name: peer.Name, url: engine.url(b)}
			lasted, err := m.bulk(b, peer)
			if err != nil {
				return fmt.Errorf("%s: %w", peer.Name, err)
			}
			took[i] = append(took[i], lasted)
		}
		if engine.name == "sqlite" {
			lasted, err := c.bulkWithC(b, engine)
			if errors.Is(err, peers.ErrNoC) {
				continue
			}
			if err != nil {
				return fmt.Errorf("C: %w", err)
			}
			cTook = append(cTook, lasted)
		}
	}
	fmt.Fprint(c.to, "| | took | created per second | store is faster |\n|---|---|---|---|\n")
	row := func(name string, took []time.Duration, store time.Duration) {
		fmt.Fprintf(c.to, "| %s | %s | %.0f | %.2f |\n", name, median(took).Round(time.Millisecond),
			bulkSize/median(took).Seconds(), float64(median(took))/float64(store))
	}
	for i, peer := range all {
		row(peer.Name, took[i], median(took[0]))
	}
	if cTook != nil {
		row("C SQLite, prepared, one transaction", cTook, median(took[0]))
	} else if engine.name == "sqlite" {
		fmt.Fprintf(c.to, "| C was not measured: %v | | | |\n", peers.ErrNoC)
	}
	return nil
}

func (m *measured) bulk(b *testing.B, peer peers.Peer) (took time.Duration, err error) {
	if m.client, err = peer.Open(b.Context(), m.url); err != nil {
		return 0, err
	}
	defer m.close()
	jobs := peers.NewJobs(bulkSize)
	began := time.Now()
	if err := m.client.CreateAll(b.Context(), jobs); err != nil {
		return 0, err
	}
	took = time.Since(began)
	return took, m.check(b.Context(), bulkSize)
}
