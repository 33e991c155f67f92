package store

import (
	"context"

	"github.com/dgx-music/storage/storagedb"
)

// Write runs fn as the store's single writes are run, of which one may fail or panic half way where tests need it.
func (s *Store) Write(ctx context.Context, fn func(storagedb.DBTX) error) error {
	return s.engine.writeAtomic(ctx, fn)
}
