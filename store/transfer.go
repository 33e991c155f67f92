package store

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
	"github.com/dgx-music/storage/internal/transfer"
)

// TransferOptions of [Transfer]. The zero value is good.
type TransferOptions struct {
	// BatchSize is how many rows of a table are read and written in one transaction, at most 1,000,000. If zero, 5,000.
	// Batches of long rows have fewer, so that memory stays bounded.
	BatchSize int

	// Progress is called after each batch by the goroutine that called Transfer, which waits for it. It may be nil.
	Progress func(TransferProgress)
}

// TransferProgress is how far a [Transfer] has got.
type TransferProgress struct {
	Table string
	// Done is the number of rows copied, including earlier runs; Total is the source's count. Neither decreases. While
	// Comparing is set, Done is the number of rows read, first of the source and later of the destination, and Total
	// counts both.
	Done, Total int64
	// Comparing reports whether rows are read to be compared: those of the source before anything is copied, and those of
	// the destination at the end.
	Comparing bool
}

// TransferReport is what a [Transfer] has carried.
type TransferReport struct {
	Tables  []TransferredTable `json:"tables"`
	Resumed bool               `json:"resumed"` // whether an interrupted run had carried rows before
}

// TransferredTable is a table whose rows are the same in the source and in the destination.
type TransferredTable struct {
	Name   string `json:"name"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // of the rows' values by primary key, in hexadecimal; the same on both engines
}

const (
	defaultTransferBatch = 5000
	maxTransferBatch     = 1_000_000
)

// Transfer carries everything from one database to another, of the same engine or the other: prompts with their IDs,
// generations, their errors, and whether the queue is paused. It reads both URLs as [Options.URL]. The source must be
// at this program's schema version, and is only read. Transfer migrates the destination, and creates a SQLite file that
// does not exist; the destination must have no rows. Until Transfer has returned, nobody may write to the source or use
// the destination.
//
// First it verifies and reads all of the source. If that has rows that no store holds, such as prompts of the Python
// service over 2,000 bytes, it returns an *UnfitRowsError that names them, and has written nothing. Then it copies the
// rows in batches, in constant memory. At the end it reads the destination, and compares the number of rows of each
// table, and a hash of their values that does not depend on the engine. It compares metadata as JSON, and numbers to
// their last digit.
//
// If a Transfer is interrupted, by the end of ctx, a kill or a full disk, call it again with the same databases, and it
// goes on. The destination keeps its progress in a table, transfer_progress, which is dropped at the end.
//
// It returns:
//
//   - ErrCorrupt if SQLite's integrity check fails, or a primary key misses rows. The destination is unchanged then.
//   - ErrNotEmpty if the destination has rows that no interrupted Transfer of the same source has left; it is unchanged
//     then. A source that was written to since is not the same.
//   - a *TransferMismatchError if the comparison finds a difference.
//   - a *ValidationError if both URLs mean the same database, and for bad options.
//   - ErrSchemaOutdated if the source is at another schema version.
//   - ErrBusy if another Transfer into the same destination was started, which takes over.
func Transfer(ctx context.Context, fromURL, toURL string, opts TransferOptions) (TransferReport, error) {
	const doing = "transfer"
	if opts.BatchSize < 0 || opts.BatchSize > maxTransferBatch {
		problem := fmt.Sprintf("is not between 0 and %d", maxTransferBatch)
		return TransferReport{}, describe(doing, dberr.Invalid("batch_size", problem))
	}
	source, err := dburl.Parse(fromURL)
	if err != nil {
		return TransferReport{}, describe(doing, err)
	}
	destination, err := dburl.Parse(toURL)
	if err != nil {
		return TransferReport{}, describe(doing, err)
	}
	if destination.Memory != "" {
		return TransferReport{}, describe(doing, dberr.Invalid("to_url",
			"is a database in memory, which would be gone when Transfer returns"))
	}
	// One goroutine uses each store: it needs neither more connections, each with a cache of its own, nor the server's
	// clock.
	from, err := open(ctx, Options{URL: fromURL, MaxConns: 1, Now: time.Now}, true)
	if err != nil {
		return TransferReport{}, err
	}
	defer from.Close()
	if err := transfer.CheckDestination(ctx, from.engine, source, destination); err != nil {
		return TransferReport{}, describe(doing, err)
	}
	t := transfer.New(from.engine, int64(cmp.Or(opts.BatchSize, defaultTransferBatch)), func(p transfer.Progress) {
		if opts.Progress != nil {
			opts.Progress(TransferProgress(p))
		}
	})
	if err := t.ReadSource(ctx); err != nil {
		return TransferReport{}, describe("transfer: read the source", err)
	}
	to, err := open(ctx, Options{URL: toURL, Migrate: true, MaxConns: 1, Now: time.Now}, false)
	if err != nil {
		return TransferReport{}, err
	}
	defer to.Close()
	report, err := t.Carry(ctx, to.engine, destination.Engine)
	if err != nil {
		return TransferReport{}, describe(doing, err)
	}
	public := TransferReport{Resumed: report.Resumed}
	for _, table := range report.Tables {
		public.Tables = append(public.Tables, TransferredTable(table))
	}
	return public, nil
}

// TransferMismatchError is returned if a table differs between the source and the destination: another process has
// written to one of them meanwhile. The rows stay in the destination, and so does transfer_progress. To call Transfer
// again does not help: stop the writers, empty the destination with [Reset], and transfer everything again. Match it
// with errors.As.
type TransferMismatchError struct {
	Table               string
	Source, Destination TransferredTable
}

func (e *TransferMismatchError) Error() string {
	return fmt.Sprintf("%s differs: the source had %d rows with the hash %s, the destination has %d with %s; "+
		"somebody has written to one of them meanwhile: "+
		"stop the writers, empty the destination with store.Reset, and transfer again",
		e.Table, e.Source.Rows, e.Source.SHA256, e.Destination.Rows, e.Destination.SHA256)
}

// UnfitRowsError says which rows of a source no store holds. Nothing was written. Shorten, correct or delete them in
// the source. Match it with errors.As.
type UnfitRowsError struct {
	Rows  []UnfitRow // the first 100
	Total int64      // the number of all; of rows that refer to nothing, at most 100 of a table count
}

// UnfitRow is a row that no store holds.
type UnfitRow struct {
	Table   string
	Key     string // the ID of the prompt or the generation; of an error the generation's, a slash and the attempt
	Field   string // the column
	Problem string // what is wrong with it; never the value itself
}

// shownUnfitRows is how many rows the text of an UnfitRowsError has.
const shownUnfitRows = 10

func newUnfitRowsError(e *transfer.UnfitRowsError) *UnfitRowsError {
	public := &UnfitRowsError{Total: e.Total}
	for _, row := range e.Rows {
		public.Rows = append(public.Rows, UnfitRow(row))
	}
	return public
}

func (e *UnfitRowsError) Error() string {
	var rows []string
	for _, row := range e.Rows[:min(len(e.Rows), shownUnfitRows)] {
		rows = append(rows, fmt.Sprintf("%s %s: %s %s", row.Table, row.Key, row.Field, row.Problem))
	}
	more := ""
	if e.Total > int64(len(rows)) {
		more = fmt.Sprintf("; and %d more", e.Total-int64(len(rows)))
	}
	return fmt.Sprintf("%d rows cannot be carried, mend or delete them in the source: %s%s",
		e.Total, strings.Join(rows, "; "), more)
}
