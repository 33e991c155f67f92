package engine

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// Maintainer is what the engines do differently for Check, Repair and Optimize. No transaction has it.
type Maintainer interface {
	// CheckStorage reports what the engine finds wrong in its own files. With rowsToo it also reports rows that a CHECK
	// constraint refuses. PostgreSQL's files are on its server.
	CheckStorage(ctx context.Context, rowsToo bool, found func(Finding)) error
	// OwnFiles are the database's files, including those that SQLite keeps beside it.
	OwnFiles() []string
	// IsCorruption reports whether err says that stored data cannot be read.
	IsCorruption(err error) bool

	// The full-text index is each engine's own.
	CheckSearchIndex(ctx context.Context, found func(Finding)) error
	MendSearchIndex(ctx context.Context, wrong []Finding) error

	// Optimize gathers statistics and tidies up. With vacuum it also gives back the room of deleted rows.
	Optimize(ctx context.Context, vacuum bool) error
}

// Maintenance is the part of a dialect that Prune, Check and Repair run. SQLite has no lists as parameters, and needs
// no locks.
type Maintenance interface {
	// PruneGenerations deletes those of the generations that still fit, and returns their file paths.
	PruneGenerations(ctx context.Context, ids []uuid.UUID, pruned Pruned) ([]string, error)
	// DropUnusedPrompts returns how many it deleted. On PostgreSQL it locks them first, so that the deletion sees what was
	// committed before. It needs a transaction.
	DropUnusedPrompts(ctx context.Context, ids []int64, usedBefore time.Time) (int64, error)

	// The entries of the index over metadata. The page begins with the given ID.
	MetadataToCheck(ctx context.Context, from uuid.UUID) ([]CheckedMetadata, error)
	SurplusMetadata(ctx context.Context) ([]SurplusMetadata, error)
	AddMissingMetadata(ctx context.Context, ids []uuid.UUID) error
	DeleteSurplusMetadata(ctx context.Context, ids []uuid.UUID) error

	// LockRecount keeps others from recounting until the end of the transaction. A counter is a row on SQLite, and a sum
	// of changes on PostgreSQL.
	LockRecount(ctx context.Context) error
	SetCounter(ctx context.Context, wrong CountDifference) error
	// LockPrompt keeps others from using the prompt until the end of the transaction.
	LockPrompt(ctx context.Context, id int64) error
}

// Pruned says which generations Prune deletes.
type Pruned struct {
	Status       storagedb.Status
	Before       time.Time // when they ended
	FavoritesToo bool
}

// CheckedMetadata reports whether the index over metadata misses entries of a generation.
type CheckedMetadata struct {
	ID      uuid.UUID
	Missing bool
}

// SurplusMetadata is a generation, or a deleted one, of which the index over metadata has entries too many.
type SurplusMetadata struct {
	GenerationID uuid.UUID
	Entries      int64
}

// WrongCounts compares the counters with the rows, as of one moment. It reads all generations and prompts.
func WrongCounts(ctx context.Context, q Queries) (wrong []CountDifference, err error) {
	rows, err := q.CountsAndTruth(ctx)
	for _, row := range rows {
		if row.Kept != row.There {
			wrong = append(wrong, CountDifference{Name: row.Name, Kept: row.Kept, There: row.There})
		}
	}
	return wrong, err
}
