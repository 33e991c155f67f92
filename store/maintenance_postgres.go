package store

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

func (e *postgresEngine) pruneGenerations(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID, pruned prunedGenerations) ([]string, error) {
	return pgdb.New(db).PruneGenerations(ctx, pgdb.PruneGenerationsParams{
		Ids: ids, Status: pruned.status, FavoritesToo: pruned.favoritesToo, CreatedBefore: pruned.before, CompletedBefore: &pruned.before,
	})
}

// What it locks it holds until the transaction ends, a round trip later, and it waits for nobody: what somebody else has locked
// is in use. Who wants to use a prompt meanwhile waits for that, and creates it anew.
func (e *postgresEngine) dropUnusedPrompts(ctx context.Context, db storagedb.DBTX, ids []int64, usedBefore time.Time) (int64, error) {
	queries := pgdb.New(db)
	locked, err := queries.LockPrompts(ctx, ids)
	if err != nil || len(locked) == 0 {
		return 0, err
	}
	return queries.DropUnusedPrompts(ctx, pgdb.DropUnusedPromptsParams{Ids: locked, UsedBefore: usedBefore})
}

// checkStorage has nothing to say: a server checks its pages as it reads them, where it was set up with checksums.
func (e *postgresEngine) checkStorage(context.Context, func(Finding)) error { return nil }

func (e *postgresEngine) ownFiles() []string { return nil }

func (e *postgresEngine) checkSearchIndex(ctx context.Context, found func(Finding)) error {
	for after := int64(math.MinInt64); ; {
		var page []pgdb.SearchWordsRow
		err := e.read(ctx, func(db storagedb.DBTX) (err error) {
			page, err = pgdb.New(db).SearchWords(ctx, pgdb.SearchWordsParams{AfterID: after, RowLimit: maintenancePage})
			return err
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return e.checkSurplusWords(ctx, found)
		}
		for _, row := range page {
			if row.Wrong {
				found(Finding{Kind: FindingIntegrity, ID: strconv.FormatInt(row.ID, 10), Detail: "the prompt's words are not in the full-text index as they should be", Repairable: true})
			}
		}
		after = page[len(page)-1].ID
	}
}

func (e *postgresEngine) checkSurplusWords(ctx context.Context, found func(Finding)) error {
	var surplus []int64
	err := e.read(ctx, func(db storagedb.DBTX) (err error) {
		surplus, err = pgdb.New(db).WordsWithoutPrompt(ctx)
		return err
	})
	for _, id := range surplus {
		found(Finding{Kind: FindingForeignKey, ID: strconv.FormatInt(id, 10), Detail: "the full-text index has words of a prompt that does not exist", Repairable: true})
	}
	return err
}

func (e *postgresEngine) mendSearchIndex(ctx context.Context, wrong []Finding) error {
	ids := make([]int64, len(wrong))
	for i, f := range wrong {
		var err error
		if ids[i], err = strconv.ParseInt(f.ID, 10, 64); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(ids, maintenancePage) {
		if err := e.writeMany(ctx, func(db storagedb.DBTX) error {
			queries := pgdb.New(db)
			if err := queries.MendSearchWords(ctx, batch); err != nil {
				return err
			}
			return queries.DeleteWordsWithoutPrompt(ctx, batch)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (e *postgresEngine) metadataToCheck(ctx context.Context, db storagedb.DBTX, from uuid.UUID) ([]pgdb.MetadataToCheckRow, error) {
	return pgdb.New(db).MetadataToCheck(ctx, pgdb.MetadataToCheckParams{FromID: from, RowLimit: maintenancePage})
}

func (e *postgresEngine) surplusMetadata(ctx context.Context, db storagedb.DBTX) ([]pgdb.SurplusMetadataRow, error) {
	return pgdb.New(db).SurplusMetadata(ctx)
}

func (e *postgresEngine) addMissingMetadata(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID) error {
	return pgdb.New(db).AddMissingMetadata(ctx, ids)
}

func (e *postgresEngine) deleteSurplusMetadata(ctx context.Context, db storagedb.DBTX, ids []uuid.UUID) error {
	return pgdb.New(db).DeleteSurplusMetadata(ctx, ids)
}

func (e *postgresEngine) lockRecount(ctx context.Context, db storagedb.DBTX) error {
	return pgdb.New(db).LockRecount(ctx)
}

func (e *postgresEngine) setCounter(ctx context.Context, db storagedb.DBTX, wrong CountDifference) error {
	return pgdb.New(db).AddToCounter(ctx, pgdb.AddToCounterParams{Name: wrong.Name, Value: wrong.There - wrong.Kept})
}

func (e *postgresEngine) lockPrompt(ctx context.Context, db storagedb.DBTX, id int64) error {
	return pgdb.New(db).LockPrompt(ctx, id)
}
