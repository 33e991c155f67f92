package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

// createGenerations returns what it has inserted without asking SQLite for it: RETURNING would fill a table besides.
func (e *sqliteEngine) createGenerations(ctx context.Context, db storagedb.DBTX, rows []CreateGenerationParams, now time.Time) ([]Generation, error) {
	prompts, err := usePrompts(ctx, db, rows, now)
	if err != nil {
		return nil, err
	}
	return copyCreated(ctx, db, rows, prompts, now)
}

// usePrompts counts the uses of the prompts, and returns their IDs.
func usePrompts(ctx context.Context, db storagedb.DBTX, rows []CreateGenerationParams, now time.Time) (map[string]int64, error) {
	uses := make(map[string]int64, len(rows))
	for _, row := range rows {
		uses[row.Prompt]++
	}
	ids := make(map[string]int64, len(uses))
	for _, row := range rows {
		if _, counted := ids[row.Prompt]; counted {
			continue
		}
		id, err := usePrompt(ctx, db, row.Prompt, uses[row.Prompt], now)
		if err != nil {
			return nil, err
		}
		ids[row.Prompt] = id
	}
	return ids, nil
}

func usePrompt(ctx context.Context, db storagedb.DBTX, text string, uses int64, now time.Time) (id int64, err error) {
	queries := sqlitedb.New(db)
	switch id, err = queries.PromptID(ctx, text); {
	case errors.Is(err, pgx.ErrNoRows): // its first use
		prompt, err := storagedb.New(db).TrackPrompt(ctx, storagedb.TrackPromptParams{Text: text, UsedAt: now})
		if err != nil || uses == 1 {
			return prompt.ID, err
		}
		id, uses = prompt.ID, uses-1
	case err != nil:
		return 0, err
	}
	return id, queries.UsePrompt(ctx, sqlitedb.UsePromptParams{Uses: uses, UsedAt: now, ID: id})
}
