package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

// CreateGenerations returns the rows as it inserted them. RETURNING would have SQLite fill a table of them besides.
func (d *dialect) CreateGenerations(
	ctx context.Context, creations []engine.Creation, now time.Time,
) ([]storagedb.Generation, error) {
	prompts, err := d.usePrompts(ctx, creations, now)
	if err != nil {
		return nil, err
	}
	return engine.CopyCreations(ctx, &d.shared, creations, prompts, now)
}

// usePrompts counts the uses of the prompts, and returns the ID of each text.
func (d *dialect) usePrompts(
	ctx context.Context, creations []engine.Creation, now time.Time,
) (map[string]int64, error) {
	uses := make(map[string]int64, len(creations))
	for _, c := range creations {
		uses[c.Prompt]++
	}
	ids := make(map[string]int64, len(uses))
	for _, c := range creations {
		if _, counted := ids[c.Prompt]; counted {
			continue
		}
		id, err := d.usePrompt(ctx, c.Prompt, uses[c.Prompt], now)
		if err != nil {
			return nil, err
		}
		ids[c.Prompt] = id
	}
	return ids, nil
}

func (d *dialect) usePrompt(ctx context.Context, text string, uses int64, now time.Time) (id int64, err error) {
	switch id, err = d.own.PromptID(ctx, text); {
	case errors.Is(err, pgx.ErrNoRows): // its first use
		prompt, err := d.shared.TrackPrompt(ctx, storagedb.TrackPromptParams{Text: text, UsedAt: now})
		if err != nil || uses == 1 {
			return prompt.ID, err
		}
		id, uses = prompt.ID, uses-1
	case err != nil:
		return 0, err
	}
	return id, d.own.UsePrompt(ctx, sqlitedb.UsePromptParams{Uses: uses, UsedAt: now, ID: id})
}
