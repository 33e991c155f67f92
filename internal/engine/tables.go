package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/storagedb"
)

// Table has what reads and checks all rows of a table.
type Table[Row any] struct {
	Name string
	// After reads the first rows after a key, or of the table if the key is "".
	After func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]Row, error)
	Key   func(*Row) string
	// Fit brings a row into the stored form. It returns a *storagedb.ValidationError if the row has a value that the store
	// would have refused on one of the engines.
	Fit func(*Row) error
}

// The tables that hold what callers have stored. Triggers keep the others.
var (
	Prompts = Table[storagedb.Prompt]{
		Name: "prompts",
		After: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]storagedb.Prompt, error) {
			id, err := int64(math.MinInt64), error(nil)
			if key != "" {
				id, err = strconv.ParseInt(key, 10, 64)
			}
			if err != nil {
				return nil, err
			}
			return q.PromptsBehind(ctx, storagedb.PromptsBehindParams{ID: id, RowLimit: limit})
		},
		Key: func(p *storagedb.Prompt) string { return strconv.FormatInt(p.ID, 10) },
		Fit: fitPrompt,
	}
	Generations = Table[storagedb.Generation]{
		Name: "generations",
		After: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]storagedb.Generation, error) {
			id, found := followingText(key)
			if !found {
				return nil, nil
			}
			return q.GenerationsFrom(ctx, storagedb.GenerationsFromParams{ID: id, RowLimit: limit})
		},
		Key: func(g *storagedb.Generation) string { return g.ID.String() },
		Fit: fitGeneration,
	}
	GenerationErrors = Table[storagedb.GenerationError]{
		Name: "generation_errors",
		After: func(ctx context.Context, q *storagedb.Queries, key string, limit int64) ([]storagedb.GenerationError, error) {
			params := storagedb.GenerationErrorsBehindParams{RowLimit: limit} // attempts begin at 1
			id, attempt, _ := strings.Cut(key, "/")
			var err error
			if params.GenerationID, err = uuid.Parse(id); err == nil {
				params.Attempt, err = strconv.ParseInt(attempt, 10, 64)
				if err != nil {
					return nil, err
				}
			} else if next, found := followingText(id); found { // it is "", or a text that is no UUID
				params.GenerationID = next
			} else {
				return nil, nil
			}
			return q.GenerationErrorsBehind(ctx, params)
		},
		Key: func(e *storagedb.GenerationError) string {
			return e.GenerationID.String() + "/" + strconv.FormatInt(e.Attempt, 10)
		},
		Fit: fitGenerationError,
	}
	// GenerationQueue has one row, in every database.
	GenerationQueue = Table[QueueRow]{
		Name: "generation_queue",
		After: func(ctx context.Context, q *storagedb.Queries, key string, _ int64) ([]QueueRow, error) {
			if key != "" {
				return nil, nil
			}
			pausedAt, err := q.QueuePausedAt(ctx)
			return []QueueRow{{pausedAt}}, err
		},
		Key: func(*QueueRow) string { return "1" },
		Fit: func(r *QueueRow) error { return fitOptionalTime("paused_at", r.PausedAt) },
	}
)

// QueueRow is the row of generation_queue.
type QueueRow struct{ PausedAt *time.Time }

// followingText returns the lowest UUID whose text comes after the given one, or false if there is none. The given text
// need not be a UUID.
func followingText(text string) (uuid.UUID, bool) {
	id := uuid.Max
	if id.String() <= text {
		return id, false
	}
	for i := range 2 * len(id) { // each digit becomes as low as the text allows
		shift := 4 * (1 - i%2)
		for digit := range byte(16) {
			lower := id
			lower[i/2] = lower[i/2]&^(0xf<<shift) | digit<<shift
			if lower.String() > text {
				id = lower
				break
			}
		}
	}
	return id, true
}

// Batches returns a reader of the rows after a key, in batches of at most batchSize rows.
func (t Table[Row]) Batches(s Session, batchSize int64, key string) *Batches[Row] {
	return &Batches[Row]{Table: t, session: s, LastKey: key, limit: min(batchSize, firstBatch), maxRows: batchSize}
}

const (
	// maxBatchBytes ends a batch: after the row that brings it to this size. A row may have 16 MiB of metadata.
	maxBatchBytes = 4 << 20
	// firstBatch is the most rows of the first batch, when the size of a row is not known yet.
	firstBatch = 100
)

// Batches reads a table, batch by batch.
type Batches[Row any] struct {
	Table[Row]
	LastKey string // of the last row read
	session Session
	// limit is the number of rows to ask for, at most maxRows. PostgreSQL sends all of them, even if a batch of long rows
	// ends earlier. So it is at most twice the number of rows of the last batch.
	limit, maxRows int64
}

// Next returns the next rows, or none at the end. It returns a *storagedb.UnreadableError, with the key of the row,
// for a single row that cannot be read. The next call goes on after that.
func (b *Batches[Row]) Next(ctx context.Context) (rows []Row, err error) {
	err = b.session.Read(ctx, func(q Queries) (err error) {
		rows, err = b.After(ctx, storagedb.New(dbtx.Bounded(q.DB, maxBatchBytes)), b.LastKey, b.limit)
		return err
	})
	if unreadable, ok := errors.AsType[*storagedb.UnreadableError](err); ok {
		if b.limit > 1 { // the rows before it come first
			b.limit = 1
			return b.Next(ctx)
		}
		if b.LastKey = unreadable.Key; b.LastKey == "" {
			b.LastKey = b.Key(new(Row)) // the table has one row
		}
		return nil, &storagedb.UnreadableError{Key: b.LastKey, Column: unreadable.Column, Err: unreadable.Err}
	}
	if err != nil {
		return nil, fmt.Errorf("read %s after %q: %w", b.Name, b.LastKey, err)
	}
	if len(rows) > 0 {
		b.LastKey = b.Key(&rows[len(rows)-1])
		b.limit = min(b.maxRows, 2*int64(len(rows)))
	}
	return rows, nil
}

// fitPrompt allows a prompt of any length: the Python service kept longer ones.
func fitPrompt(p *storagedb.Prompt) error {
	if err := dberr.CheckRequiredText("text", p.Text, math.MaxInt); err != nil {
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
	if err := dberr.CheckRequiredText("prompt", g.Prompt, math.MaxInt); err != nil {
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
