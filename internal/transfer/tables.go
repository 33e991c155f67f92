package transfer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
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
		name: "prompts",
		after: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]storagedb.Prompt, error) {
			id, err := int64(math.MinInt64), error(nil)
			if key != "" {
				id, err = strconv.ParseInt(key, 10, 64)
			}
			if err != nil {
				return nil, err
			}
			return q.PromptsBehind(ctx, storagedb.PromptsBehindParams{ID: id, RowLimit: limit})
		},
		key: func(p *storagedb.Prompt) string { return strconv.FormatInt(p.ID, 10) },
		fit: fitPrompt, encode: encodePrompt,
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
		name: "generations",
		after: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]storagedb.Generation, error) {
			id := uuid.Nil
			if key != "" {
				last, err := uuid.Parse(key)
				if err != nil || last == uuid.Max {
					return nil, err
				}
				id, _ = engine.Following(last)
			}
			return q.GenerationsFrom(ctx, storagedb.GenerationsFromParams{ID: id, RowLimit: limit})
		},
		key: func(g *storagedb.Generation) string { return g.ID.String() },
		fit: fitGeneration, encode: encodeGeneration,
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
		name: "generation_errors",
		after: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]storagedb.GenerationError, error) {
			params := storagedb.GenerationErrorsBehindParams{RowLimit: limit} // attempts begin at 1
			if key != "" {
				id, attempt, _ := strings.Cut(key, "/")
				var idErr, attemptErr error
				params.GenerationID, idErr = uuid.Parse(id)
				params.Attempt, attemptErr = strconv.ParseInt(attempt, 10, 64)
				if err := errors.Join(idErr, attemptErr); err != nil {
					return nil, err
				}
			}
			return q.GenerationErrorsBehind(ctx, params)
		},
		key: func(e *storagedb.GenerationError) string { return keyOfError(e.GenerationID, e.Attempt) },
		fit: fitGenerationError, encode: encodeGenerationError,
		write: func(ctx context.Context, q *storagedb.Queries, errors []storagedb.GenerationError) error {
			rows := make([]storagedb.CopyGenerationErrorsParams, len(errors))
			for i, e := range errors {
				rows[i] = storagedb.CopyGenerationErrorsParams(e)
			}
			_, err := q.CopyGenerationErrors(ctx, rows)
			return err
		},
	},
	// It has one row, in every database. The copy overwrites that of the destination.
	carried[queueRow]{
		name: "generation_queue",
		after: func(ctx context.Context, q *storagedb.Queries, key string, _ int64) ([]queueRow, error) {
			if key != "" {
				return nil, nil
			}
			pausedAt, err := q.QueuePausedAt(ctx)
			return []queueRow{{pausedAt}}, err
		},
		key:    func(*queueRow) string { return "1" },
		fit:    func(r *queueRow) error { return fitOptionalTime("paused_at", r.pausedAt) },
		encode: func(r *queueRow, e encoding) encoding { return e.optionalTime(r.pausedAt) },
		write: func(ctx context.Context, q *storagedb.Queries, rows []queueRow) error {
			return q.SetQueuePausedAt(ctx, rows[0].pausedAt)
		},
	},
}

func keyOfError(generation uuid.UUID, attempt int64) string {
	return generation.String() + "/" + strconv.FormatInt(attempt, 10)
}

type queueRow struct{ pausedAt *time.Time }

// carried has what reads, checks and writes the rows of a table.
type carried[Row any] struct {
	name string
	// after reads the first rows after a key, or of the table if the key is "".
	after func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]Row, error)
	key   func(*Row) string
	// fit brings a row into the stored form. It returns a *storagedb.ValidationError if the row does not fit any store.
	fit    func(*Row) error
	encode func(*Row, encoding) encoding
	write  func(ctx context.Context, q *storagedb.Queries, rows []Row) error
}

func (c carried[Row]) tableName() string { return c.name }

func (c carried[Row]) summary(
	ctx context.Context, e engine.Engine, batchSize int64, unfit *UnfitRowsError, progress func(read int64),
) (Table, error) {
	sum, table := sha256.New(), Table{Name: c.name}
	batches := c.batches(e, batchSize, "")
	var text encoding
	for {
		rows, err := batches.next(ctx)
		if err != nil {
			return Table{}, err
		}
		if len(rows) == 0 {
			table.SHA256 = hex.EncodeToString(sum.Sum(nil))
			return table, nil
		}
		for i := range rows {
			if err := c.fit(&rows[i]); err != nil {
				unfit.add(c.name, c.key(&rows[i]), err)
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
	batches := c.batches(t.from, t.batchSize, m.lastKey)
	for {
		rows, err := batches.next(ctx)
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			if err := c.fit(&rows[i]); err != nil { // the row was added after the source was read
				return fmt.Errorf("%s %s: %w", c.name, c.key(&rows[i]), err)
			}
		}
		if err := t.inTurn(ctx, func(q engine.Queries) error {
			if err := c.write(ctx, q.Queries, rows); err != nil {
				return err
			}
			return m.move(ctx, q.DB, int64(len(rows)), batches.key)
		}); err != nil {
			return fmt.Errorf("rows from %s to %s: %w", c.key(&rows[0]), batches.key, err)
		}
		m.copied += int64(len(rows))
		t.report(Progress{Table: c.name, Done: m.copied, Total: max(m.copied, m.source.Rows)})
	}
}

func (c carried[Row]) batches(e engine.Engine, batchSize int64, key string) *batches[Row] {
	return &batches[Row]{carried: c, engine: e, key: key, limit: min(batchSize, firstBatch), maxRows: batchSize}
}

const (
	// maxBatchBytes ends a batch: after the row that brings it to this size. A row may have 16 MiB of metadata.
	maxBatchBytes = 4 << 20
	// firstBatch is the most rows of the first batch, when the size of a row is not known yet.
	firstBatch = 100
)

// batches reads a table, batch by batch.
type batches[Row any] struct {
	carried[Row]
	engine engine.Engine
	key    string // of the last row read
	// limit is the number of rows to ask for, at most maxRows. PostgreSQL sends all of them, even if a batch of long rows
	// ends earlier. So it is at most twice the number of rows of the last batch.
	limit, maxRows int64
}

// next returns the next rows, or none at the end.
func (b *batches[Row]) next(ctx context.Context) (rows []Row, err error) {
	if err := b.engine.Read(ctx, func(q engine.Queries) (err error) {
		rows, err = b.after(ctx, storagedb.New(dbtx.Bounded(q.DB, maxBatchBytes)), b.key, b.limit)
		return err
	}); err != nil {
		return nil, fmt.Errorf("read %s after %q: %w", b.name, b.key, err)
	}
	if len(rows) > 0 {
		b.key = b.carried.key(&rows[len(rows)-1])
		b.limit = min(b.maxRows, 2*int64(len(rows)))
	}
	return rows, nil
}

func fitPrompt(p *storagedb.Prompt) error {
	if err := dberr.CheckPrompt("text", p.Text); err != nil {
		return err
	}
	if err := dberr.CheckYear("first_used_at", p.FirstUsedAt); err != nil {
		return err
	}
	return dberr.CheckYear("last_used_at", p.LastUsedAt)
}

// fitGeneration checks the columns that only one of the engines checks. CHECK constraints of both engines check the
// rest.
func fitGeneration(g *storagedb.Generation) error {
	if err := dberr.CheckPrompt("prompt", g.Prompt); err != nil {
		return err
	}
	for _, text := range [...]struct {
		field string
		value *string
	}{
		{"model_name", &g.ModelName}, {"model_version", g.ModelVersion}, {"file_path", &g.FilePath},
		{"error_message", g.ErrorMessage}, {"worker", g.Worker}, {"progress_step", &g.ProgressStep},
	} {
		if text.value == nil {
			continue
		}
		if err := dberr.CheckText(text.field, *text.value, math.MaxInt); err != nil {
			return err
		}
	}
	for _, at := range [...]struct {
		field string
		value *time.Time
	}{
		{"created_at", &g.CreatedAt}, {"completed_at", g.CompletedAt}, {"scheduled_at", &g.ScheduledAt},
		{"started_at", g.StartedAt}, {"lease_expires_at", g.LeaseExpiresAt}, {"cancel_requested_at", g.CancelRequestedAt},
	} {
		if err := fitOptionalTime(at.field, at.value); err != nil {
			return err
		}
	}
	var err error
	g.Metadata, err = g.Metadata.CanonicalStored()
	return err
}

func fitGenerationError(e *storagedb.GenerationError) error {
	if err := dberr.CheckText("worker", e.Worker, math.MaxInt); err != nil {
		return err
	}
	if err := dberr.CheckText("error", e.Error, math.MaxInt); err != nil {
		return err
	}
	return dberr.CheckYear("failed_at", e.FailedAt)
}

func fitOptionalTime(field string, at *time.Time) error {
	if at == nil {
		return nil
	}
	return dberr.CheckYear(field, *at)
}
