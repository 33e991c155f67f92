package postgres

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

func (d *dialect) PruneGenerations(ctx context.Context, ids []uuid.UUID, pruned engine.Pruned) ([]string, error) {
	return d.own.PruneGenerations(ctx, pgdb.PruneGenerationsParams{
		Ids: ids, Status: pruned.Status, FavoritesToo: pruned.FavoritesToo, CreatedBefore: pruned.Before,
		CompletedBefore: &pruned.Before,
	})
}

// DropUnusedPrompts skips locked prompts, which are in use. It holds its own locks until the transaction ends, a round
// trip later. A caller that uses such a prompt meanwhile waits, and creates it again.
func (d *dialect) DropUnusedPrompts(ctx context.Context, ids []int64, usedBefore time.Time) (int64, error) {
	queries := d.own
	locked, err := queries.LockPrompts(ctx, ids)
	if err != nil || len(locked) == 0 {
		return 0, err
	}
	return queries.DropUnusedPrompts(ctx, pgdb.DropUnusedPromptsParams{Ids: locked, UsedBefore: usedBefore})
}

// CheckStorage reports nothing: a server with checksums checks its pages when it reads them.
func (e *Engine) CheckStorage(context.Context, bool, func(engine.Finding)) error { return nil }

// OwnFiles are on the server.
func (e *Engine) OwnFiles() []string { return nil }

// CheckSearchIndex compares the words that are kept of each prompt with its text.
func (e *Engine) CheckSearchIndex(ctx context.Context, found func(engine.Finding)) error {
	read := func(q engine.Queries, after int64) ([]pgdb.SearchWordsRow, error) {
		return pgdb.New(q.DB).SearchWords(ctx, pgdb.SearchWordsParams{AfterID: after, RowLimit: engine.PageRows})
	}
	next := func(last pgdb.SearchWordsRow) (int64, bool) { return last.ID, true }
	for page, err := range engine.Pages(ctx, e, int64(math.MinInt64), engine.PageRows, read, next) {
		if err != nil {
			return err
		}
		for _, row := range page {
			if row.Wrong {
				found(engine.Finding{
					Kind: engine.FindingIntegrity, ID: strconv.FormatInt(row.ID, 10), Repairable: true,
					Detail: "the prompt's words are not in the full-text index as they should be",
				})
			}
		}
	}
	return e.checkSurplusWords(ctx, found)
}

func (e *Engine) checkSurplusWords(ctx context.Context, found func(engine.Finding)) error {
	var surplus []int64
	err := e.Read(ctx, func(q engine.Queries) (err error) {
		surplus, err = pgdb.New(q.DB).WordsWithoutPrompt(ctx)
		return err
	})
	for _, id := range surplus {
		found(engine.Finding{
			Kind: engine.FindingForeignKey, ID: strconv.FormatInt(id, 10), Repairable: true,
			Detail: "the full-text index has words of a prompt that does not exist",
		})
	}
	return err
}

// MendSearchIndex mends the words of the prompts that were found, one page of them at a time.
func (e *Engine) MendSearchIndex(ctx context.Context, wrong []engine.Finding) error {
	ids := make([]int64, len(wrong))
	for i, f := range wrong {
		var err error
		if ids[i], err = strconv.ParseInt(f.ID, 10, 64); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(ids, engine.PageRows) {
		if err := e.Write(ctx, engine.Transaction, func(q engine.Queries) error {
			queries := pgdb.New(q.DB)
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

// IsCorruption reports whether the server says that it cannot read its data: data_corrupted or index_corrupted.
func (e *Engine) IsCorruption(err error) bool {
	postgres, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (postgres.Code == "XX001" || postgres.Code == "XX002")
}

func (d *dialect) MetadataToCheck(ctx context.Context, from uuid.UUID) ([]engine.CheckedMetadata, error) {
	page, err := d.own.MetadataToCheck(ctx, pgdb.MetadataToCheckParams{FromID: from, RowLimit: engine.PageRows})
	return engine.MapRows(page, func(row pgdb.MetadataToCheckRow) engine.CheckedMetadata {
		return engine.CheckedMetadata(row)
	}), err
}

func (d *dialect) SurplusMetadata(ctx context.Context) ([]engine.SurplusMetadata, error) {
	surplus, err := d.own.SurplusMetadata(ctx)
	return engine.MapRows(surplus, func(row pgdb.SurplusMetadataRow) engine.SurplusMetadata {
		return engine.SurplusMetadata(row)
	}), err
}

func (d *dialect) AddMissingMetadata(ctx context.Context, ids []uuid.UUID) error {
	return d.own.AddMissingMetadata(ctx, ids)
}

func (d *dialect) DeleteSurplusMetadata(ctx context.Context, ids []uuid.UUID) error {
	return d.own.DeleteSurplusMetadata(ctx, ids)
}

func (d *dialect) LockRecount(ctx context.Context) error {
	return d.own.LockRecount(ctx)
}

func (d *dialect) SetCounter(ctx context.Context, wrong engine.CountDifference) error {
	return d.own.AddToCounter(ctx, pgdb.AddToCounterParams{Name: wrong.Name, Value: wrong.There - wrong.Kept})
}

func (d *dialect) LockPrompt(ctx context.Context, id int64) error {
	return d.own.LockPrompt(ctx, id)
}
