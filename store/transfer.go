package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbutil"
	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// TransferOptions of [Transfer]. The zero value is good.
type TransferOptions struct {
	// BatchSize is how many rows of a table are read and written together, in one transaction, at most 1,000,000; 0: 5,000.
	// Batches of long rows have fewer, so that memory stays bounded.
	BatchSize int

	// Progress is called behind each batch, by the goroutine that called Transfer, which waits for it; nil: no word.
	Progress func(TransferProgress)
}

// TransferProgress is how far a [Transfer] is.
type TransferProgress struct {
	Table string
	// Rows of the table. While rows are copied: those that are there, with those of earlier, interrupted runs, and all of the
	// source. While they are compared: those that were read, first of the source and later of the destination, and all of
	// both. Neither ever falls.
	Done, Total int64
	// Comparing tells that rows are read to be compared: those of the source before anything is copied, and those of the
	// destination at the end. Otherwise rows are copied.
	Comparing bool
}

// TransferReport is what a [Transfer] has carried.
type TransferReport struct {
	Tables  []TransferredTable `json:"tables"`
	Resumed bool               `json:"resumed"` // whether rows were there that an interrupted run had carried
}

// TransferredTable is a table whose rows are the same in the source and in the destination.
type TransferredTable struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // of the rows' values in the order of the primary key, in hexadecimal; the same on both engines
}

const (
	defaultTransferBatch = 5000
	maxTransferBatch     = 1_000_000
)

// Transfer carries everything from one database to another, of the same engine or the other: prompts with their IDs,
// generations, their errors, and whether the queue is paused. Both URLs are read as [Options.URL] is. The source must be at
// this program's schema version, and is only read. The destination is migrated, and created where it is a SQLite file that is
// not there; it must have no rows. Nobody may write to the source meanwhile, nor use the destination, until Transfer has
// returned.
//
// First all of the source is read, and what no store holds is found, such as prompts of the Python service over 2,000 bytes:
// an *UnfitRowsError names the rows, and nothing has been written. Then the rows are copied in batches, in constant memory. At
// the end the destination is read back and compared, by the number of rows of each table and by a hash of their values that
// does not depend on the engine. Metadata is compared as JSON, numbers to their last digit.
//
// A Transfer that was interrupted, by the end of ctx, a kill or a full disk, goes on where it was when it is called again with
// the same databases. How far it is stands in a table of the destination, transfer_progress, which is gone at the end.
//
// It returns ErrNotEmpty, and leaves the destination as it is, where that has rows which no interrupted Transfer of the same
// source has left there; a source that was written to since is not the same. It returns a *TransferMismatchError where the
// comparison finds a difference: somebody has written to the source or to the destination meanwhile. It returns a
// *ValidationError where both URLs mean the same database, and for options that make no sense; ErrSchemaOutdated where the
// source is at another schema version; ErrBusy where another Transfer was started into the same destination, which goes on in
// place of this one.
func Transfer(ctx context.Context, fromURL, toURL string, opts TransferOptions) (TransferReport, error) {
	if opts.BatchSize < 0 || opts.BatchSize > maxTransferBatch {
		return TransferReport{}, invalid("batch_size", fmt.Sprintf("is not between 0 and %d", maxTransferBatch))
	}
	source, err := parseURL(fromURL)
	if err != nil {
		return TransferReport{}, err
	}
	destination, err := parseURL(toURL)
	if err != nil {
		return TransferReport{}, err
	}
	if destination.memory != "" {
		return TransferReport{}, invalid("to_url", "is a database in memory, which would be gone when Transfer returns")
	}
	from, err := openForTransfer(ctx, Options{URL: fromURL, readOnly: true})
	if err != nil {
		return TransferReport{}, err
	}
	defer from.Close()
	if err := checkDestination(ctx, from, source, destination); err != nil {
		return TransferReport{}, describe("transfer", err)
	}
	t := &transfer{
		from: from, engine: destination.engine, run: uuid.NewString(),
		batchSize: int64(cmp.Or(opts.BatchSize, defaultTransferBatch)), progress: opts.Progress,
	}
	if err := t.readSource(ctx); err != nil {
		return TransferReport{}, describe("transfer: read the source", err)
	}
	if t.to, err = openForTransfer(ctx, Options{URL: toURL, Migrate: true}); err != nil {
		return TransferReport{}, err
	}
	defer t.to.Close()
	report, err := t.carry(ctx)
	return report, describe("transfer", err)
}

// openForTransfer opens a store for one goroutine, which needs neither more connections, each with a cache of its own, nor
// the server's clock.
func openForTransfer(ctx context.Context, opts Options) (*Store, error) {
	opts.MaxConns, opts.Now = 1, time.Now
	return Open(ctx, opts)
}

// checkDestination refuses a destination before anything of it is changed, its schema included.
func checkDestination(ctx context.Context, from *Store, source, destination target) error {
	if destination.path != "" {
		switch _, err := os.Stat(destination.path); {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it will be made
		case err != nil:
			return err
		}
	}
	same, err := isSameDatabase(ctx, from, source, destination)
	if err != nil {
		return err
	}
	if same {
		return invalid("to_url", "means the same database as from_url")
	}
	conn, err := openToLook(ctx, destination, defaultBusyTimeout)
	if err != nil {
		return err
	}
	defer conn.close()
	if found, err := conn.tableExists(progressTable); err != nil || found {
		return err // whether it is that of this source is looked at when the source has been read
	}
	for _, table := range []string{"prompts", "generations"} { // nothing else has rows without them
		if found, err := conn.tableExists(table); err != nil {
			return err
		} else if !found {
			continue
		}
		database := conn.database()
		rows, err := dbutil.QueryColumn(database, "SELECT 1 FROM "+table+" LIMIT 1")
		database.Close()
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			return notEmpty("it has rows in " + table + " that no interrupted transfer has left there")
		}
	}
	return nil
}

func notEmpty(why string) error {
	return fmt.Errorf("%w: %s: name another destination, or, where ALL DATA in it may be lost, empty it with store.Reset", ErrNotEmpty, why)
}

// isSameDatabase asks the file system, or the server: a PostgreSQL database has many names, and a lock that is taken in it
// by a number drawn for this is held in no other. Schemas of one database are as good as databases.
func isSameDatabase(ctx context.Context, from *Store, source, destination target) (same bool, err error) {
	if source.engine != destination.engine {
		return false, nil
	}
	if source.engine == "sqlite" {
		fromFile, err := os.Stat(source.path)
		if err != nil {
			return false, err
		}
		toFile, err := os.Stat(destination.path)
		return err == nil && os.SameFile(fromFile, toFile), err
	}
	conn, err := openToLook(ctx, destination, defaultBusyTimeout)
	if err != nil {
		return false, err
	}
	defer conn.close()
	database := conn.database()
	defer database.Close()
	lock := rand.Int64()
	err = from.engine.inTx(ctx, func(db storagedb.DBTX, _ func() txState) error {
		var fromSchema, toSchema string
		if err := db.QueryRow(ctx, "SELECT COALESCE(current_schema(), '') FROM (SELECT pg_advisory_xact_lock($1)) AS locked", lock).Scan(&fromSchema); err != nil {
			return err
		}
		var free bool
		if err := database.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1), COALESCE(current_schema(), '')", lock).Scan(&free, &toSchema); err != nil {
			return err
		}
		same = !free && fromSchema == toSchema
		return nil
	})
	return same, err
}

// transfer is a Transfer on its way.
type transfer struct {
	from, to  *Store
	engine    string // of the destination
	run       string // tells this one from others into the same destination
	batchSize int64
	progress  func(TransferProgress)
	source    []TransferredTable // what the source has, in the order of carriedTables
}

func (t *transfer) say(p TransferProgress) {
	if t.progress != nil {
		t.progress(p)
	}
}

// readSource finds out what there is to carry, and that any store can hold it.
func (t *transfer) readSource(ctx context.Context) error {
	rows, err := rowCounts(ctx, t.from)
	if err != nil {
		return err
	}
	var unfit UnfitRowsError
	for _, table := range carriedTables {
		summary, err := table.summary(ctx, t.from, t.batchSize, &unfit, func(read int64) {
			t.say(TransferProgress{Table: table.tableName(), Done: read, Total: 2 * max(read, rows[table.tableName()]), Comparing: true})
		})
		if err != nil {
			return err
		}
		t.source = append(t.source, summary)
	}
	if err := t.findOrphans(ctx, &unfit); err != nil {
		return err
	}
	if unfit.Total > 0 {
		return &unfit
	}
	return nil
}

// findOrphans finds rows that refer to nothing, which the destination's foreign keys would refuse.
func (t *transfer) findOrphans(ctx context.Context, unfit *UnfitRowsError) error {
	return t.from.engine.read(ctx, func(db storagedb.DBTX) error {
		generations, err := storagedb.New(db).GenerationsWithoutPrompt(ctx)
		if err != nil {
			return err
		}
		for _, row := range generations {
			unfit.add("generations", row.ID.String(), invalid("prompt_id", "names no prompt"))
		}
		ofGenerations, err := storagedb.New(db).ErrorsWithoutGeneration(ctx)
		for _, row := range ofGenerations {
			unfit.add("generation_errors", row.GenerationID.String(), invalid("generation_id", "names no generation"))
		}
		return err
	})
}

func (t *transfer) carry(ctx context.Context) (TransferReport, error) {
	marks, err := t.begin(ctx)
	if err != nil {
		return TransferReport{}, err
	}
	for _, table := range carriedTables {
		if err := table.copy(ctx, t, marks[table.tableName()]); err != nil {
			return TransferReport{}, fmt.Errorf("copy %s: %w", table.tableName(), err)
		}
	}
	if err := t.skipPromptIDs(ctx); err != nil {
		return TransferReport{}, fmt.Errorf("carry the counter of prompt IDs: %w", err)
	}
	if err := t.compare(ctx); err != nil {
		return TransferReport{}, err
	}
	if err := t.end(ctx); err != nil {
		return TransferReport{}, err
	}
	return TransferReport{Tables: t.source, Resumed: anythingCopied(marks)}, nil
}

// skipPromptIDs sees to it that no prompt gets an ID which another had in the source, one that was deleted included.
func (t *transfer) skipPromptIDs(ctx context.Context) error {
	var last int64
	if err := t.from.engine.read(ctx, func(db storagedb.DBTX) (err error) {
		last, err = t.from.dialect.lastPromptID(ctx, db)
		return err
	}); err != nil {
		return err
	}
	return t.inTurn(ctx, func(db storagedb.DBTX) error {
		known, err := t.to.dialect.lastPromptID(ctx, db)
		if err != nil {
			return err
		}
		return t.to.dialect.skipPromptIDs(ctx, db, max(last, known))
	})
}

// compare reads the destination back.
func (t *transfer) compare(ctx context.Context) error {
	if err := t.to.engine.optimize(ctx, OptimizeParams{}); err != nil {
		return fmt.Errorf("gather statistics: %w", err)
	}
	for i, table := range carriedTables {
		want := t.source[i]
		var unfit UnfitRowsError
		got, err := table.summary(ctx, t.to, t.batchSize, &unfit, func(read int64) {
			t.say(TransferProgress{Table: want.Name, Done: want.Rows + read, Total: want.Rows + max(read, want.Rows), Comparing: true})
		})
		if err != nil {
			return fmt.Errorf("compare %s: %w", want.Name, err)
		}
		if unfit.Total > 0 {
			return &unfit
		}
		if got != want {
			return &TransferMismatchError{Table: want.Name, Source: want, Destination: got}
		}
	}
	now, err := rowCounts(ctx, t.from)
	if err != nil {
		return err
	}
	for _, read := range t.source { // behind the place up to which it was copied the comparison sees nothing
		if now[read.Name] != read.Rows {
			return &TransferMismatchError{Table: read.Name, Source: TransferredTable{Name: read.Name, Rows: now[read.Name]}, Destination: read}
		}
	}
	return t.to.CheckCounts(ctx)
}

func rowCounts(ctx context.Context, s *Store) (map[string]int64, error) {
	var counts map[string]int64
	err := s.engine.read(ctx, func(db storagedb.DBTX) (err error) {
		counts, err = rowCountsIn(ctx, db)
		return err
	})
	return counts, err
}

func rowCountsIn(ctx context.Context, db storagedb.DBTX) (map[string]int64, error) {
	counts, err := storagedb.New(db).RowCounts(ctx)
	return map[string]int64{
		"prompts": counts.Prompts, "generations": counts.Generations, "generation_errors": counts.GenerationErrors, "generation_queue": 1,
	}, err
}

// TransferMismatchError says that a table is not the same in the source and in the destination: somebody has written to one
// of them meanwhile. The rows stay in the destination, and so does transfer_progress. To call Transfer again does not mend
// it: stop whoever writes, empty the destination with [Reset], and transfer everything again. Match it with errors.As.
type TransferMismatchError struct {
	Table               string
	Source, Destination TransferredTable
}

func (e *TransferMismatchError) Error() string {
	return fmt.Sprintf("%s differs: the source had %d rows with the hash %s, the destination has %d with %s; somebody has written to one of them meanwhile: stop the writers, empty the destination with store.Reset, and transfer again",
		e.Table, e.Source.Rows, e.Source.SHA256, e.Destination.Rows, e.Destination.SHA256)
}

// UnfitRowsError says which rows of a source no store holds, before anything was written. Shorten, mend or delete them in the
// source. Match it with errors.As.
type UnfitRowsError struct {
	Rows  []UnfitRow // the first 100
	Total int64      // how many there are; of those that refer to nothing, 100 of a table count
}

// UnfitRow is a row that no store holds.
type UnfitRow struct {
	Table   string
	Key     string // the ID of the prompt or the generation; of an error the generation's, a slash and the attempt
	Field   string // the column
	Problem string // what is wrong with it; never the value itself
}

const (
	maxUnfitRows      = 100
	unfitRowsInString = 10
)

func (e *UnfitRowsError) Error() string {
	var rows []string
	for _, row := range e.Rows[:min(len(e.Rows), unfitRowsInString)] {
		rows = append(rows, fmt.Sprintf("%s %s: %s %s", row.Table, row.Key, row.Field, row.Problem))
	}
	more := ""
	if e.Total > int64(len(rows)) {
		more = fmt.Sprintf("; and %d more", e.Total-int64(len(rows)))
	}
	return fmt.Sprintf("%d rows cannot be carried, mend or delete them in the source: %s%s", e.Total, strings.Join(rows, "; "), more)
}

func (e *UnfitRowsError) add(table, key string, err error) {
	e.Total++
	if len(e.Rows) == maxUnfitRows {
		return
	}
	row := UnfitRow{Table: table, Key: key, Field: "row", Problem: err.Error()}
	if refused, ok := errors.AsType[*ValidationError](err); ok {
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
