package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// carriedTable is a table that a transfer copies.
type carriedTable interface {
	tableName() string
	// summary counts all rows and hashes their values. It adds rows that do not fit any store to unfit, and does not hash
	// them. After each batch it calls progress with the number of rows read so far.
	summary(
		ctx context.Context, e engine.Engine, batchSize int64, unfit *UnfitRowsError, progress func(read int64),
	) (Table, error)
	// copy writes the rows after the mark to the destination.
	copy(ctx context.Context, t *Transfer, m mark) error
}

// carriedTables has the tables in an order that foreign keys allow. The counters and the indexes over words and
// metadata are missing, because the destination's triggers fill them.
var carriedTables = []carriedTable{
	carried[storagedb.Prompt]{
		Table:  engine.Prompts,
		limits: func(p *storagedb.Prompt) error { return dberr.CheckPrompt("text", p.Text) },
		encode: encodePrompt,
		write: func(ctx context.Context, q *storagedb.Queries, prompts []storagedb.Prompt) error {
			rows := make([]storagedb.CopyPromptsParams, len(prompts))
			for i, p := range prompts {
				rows[i] = storagedb.CopyPromptsParams(p)
			}
			_, err := q.CopyPrompts(ctx, rows)
			return err
		},
	},
	carried[storagedb.Generation]{
		Table:  engine.Generations,
		limits: func(g *storagedb.Generation) error { return dberr.CheckPrompt("prompt", g.Prompt) },
		encode: encodeGeneration,
		write: func(ctx context.Context, q *storagedb.Queries, generations []storagedb.Generation) error {
			rows := make([]storagedb.CopyGenerationsParams, len(generations))
			for i, g := range generations {
				rows[i] = storagedb.CopyGenerationsParams(g)
			}
			_, err := q.CopyGenerations(ctx, rows)
			return err
		},
	},
	carried[storagedb.GenerationError]{
		Table:  engine.GenerationErrors,
		encode: encodeGenerationError,
		write: func(ctx context.Context, q *storagedb.Queries, errors []storagedb.GenerationError) error {
			rows := make([]storagedb.CopyGenerationErrorsParams, len(errors))
			for i, e := range errors {
				rows[i] = storagedb.CopyGenerationErrorsParams(e)
			}
			_, err := q.CopyGenerationErrors(ctx, rows)
			return err
		},
	},
	carried[engine.QueueRow]{ // the copy overwrites the row of the destination
		Table:  engine.GenerationQueue,
		encode: func(r *engine.QueueRow, e encoding) encoding { return e.optionalTime(r.PausedAt) },
		write: func(ctx context.Context, q *storagedb.Queries, rows []engine.QueueRow) error {
			return q.SetQueuePausedAt(ctx, rows[0].PausedAt)
		},
	},
}

// carried has what compares and writes the rows of a table, too.
type carried[Row any] struct {
	engine.Table[Row]
	// limits refuses what one of the engines does not hold, although the other may. It may be nil.
	limits func(*Row) error
	encode func(*Row, encoding) encoding
	write  func(ctx context.Context, q *storagedb.Queries, rows []Row) error
}

func (c carried[Row]) tableName() string { return c.Name }

// fit returns a *storagedb.ValidationError if the row does not fit every store.
func (c carried[Row]) fit(row *Row) error {
	if c.limits != nil {
		if err := c.limits(row); err != nil {
			return err
		}
	}
	return c.Fit(row)
}

func (c carried[Row]) summary(
	ctx context.Context, e engine.Engine, batchSize int64, unfit *UnfitRowsError, progress func(read int64),
) (Table, error) {
	sum, table := sha256.New(), Table{Name: c.Name}
	batches := c.Batches(e, batchSize, "")
	var text encoding
	for {
		rows, err := batches.Next(ctx)
		if unreadable, ok := errors.AsType[*storagedb.UnreadableError](err); ok {
			unfit.add(c.Name, unreadable.Key, dberr.Invalid(unreadable.Column, "cannot be read"))
			table.Rows++
			continue
		}
		if err != nil {
			return Table{}, err
		}
		if len(rows) == 0 {
			table.SHA256 = hex.EncodeToString(sum.Sum(nil))
			return table, nil
		}
		for i := range rows {
			if err := c.fit(&rows[i]); err != nil {
				unfit.add(c.Name, c.Key(&rows[i]), err)
				continue
			}
			text = c.encode(&rows[i], text[:0])
			sum.Write(text)
		}
		table.Rows += int64(len(rows))
		progress(table.Rows)
	}
}

func (c carried[Row]) copy(ctx context.Context, t *Transfer, m mark) error {
	batches := c.Batches(t.from, t.batchSize, m.lastKey)
	for {
		rows, err := batches.Next(ctx)
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			if err := c.fit(&rows[i]); err != nil { // the row was added after the source was read
				return fmt.Errorf("%s %s: %w", c.Name, c.Key(&rows[i]), err)
			}
		}
		if err := t.inTurn(ctx, func(q engine.Queries) error {
			if err := c.write(ctx, q.Queries, rows); err != nil {
				return err
			}
			return m.move(ctx, q.DB, int64(len(rows)), batches.LastKey)
		}); err != nil {
			return fmt.Errorf("rows from %s to %s: %w", c.Key(&rows[0]), batches.LastKey, err)
		}
		m.copied += int64(len(rows))
		t.report(Progress{Table: c.Name, Done: m.copied, Total: max(m.copied, m.source.Rows)})
	}
}
