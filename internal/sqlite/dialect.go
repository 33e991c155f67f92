package sqlite

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"math"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

// errRegister is the error of registerFunctions, for New to return. It runs while the program starts: modernc locks
// nothing while it opens a connection and reads which functions are registered.
var errRegister = registerFunctions()

// registerFunctions makes metadata_matches known to SQL. See [listing.Matcher].
func registerFunctions() error {
	var latest atomic.Pointer[listing.Matcher] // a statement passes the same filter for each row
	return sqliteconn.RegisterFunction("metadata_matches", 2, func(args []driver.Value) (driver.Value, error) {
		metadata, ok := args[0].(string)
		wanted, given := args[1].(string)
		if !ok || !given {
			return nil, nil
		}
		matcher := latest.Load()
		if matcher == nil || matcher.Text != wanted {
			var err error
			if matcher, err = listing.NewMatcher(wanted); err != nil {
				return nil, err
			}
			latest.Store(matcher)
		}
		return matcher.Matches(metadata), nil
	})
}

// dialect runs SQLite's own statements on one connection.
type dialect struct {
	db     storagedb.DBTX
	shared storagedb.Queries
	own    sqlitedb.Queries
}

// Queries returns the statements of one connection.
func (e *Engine) Queries(db storagedb.DBTX) engine.Queries {
	d := &dialect{db: db, shared: *storagedb.New(db), own: *sqlitedb.New(db)} // one allocation for all three
	return engine.Queries{Queries: &d.shared, Dialect: d, DB: db}
}

func (d *dialect) CompleteGeneration(
	ctx context.Context, c engine.Completion, now time.Time,
) (storagedb.Generation, error) {
	merged, err := d.mergedMetadata(ctx, c.ID, c.Metadata)
	if err != nil {
		return storagedb.Generation{}, err
	}
	completed, err := d.own.CompleteGeneration(ctx, sqlitedb.CompleteGenerationParams{
		CompletedAt: &now, GenerationTimeSeconds: &c.GenerationTimeSeconds, FileSizeBytes: &c.FileSizeBytes,
		Metadata: merged, ID: c.ID, Attempt: c.Attempt,
	})
	return storagedb.Generation(completed), err
}

func (d *dialect) CompleteGenerations(
	ctx context.Context, completions []engine.Completion, now time.Time,
) ([]storagedb.Generation, error) {
	var completed []storagedb.Generation
	for _, c := range completions {
		switch g, err := d.CompleteGeneration(ctx, c, now); {
		case err == nil:
			completed = append(completed, g)
		case !errors.Is(err, pgx.ErrNoRows):
			return nil, err
		}
	}
	return completed, nil
}

func (d *dialect) MergeMetadata(
	ctx context.Context, id uuid.UUID, patch storagedb.Metadata,
) (storagedb.Generation, error) {
	merged, err := d.mergedMetadata(ctx, id, patch)
	if err != nil {
		return storagedb.Generation{}, err
	}
	updated, err := d.own.SetMetadata(ctx, sqlitedb.SetMetadataParams{Metadata: merged, ID: id})
	return storagedb.Generation(updated), err
}

// mergedMetadata reads a generation's metadata and merges patch over it. The caller writes it back in the same
// transaction, under the write lock, so no other merge is lost.
func (d *dialect) mergedMetadata(
	ctx context.Context, id uuid.UUID, patch storagedb.Metadata,
) (storagedb.Metadata, error) {
	stored, err := d.own.GetMetadata(ctx, id)
	if err != nil {
		return nil, err
	}
	return stored.Merge(patch)
}

// ClaimGenerations goes through the priorities, lowest first, and claims what is due at each.
func (d *dialect) ClaimGenerations(
	ctx context.Context, claim engine.Claim, now time.Time,
) ([]storagedb.Generation, error) {
	models, err := json.Marshal(append([]string{}, claim.ModelNames...))
	if err != nil {
		return nil, err
	}
	if paused, err := d.shared.QueuePausedAt(ctx); err != nil || paused != nil {
		return []storagedb.Generation{}, err
	}
	claimed := []storagedb.Generation{}
	for from := int64(math.MinInt64); len(claimed) < claim.Limit; {
		priorities, err := d.own.NextPendingPriority(ctx, from)
		if err != nil || len(priorities) == 0 {
			return claimed, err
		}
		due, err := d.own.DueGenerations(ctx, sqlitedb.DueGenerationsParams{
			Priority: priorities[0], Now: now, ModelNames: string(models), RowLimit: int64(claim.Limit - len(claimed)),
		})
		if err != nil {
			return nil, err
		}
		taken, err := d.claimDue(ctx, due, claim, now)
		if err != nil {
			return nil, err
		}
		claimed = append(claimed, taken...)
		if priorities[0] == math.MaxInt64 {
			break
		}
		from = priorities[0] + 1
	}
	return claimed, nil
}

// claimDue claims the due generations of one priority, and returns their new rows.
func (d *dialect) claimDue(
	ctx context.Context, due []sqlitedb.Generation, claim engine.Claim, now time.Time,
) ([]storagedb.Generation, error) {
	if len(due) == 0 {
		return nil, nil
	}
	expires := claim.Expires(now)
	claimed, ids := generations(due), make([]uuid.UUID, len(due))
	for i := range claimed {
		g := &claimed[i]
		g.Status, g.Worker, g.ErrorMessage = storagedb.StatusProcessing, new(claim.Worker), nil
		g.StartedAt, g.LeaseExpiresAt = new(now), new(expires)
		g.Attempt++
		ids[i] = g.ID
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return claimed, d.own.ClaimDue(ctx, sqlitedb.ClaimDueParams{
		Worker: &claim.Worker, StartedAt: &now, LeaseExpiresAt: &expires, Ids: string(list),
	})
}

func (d *dialect) FailGeneration(ctx context.Context, f engine.Failure, now time.Time) (storagedb.Generation, error) {
	var failures int64
	if f.BacksOff() {
		var err error
		if failures, err = d.shared.CountGenerationErrors(ctx, f.ID); err != nil {
			return storagedb.Generation{}, err
		}
	}
	if err := d.own.KeepGenerationError(ctx, sqlitedb.KeepGenerationErrorParams{
		Error: f.Error, FailedAt: now, ID: f.ID, Attempt: f.Attempt,
	}); err != nil {
		return storagedb.Generation{}, err
	}
	failed, err := d.own.FailGeneration(ctx, sqlitedb.FailGenerationParams{
		Final: f.Final, RetryAt: f.RetryAt(now, failures), Now: &now,
		ErrorMessage: engine.NullIfEmpty(f.Error), ID: f.ID, Attempt: f.Attempt,
	})
	return storagedb.Generation(failed), err
}

func (d *dialect) RescueGenerations(ctx context.Context, limit int64, now time.Time) ([]storagedb.Generation, error) {
	if err := d.own.KeepExpiredLeases(ctx, sqlitedb.KeepExpiredLeasesParams{
		Error: engine.LeaseExpired, FailedAt: now, Now: &now, RowLimit: limit,
	}); err != nil {
		return nil, err
	}
	rescued, err := d.own.RescueGenerations(ctx, sqlitedb.RescueGenerationsParams{
		CompletedAt: &now, ErrorMessage: new(engine.LeaseExpired), Now: &now, RowLimit: limit,
	})
	return generations(rescued), err
}

func (d *dialect) DailyUsage(ctx context.Context, from, to time.Time) ([]engine.DayUsage, error) {
	rows, err := d.own.DailyUsage(ctx, sqlitedb.DailyUsageParams{FromTime: from, ToTime: to})
	return engine.MapRows(rows, func(row sqlitedb.DailyUsageRow) engine.DayUsage { return engine.DayUsage(row) }), err
}

func (d *dialect) SearchPrompts(ctx context.Context, search engine.PromptSearch) ([]engine.PromptHit, error) {
	rows, err := d.own.SearchPrompts(ctx, sqlitedb.SearchPromptsParams{
		Query: search.Words.FTS5(), UnusedToo: search.UnusedToo, Status: string(search.Status), RowLimit: search.Limit,
	})
	return engine.MapRows(rows, func(row sqlitedb.SearchPromptsRow) engine.PromptHit {
		return engine.PromptHit{Prompt: storagedb.Prompt(row.Prompt), Rank: row.Score}
	}), err
}

// SQLite keeps the highest ID of each AUTOINCREMENT in sqlite_sequence, which may be written
// (https://www.sqlite.org/autoinc.html). sqlc does not know the table.

func (d *dialect) LastPromptID(ctx context.Context) (last int64, err error) {
	err = d.db.QueryRow(ctx, "SELECT COALESCE(max(seq), 0) FROM sqlite_sequence WHERE name = 'prompts'").Scan(&last)
	return last, err
}

// SkipPromptIDs raises the row that SQLite made when the first prompt was inserted, or inserts it.
func (d *dialect) SkipPromptIDs(ctx context.Context, upTo int64) error {
	changed, err := d.db.Exec(ctx, "UPDATE sqlite_sequence SET seq = max(seq, $1) WHERE name = 'prompts'", upTo)
	if err != nil || changed.RowsAffected() > 0 {
		return err
	}
	_, err = d.db.Exec(ctx, "INSERT INTO sqlite_sequence (name, seq) VALUES ('prompts', $1)", upTo)
	return err
}

func generations(rows []sqlitedb.Generation) []storagedb.Generation {
	return engine.MapRows(rows, func(row sqlitedb.Generation) storagedb.Generation { return storagedb.Generation(row) })
}
