package store

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

	"github.com/dgx-music/storage/storagedb"
)

// carriedTable is a table that Transfer carries.
type carriedTable interface {
	tableName() string
	// summary reads all rows and hashes their values. Rows that no store holds are added to unfit, and are no part of it.
	summary(ctx context.Context, s *Store, batchSize int64, unfit *UnfitRowsError, said func(read int64)) (TransferredTable, error)
	// copy writes the rows behind the mark to the destination.
	copy(ctx context.Context, t *transfer, m mark) error
}

// carriedTables are in an order in which foreign keys find what they refer to. What triggers keep, the counters and the
// indexes of words and metadata, is not among them: the destination's own triggers do so.
var carriedTables = []carriedTable{
	carried[Prompt]{
		name: "prompts",
		behind: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]Prompt, error) {
			id, err := int64(math.MinInt64), error(nil)
			if key != "" {
				id, err = strconv.ParseInt(key, 10, 64)
			}
			if err != nil {
				return nil, err
			}
			return q.PromptsBehind(ctx, storagedb.PromptsBehindParams{ID: id, RowLimit: limit})
		},
		key: func(p *Prompt) string { return strconv.FormatInt(p.ID, 10) },
		fit: fitPrompt, encode: encodePrompt,
		write: func(ctx context.Context, q *storagedb.Queries, prompts []Prompt) error {
			rows := make([]storagedb.CopyPromptsParams, len(prompts))
			for i, p := range prompts {
				rows[i] = storagedb.CopyPromptsParams(p)
			}
			_, err := q.CopyPrompts(ctx, rows)
			return err
		},
	},
	carried[Generation]{
		name: "generations",
		behind: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]Generation, error) {
			id := uuid.Nil
			if key != "" {
				last, err := uuid.Parse(key)
				if err != nil || last == uuid.Max {
					return nil, err
				}
				id = following(last)
			}
			return q.GenerationsFrom(ctx, storagedb.GenerationsFromParams{ID: id, RowLimit: limit})
		},
		key: func(g *Generation) string { return g.ID.String() },
		fit: fitGeneration, encode: encodeGeneration,
		write: func(ctx context.Context, q *storagedb.Queries, generations []Generation) error {
			rows := make([]storagedb.CopyGenerationsParams, len(generations))
			for i, g := range generations {
				rows[i] = storagedb.CopyGenerationsParams(g)
			}
			_, err := q.CopyGenerations(ctx, rows)
			return err
		},
	},
	carried[GenerationError]{
		name: "generation_errors",
		behind: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]GenerationError, error) {
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
		key: func(e *GenerationError) string { return keyOfError(e.GenerationID, e.Attempt) },
		fit: fitGenerationError, encode: encodeGenerationError,
		write: func(ctx context.Context, q *storagedb.Queries, errors []GenerationError) error {
			rows := make([]storagedb.CopyGenerationErrorsParams, len(errors))
			for i, e := range errors {
				rows[i] = storagedb.CopyGenerationErrorsParams(e)
			}
			_, err := q.CopyGenerationErrors(ctx, rows)
			return err
		},
	},
	// Its one row is in every database, and is written over.
	carried[queueRow]{
		name: "generation_queue",
		behind: func(ctx context.Context, q *storagedb.Queries, key string, _ int64) ([]queueRow, error) {
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

// following is the next higher ID.
func following(id uuid.UUID) uuid.UUID {
	for i := len(id) - 1; i >= 0; i-- {
		if id[i]++; id[i] != 0 {
			break
		}
	}
	return id
}

// carried is how the rows of a table are read, looked at and written.
type carried[Row any] struct {
	name string
	// behind reads the first rows behind a key; "" is before all.
	behind func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]Row, error)
	key    func(*Row) string
	// fit brings a row into the form that is stored, and returns a *ValidationError where no store holds it.
	fit    func(*Row) error
	encode func(*Row, encoding) encoding
	write  func(ctx context.Context, q *storagedb.Queries, rows []Row) error
}

func (c carried[Row]) tableName() string { return c.name }

func (c carried[Row]) summary(ctx context.Context, s *Store, batchSize int64, unfit *UnfitRowsError, said func(read int64)) (TransferredTable, error) {
	sum, table := sha256.New(), TransferredTable{Name: c.name}
	batches := c.batches(s, batchSize, "")
	var text encoding
	for {
		rows, err := batches.next(ctx)
		if err != nil {
			return TransferredTable{}, err
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
		said(table.Rows)
	}
}

func (c carried[Row]) copy(ctx context.Context, t *transfer, m mark) error {
	batches := c.batches(t.from, t.batchSize, m.lastKey)
	for {
		rows, err := batches.next(ctx)
		if err != nil || len(rows) == 0 {
			return err
		}
		for i := range rows {
			if err := c.fit(&rows[i]); err != nil { // it came since the source was read
				return fmt.Errorf("%s %s: %w", c.name, c.key(&rows[i]), err)
			}
		}
		if err := t.inTurn(ctx, func(db storagedb.DBTX) error {
			if err := c.write(ctx, storagedb.New(db), rows); err != nil {
				return err
			}
			return m.move(ctx, db, int64(len(rows)), batches.key)
		}); err != nil {
			return fmt.Errorf("rows from %s to %s: %w", c.key(&rows[0]), batches.key, err)
		}
		m.copied += int64(len(rows))
		t.say(TransferProgress{Table: c.name, Done: m.copied, Total: max(m.copied, m.source.Rows)})
	}
}

func (c carried[Row]) batches(s *Store, batchSize int64, key string) *batches[Row] {
	return &batches[Row]{carried: c, store: s, key: key, limit: min(batchSize, firstBatch), most: batchSize}
}

const (
	// A batch ends behind the row with which it has so much, so that it holds that and one row at the most. A row has up to 16
	// MiB of metadata.
	maxBatchBytes = 4 << 20
	firstBatch    = 100
)

// batches reads a table, batch by batch.
type batches[Row any] struct {
	carried[Row]
	store *Store
	key   string // of the last row read
	// How many rows to ask for. PostgreSQL sends all that were asked for, those as well that a batch of long rows has no room for; so
	// it is asked for no more than twice of what there was room for last time.
	limit, most int64
}

// next returns the next rows, and none at the end.
func (b *batches[Row]) next(ctx context.Context) (rows []Row, err error) {
	if err := b.store.engine.read(ctx, func(db storagedb.DBTX) (err error) {
		rows, err = b.behind(ctx, storagedb.New(boundedDB{db}), b.key, b.limit)
		return err
	}); err != nil {
		return nil, fmt.Errorf("read %s behind %q: %w", b.name, b.key, err)
	}
	if len(rows) > 0 {
		b.key = b.carried.key(&rows[len(rows)-1])
		b.limit = min(b.most, 2*int64(len(rows)))
	}
	return rows, nil
}

func fitPrompt(p *Prompt) error {
	if err := checkPrompt("text", p.Text); err != nil {
		return err
	}
	if err := checkYear("first_used_at", p.FirstUsedAt); err != nil {
		return err
	}
	return checkYear("last_used_at", p.LastUsedAt)
}

// fitGeneration checks what one of the engines does not. The rest is said by the CHECK constraints of both.
func fitGeneration(g *Generation) error {
	if err := checkPrompt("prompt", g.Prompt); err != nil {
		return err
	}
	for _, text := range [...]struct {
		field string
		value *string
	}{
		{"model_name", &g.ModelName}, {"model_version", g.ModelVersion}, {"file_path", &g.FilePath}, {"error_message", g.ErrorMessage},
		{"worker", g.Worker}, {"progress_step", &g.ProgressStep},
	} {
		if text.value == nil {
			continue
		}
		if err := checkText(text.field, *text.value, math.MaxInt); err != nil {
			return err
		}
	}
	for _, at := range [...]struct {
		field string
		value *time.Time
	}{
		{"created_at", &g.CreatedAt}, {"completed_at", g.CompletedAt}, {"scheduled_at", &g.ScheduledAt}, {"started_at", g.StartedAt},
		{"lease_expires_at", g.LeaseExpiresAt}, {"cancel_requested_at", g.CancelRequestedAt},
	} {
		if err := fitOptionalTime(at.field, at.value); err != nil {
			return err
		}
	}
	var err error
	g.Metadata, err = g.Metadata.CanonicalStored()
	return err
}

func fitGenerationError(e *GenerationError) error {
	if err := checkText("worker", e.Worker, math.MaxInt); err != nil {
		return err
	}
	if err := checkText("error", e.Error, math.MaxInt); err != nil {
		return err
	}
	return checkYear("failed_at", e.FailedAt)
}

func fitOptionalTime(field string, at *time.Time) error {
	if at == nil {
		return nil
	}
	return checkYear(field, *at)
}
