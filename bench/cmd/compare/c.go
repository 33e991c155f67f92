package main

import (
	"context"
	"testing"
	"time"

	"github.com/dgx-music/storage/bench/peers"
)

// limitC is SQLite itself, without Go: the limit of those who commit each creation.
type limitC struct {
	measured
	program peers.C
}

func newLimitC(b *testing.B, engine engine) (*limitC, error) {
	program, err := peers.CompileC(b.Context())
	if err != nil {
		return nil, err
	}
	return &limitC{measured{name: "C SQLite", url: engine.url(b)}, program}, nil
}

func (l *limitC) createEach(ctx context.Context, lasting time.Duration) error {
	created, took, p99, err := l.program.CreateEach(ctx, l.url, lasting, l.done.Load()+1)
	if err == nil {
		l.done.Add(created)
		l.add(created, took, p99)
	}
	return err
}
