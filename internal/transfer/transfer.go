// Package transfer copies all rows of one database into another, in batches, and compares the two at the end.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/migrate"
	"github.com/dgx-music/storage/storagedb"
)

// waitTimeout is how long to wait for another process that locks the destination's file.
const waitTimeout = 10 * time.Second

// Progress is how far a transfer has got. Package store documents it.
type Progress struct {
	Table       string
	Done, Total int64
	Comparing   bool
}

// Report is the result of a transfer. Package store documents it.
type Report struct {
	Tables  []Table
	Resumed bool
}

// Table is the summary of a table: the number of its rows, and a hash of them in hexadecimal digits.
type Table struct {
	Name   string
	Rows   int64
	SHA256 string
}

// MismatchError is returned if a table differs between the databases. Package store returns a *TransferMismatchError
// for it.
type MismatchError struct {
	Table               string
	Source, Destination Table
}

func (e *MismatchError) Error() string { return e.Table + " differs" }

// CountsError is returned if the destination's counters are wrong. Package store returns its own *CountsError for it.
type CountsError struct{ Differences []engine.CountDifference }

func (e *CountsError) Error() string { return "the counts are wrong" }

// UnfitRowsError is returned if rows do not fit any store. Package store returns its own *UnfitRowsError for it.
type UnfitRowsError struct {
	Rows  []UnfitRow // the first 100
	Total int64      // the number of all
}

// UnfitRow is a row that does not fit any store. Package store documents it.
type UnfitRow struct {
	Table   string
	Key     string
	Field   string
	Problem string
}

const maxUnfitRows = 100

func (e *UnfitRowsError) Error() string { return "rows cannot be carried" }

// CheckDestination refuses a destination before anything in it is changed, including its schema.
func CheckDestination(ctx context.Context, from engine.Engine, source, destination dburl.Target) error {
	if destination.Path != "" {
		switch _, err := os.Stat(destination.Path); {
		case errors.Is(err, fs.ErrNotExist):
			return nil // the transfer creates it
		case err != nil:
			return err
		}
	}
	same, err := isSameDatabase(ctx, from, source, destination)
	if err != nil {
		return err
	}
	if same {
		return dberr.Invalid("to_url", "means the same database as from_url")
	}
	conn, err := migrate.OpenReadOnly(ctx, destination, waitTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if found, err := conn.TableExists(progressTable); err != nil || found {
		return err // Carry compares it with the source
	}
	for _, table := range []string{"prompts", "generations"} { // if these have no rows, no other table has any
		if found, err := conn.TableExists(table); err != nil {
			return err
		} else if !found {
			continue
		}
		rows, err := conn.QueryColumn("SELECT 1 FROM " + table + " LIMIT 1")
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return notEmpty("it has rows in " + table + " that are not of an interrupted transfer")
		}
	}
	return nil
}

func notEmpty(why string) error {
	return fmt.Errorf("%w: %s: name another destination, or empty it with store.Reset, which deletes ALL DATA in it",
		dberr.ErrNotEmpty, why)
}

// isSameDatabase reports whether two URLs name one database. Of SQLite it compares the files. A PostgreSQL database has
// many names, so it takes a lock with a random key through one URL, and tries it through the other. Two schemas of one
// database count as two databases.
func isSameDatabase(
	ctx context.Context, from engine.Engine, source, destination dburl.Target,
) (same bool, err error) {
	if source.Engine != destination.Engine {
		return false, nil
	}
	if source.Engine == "sqlite" {
		fromFile, err := os.Stat(source.Path)
		if err != nil {
			return false, err
		}
		toFile, err := os.Stat(destination.Path)
		return err == nil && os.SameFile(fromFile, toFile), err
	}
	conn, err := migrate.OpenReadOnly(ctx, destination, waitTimeout)
	if err != nil {
		return false, err
	}
	defer conn.Close()
	database := conn.Database()
	defer database.Close()
	lock := rand.Int64()
	err = from.InTx(ctx, func(db storagedb.DBTX, _ func() dbtx.State) error {
		var fromSchema, toSchema string
		if err := db.QueryRow(ctx,
			"SELECT COALESCE(current_schema(), '') FROM (SELECT pg_advisory_xact_lock($1)) AS locked", lock,
		).Scan(&fromSchema); err != nil {
			return err
		}
		var free bool
		if err := database.QueryRowContext(ctx,
			"SELECT pg_try_advisory_lock($1), COALESCE(current_schema(), '')", lock,
		).Scan(&free, &toSchema); err != nil {
			return err
		}
		same = !free && fromSchema == toSchema
		return nil
	})
	return same, err
}

// Transfer copies one database into another.
type Transfer struct {
	from, to  engine.Engine
	toEngine  string // "sqlite" or "postgres"
	run       string // identifies this transfer among others into the same destination
	batchSize int64
	progress  func(Progress)
	source    []Table // the summaries of the source, in the order of carriedTables
}

// New returns a transfer from a source, in batches of at most batchSize rows. progress may be nil.
func New(from engine.Engine, batchSize int64, progress func(Progress)) *Transfer {
	return &Transfer{from: from, run: uuid.NewString(), batchSize: batchSize, progress: progress}
}

func (t *Transfer) report(p Progress) {
	if t.progress != nil {
		t.progress(p)
	}
}

// ReadSource verifies, reads and hashes all of the source. It returns ErrCorrupt if the source is damaged, and an
// *UnfitRowsError if rows do not fit any store.
func (t *Transfer) ReadSource(ctx context.Context) error {
	if err := t.verifySource(ctx); err != nil {
		return err
	}
	rows, err := rowCounts(ctx, t.from)
	if err != nil {
		return err
	}
	var unfit UnfitRowsError
	for _, table := range carriedTables {
		summary, err := table.summary(ctx, t.from, t.batchSize, &unfit, func(read int64) {
			total := 2 * max(read, rows[table.tableName()])
			t.report(Progress{Table: table.tableName(), Done: read, Total: total, Comparing: true})
		})
		if err != nil {
			return err
		}
		t.source = append(t.source, summary)
	}
	err = t.findOrphans(ctx, &unfit)
	if _, ok := errors.AsType[*storagedb.UnreadableError](err); err != nil && !ok { // else the row is among the unfit
		return err
	}
	if unfit.Total > 0 {
		return &unfit
	}
	for _, read := range t.source { // which was read by the primary keys, and misses what an index has lost
		if counted := rows[read.Name]; counted != read.Rows {
			return fmt.Errorf("%w: %s has %d rows, and its primary key %d: "+
				"stop the writers if there are any, or make its indexes anew with REINDEX",
				dberr.ErrCorrupt, read.Name, counted, read.Rows)
		}
	}
	return err
}

// verifySource returns ErrCorrupt if the engine finds its own files damaged.
func (t *Transfer) verifySource(ctx context.Context) error {
	var found []engine.Finding
	err := t.from.CheckStorage(ctx, false, func(f engine.Finding) { found = append(found, f) })
	switch {
	case t.from.IsCorruption(err):
		return fmt.Errorf("%w: %w", dberr.ErrCorrupt, err)
	case err == nil && len(found) > 0:
		return fmt.Errorf("%w: %d problems, the first: %s", dberr.ErrCorrupt, len(found), found[0].Detail)
	}
	return err
}

// findOrphans finds rows without the row that they refer to. The destination's foreign keys would refuse them.
func (t *Transfer) findOrphans(ctx context.Context, unfit *UnfitRowsError) error {
	return t.from.Read(ctx, func(q engine.Queries) error {
		generations, err := q.GenerationsWithoutPrompt(ctx)
		if err != nil {
			return err
		}
		for _, row := range generations {
			unfit.add("generations", row.ID.String(), dberr.Invalid("prompt_id", "names no prompt"))
		}
		failures, err := q.ErrorsWithoutGeneration(ctx)
		for _, row := range failures {
			unfit.add("generation_errors", row.GenerationID.String(), dberr.Invalid("generation_id", "names no generation"))
		}
		return err
	})
}

// Carry copies the rows into the destination, and compares it with the source. toEngine is "sqlite" or "postgres".
func (t *Transfer) Carry(ctx context.Context, to engine.Engine, toEngine string) (Report, error) {
	t.to, t.toEngine = to, toEngine
	marks, err := t.begin(ctx)
	if err != nil {
		return Report{}, err
	}
	for _, table := range carriedTables {
		if err := table.copy(ctx, t, marks[table.tableName()]); err != nil {
			return Report{}, fmt.Errorf("copy %s: %w", table.tableName(), err)
		}
	}
	if err := t.skipPromptIDs(ctx); err != nil {
		return Report{}, fmt.Errorf("set the next prompt ID: %w", err)
	}
	if err := t.compare(ctx); err != nil {
		return Report{}, err
	}
	if err := t.end(ctx); err != nil {
		return Report{}, err
	}
	return Report{Tables: t.source, Resumed: anythingCopied(marks)}, nil
}

// skipPromptIDs makes new prompts of the destination get IDs that no prompt of the source had, not even a deleted one.
func (t *Transfer) skipPromptIDs(ctx context.Context) error {
	var last int64
	if err := t.from.Read(ctx, func(q engine.Queries) (err error) {
		last, err = q.LastPromptID(ctx)
		return err
	}); err != nil {
		return err
	}
	return t.inTurn(ctx, func(q engine.Queries) error {
		known, err := q.LastPromptID(ctx)
		if err != nil {
			return err
		}
		return q.SkipPromptIDs(ctx, max(last, known))
	})
}

// compare reads the destination, and compares it with the summaries of the source.
func (t *Transfer) compare(ctx context.Context) error {
	if err := t.to.Optimize(ctx, false); err != nil {
		return fmt.Errorf("gather statistics: %w", err)
	}
	for i, table := range carriedTables {
		want := t.source[i]
		var unfit UnfitRowsError
		got, err := table.summary(ctx, t.to, t.batchSize, &unfit, func(read int64) {
			done, total := want.Rows+read, want.Rows+max(read, want.Rows)
			t.report(Progress{Table: want.Name, Done: done, Total: total, Comparing: true})
		})
		if err != nil {
			return fmt.Errorf("compare %s: %w", want.Name, err)
		}
		if unfit.Total > 0 {
			return &unfit
		}
		if got != want {
			return &MismatchError{Table: want.Name, Source: want, Destination: got}
		}
	}
	from, err := rowCounts(ctx, t.from)
	if err != nil {
		return err
	}
	to, err := rowCounts(ctx, t.to)
	if err != nil {
		return err
	}
	for _, read := range t.source { // the comparison above does not see rows that were added to the source meanwhile
		if from[read.Name] != read.Rows || to[read.Name] != read.Rows {
			source := Table{Name: read.Name, Rows: from[read.Name], SHA256: read.SHA256}
			destination := Table{Name: read.Name, Rows: to[read.Name], SHA256: read.SHA256}
			return &MismatchError{Table: read.Name, Source: source, Destination: destination}
		}
	}
	var wrong []engine.CountDifference
	if err := t.to.Read(ctx, func(q engine.Queries) (err error) {
		wrong, err = engine.WrongCounts(ctx, q)
		return err
	}); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return &CountsError{Differences: wrong}
	}
	return nil
}

func rowCounts(ctx context.Context, s engine.Engine) (map[string]int64, error) {
	var counts map[string]int64
	err := s.Read(ctx, func(q engine.Queries) (err error) {
		counts, err = rowCountsIn(ctx, q)
		return err
	})
	return counts, err
}

func rowCountsIn(ctx context.Context, q engine.Queries) (map[string]int64, error) {
	counts, err := q.RowCounts(ctx)
	return map[string]int64{
		"prompts": counts.Prompts, "generations": counts.Generations, "generation_errors": counts.GenerationErrors,
		"generation_queue": 1,
	}, err
}

func (e *UnfitRowsError) add(table, key string, err error) {
	e.Total++
	if len(e.Rows) == maxUnfitRows {
		return
	}
	row := UnfitRow{Table: table, Key: key, Field: "row", Problem: err.Error()}
	if refused, ok := errors.AsType[*storagedb.ValidationError](err); ok {
		row.Field, row.Problem = refused.Field, refused.Problem
	}
	e.Rows = append(e.Rows, row)
}

func anythingCopied(marks map[string]mark) bool {
	for _, m := range marks {
		if m.copied > 0 {
			return true
		}
	}
	return false
}
