package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/postgres"
	"github.com/dgx-music/storage/internal/pythondb"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/internal/transfer"
)

// Match these with errors.Is. If a driver returned the error, its own one is in the same chain, for errors.As: a
// *pgconn.PgError or modernc's *sqlite.Error.
var (
	// ErrNotFound is returned if there is no such row.
	ErrNotFound = dberr.ErrNotFound
	// ErrConflict is returned if a row with this ID exists already. A caller that gave the ID, and was cut off before the
	// answer came, learns from it that the first call succeeded.
	ErrConflict = dberr.ErrConflict
	// ErrBusy is returned if a lock, the writer or a connection was not available within Options.BusyTimeout, or if the
	// database ended the call to break a deadlock. Nothing was changed; try again.
	ErrBusy = dberr.ErrBusy
	// ErrLeaseLost is returned if the given attempt does not hold the generation. Drop the work.
	ErrLeaseLost = dberr.ErrLeaseLost
	// ErrCancelRequested is returned to a worker if a caller wants the generation stopped.
	ErrCancelRequested = dberr.ErrCancelRequested
	// ErrClosed is returned if the Store is closed, or if a Tx is used after its InTx has returned.
	ErrClosed = dberr.ErrClosed
	// ErrSchemaOutdated is returned if the database's schema version is not the one that this program was built for. The
	// text has both versions and the remedy.
	ErrSchemaOutdated = dberr.ErrSchemaOutdated
	// ErrNotEmpty is returned if a database that was to be filled has rows. Nothing was changed. Name another database, or
	// empty this one with [Reset].
	ErrNotEmpty = dberr.ErrNotEmpty
	// ErrDependentObjects is returned if [Migrate], [Rollback] or [Reset] would drop what a user has added to the store's
	// tables: a column, an index, a trigger, a view. The text names each. Nothing was changed.
	ErrDependentObjects = dberr.ErrDependentObjects
	// ErrCorrupt is returned if the database is damaged. [Store.Check] says where. Restore a backup, or try .recover.
	ErrCorrupt = dberr.ErrCorrupt
	// ErrPythonDatabase is returned for a database of the Python service. It matches [ErrSchemaOutdated], too. [Migrate]
	// adopts the database.
	ErrPythonDatabase = dberr.ErrPythonDatabase
)

// TransitionError is returned if a generation's status does not allow the change. Nothing was changed. Match it with
// errors.As.
//
// The allowed changes are: pending to processing, completed, failed and cancelled; processing to completed, failed,
// cancelled and pending; failed and cancelled to pending.
type TransitionError struct {
	ID       uuid.UUID
	From, To Status
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("generation %s is %s and cannot become %s", e.ID, e.From, e.To)
}

// describe says what the store was doing when err occurred, and puts the store's own error before a driver's.
func describe(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", doing, classify(err))
}

func classify(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, ErrBusy), errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound), errors.Is(err, ErrClosed):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	}
	return public(sqliteconn.Classify(postgres.Classify(err)))
}

// public replaces the error of an inner room by the documented one.
func public(err error) error {
	if e, ok := errors.AsType[*pythondb.Error](err); ok {
		return newAdoptionError(e)
	}
	if e, ok := errors.AsType[*transfer.MismatchError](err); ok {
		return &TransferMismatchError{
			Table: e.Table, Source: TransferredTable(e.Source), Destination: TransferredTable(e.Destination),
		}
	}
	if e, ok := errors.AsType[*transfer.UnfitRowsError](err); ok {
		return newUnfitRowsError(e)
	}
	if e, ok := errors.AsType[*transfer.CountsError](err); ok {
		return newCountsError(e.Differences)
	}
	return err
}
