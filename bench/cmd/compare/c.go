package main

import (
	"testing"
	"time"

	"github.com/dgx-music/storage/bench/peers"
)

// createWithC measures SQLite in C, without Go. It is the limit for peers that commit each creation.
func (c comparison) createWithC(b *testing.B, engine engine, creations int) (*measured, error) {
	program, err := peers.CompileC(b.Context())
	if err != nil {
		return nil, err
	}
	m := &measured{name: "C SQLite, prepared, committing each", url: engine.url(b)}
	m.turn = func() error {
		created, took, p99, err := program.CreateEach(b.Context(), m.url, creations, m.done.Load()+1)
		if err == nil {
			m.done.Add(created)
			m.add(created, took, p99)
		}
		return err
	}
	return m, nil
}

// bulkWithC measures SQLite in C. It is the limit for peers that create all rows in one transaction.
func (c comparison) bulkWithC(b *testing.B, engine engine) (took time.Duration, err error) {
	program, err := peers.CompileC(b.Context())
	if err != nil {
		return 0, err
	}
	m := &measured{url: engine.url(b)}
	created, took, err := program.CreateAll(b.Context(), m.url, bulkSize, 0)
	if err == nil {
		err = m.check(b.Context(), created)
	}
	return took, err
}
