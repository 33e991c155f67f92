package store

import (
	"context"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// Write runs fn as the store's writes of few rows run, which may fail or panic half way where a test needs that.
func (s *Store) Write(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return s.engine.Write(ctx, engine.Operation, func(q engine.Queries) error { return fn(q.DB) })
}
