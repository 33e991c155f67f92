package store

import (
	"context"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// Write runs fn as the store runs writes of few rows. In a test fn may fail or panic half way.
func (s *Store) Write(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return s.engine.Write(ctx, engine.Operation, func(q engine.Queries) error { return fn(q.DB) })
}
