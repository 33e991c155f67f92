package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

// maintainer is what engines do differently for Prune, Check, Repair and Optimize, which no transaction has.
type maintainer interface {
	// Lists as parameters, and locks, which SQLite does not need. It returns the file paths of what it has deleted.
	pruneGenerations(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID, pruned prunedGenerations) ([]string, error)
	// On PostgreSQL the lock and the deletion are two statements of one transaction, so that the second sees what was committed
	// before the first. It returns how many there were.
	dropUnusedPrompts(ctx context.Context, db storagedb.DBTX, ids []int64, usedBefore time.Time) (int64, error)

	// What the engine can say of its own files, and which those are. PostgreSQL's are on its server.
	checkStorage(ctx context.Context, found func(Finding)) error
	ownFiles() []string
	// The full-text index is each engine's own.
	checkSearchIndex(ctx context.Context, found func(Finding)) error
	mendSearchIndex(ctx context.Context, wrong []Finding) error
	// So are the entries of the index over metadata. The page begins with an ID.
	metadataToCheck(ctx context.Context, db storagedb.DBTX, from uuid.UUID) ([]pgdb.MetadataToCheckRow, error)
	surplusMetadata(ctx context.Context, db storagedb.DBTX) ([]pgdb.SurplusMetadataRow, error)
	addMissingMetadata(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID) error
	deleteSurplusMetadata(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID) error
	// A counter is a row on SQLite, and a sum of changes on PostgreSQL. Until the end of the transaction nobody else may recount.
	lockRecount(ctx context.Context, db storagedb.DBTX) error
	setCounter(ctx context.Context, db storagedb.DBTX, wrong CountDifference) error
	// lockPrompt keeps others from using the prompt until the end of the transaction.
	lockPrompt(ctx context.Context, db storagedb.DBTX, id int64) error

	optimize(ctx context.Context, params OptimizeParams) error
}

// prunedGenerations is what must be so of a generation for Prune to delete it.
type prunedGenerations struct {
	status       Status
	before       time.Time // when it ended
	favoritesToo bool
}
