package store

import (
	"context"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

func (e *postgresEngine) lastPromptID(ctx context.Context, db storagedb.DBTX) (int64, error) {
	return pgdb.New(db).LastPromptID(ctx)
}

func (e *postgresEngine) skipPromptIDs(ctx context.Context, db storagedb.DBTX, upTo int64) error {
	return pgdb.New(db).SkipPromptIDs(ctx, upTo)
}
