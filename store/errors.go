package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/storagedb"
)

// Match these with errors.Is. The driver's own error, where there is one, is in the same chain: a *pgconn.PgError or a
// *sqlite.Error, for errors.As.
var (
	// ErrNotFound says that there is no such row.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that a row with this ID exists already. Who gave the ID and was cut off before the answer came
	// learns from it that the first call had gone through.
	ErrConflict = errors.New("exists already")
	// ErrBusy says that a lock, the writer or a connection was not to be had within Options.BusyTimeout, or that the
	// database broke up a deadlock. Nothing was changed; try again.
	ErrBusy = errors.New("busy")
	// ErrLeaseLost says that the attempt given is not the one that holds the generation. Drop the work.
	ErrLeaseLost = errors.New("lease lost")
	// ErrCancelRequested says that somebody wants the generation stopped.
	ErrCancelRequested = errors.New("cancel requested")
	// ErrClosed says that the Store was closed, or that a Tx was used after its InTx had returned.
	ErrClosed = errors.New("closed")
	// ErrSchemaOutdated says that the database's schema version is not the one that this program was built for. The text
	// gives both, and tells what to do.
	ErrSchemaOutdated = errors.New("schema version does not fit")
	// ErrNotEmpty says that a database which was to be filled has rows that are not to be mixed with others. Nothing was
	// changed. Name another one, or empty it with [Reset].
	ErrNotEmpty = errors.New("the database is not empty")
)

// ValidationError says which field was refused and why, before anything reached the database. Match it with errors.As.
type ValidationError = storagedb.ValidationError

// TransitionError says that a generation's status does not allow what was asked. Match it with errors.As.
//
// Legal are: pending to processing, completed, failed and cancelled; processing to completed, failed, cancelled and
// pending; failed and cancelled to pending.
type TransitionError struct {
	ID       uuid.UUID
	From, To Status
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("generation %s is %s and cannot become %s", e.ID, e.From, e.To)
}

// describe says what was being done when err came up, and classifies err.
func describe(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", doing, classify(err))
}

// classify puts the matching error of this package before a driver's error, by its code.
func classify(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, ErrBusy), errors.Is(err, ErrConflict), errors.Is(err, ErrNotFound), errors.Is(err, ErrClosed):
		return err
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	}
	if postgres, ok := errors.AsType[*pgconn.PgError](err); ok {
		return classifyPostgres(postgres, err)
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return classifySQLite(lite, err)
	}
	return err
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
func classifyPostgres(postgres *pgconn.PgError, err error) error {
	switch postgres.Code {
	case "23505": // unique_violation
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case "23514": // check_violation
		return fmt.Errorf("%w: %w", refusedBySchema(postgres.ConstraintName), err)
	case "55P03": // lock_not_available: our lock_timeout
		return fmt.Errorf("%w: another transaction holds the row; inside InTx use the tx, not the store: %w", ErrBusy, err)
	case "40001", "40P01", "53300": // serialization_failure, deadlock_detected, too_many_connections
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case "53100": // disk_full
		return fmt.Errorf("the server's disk is full; this has changed nothing; make room and try again: %w", err)
	case "3D000": // invalid_catalog_name
		return fmt.Errorf("the PostgreSQL database does not exist, create it with createdb or make db-init: %w", err)
	}
	return err
}

// https://www.sqlite.org/rescode.html
func classifySQLite(lite *sqlite.Error, err error) error {
	switch lite.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return fmt.Errorf("%w: %w", ErrConflict, err)
	case sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_CONSTRAINT_TRIGGER:
		// The code says what it is; SQLite gives the constraint's name in the text alone.
		return fmt.Errorf("%w: %w", refusedBySchema(lite.Error()), err)
	}
	switch lite.Code() & 0xff { // the primary code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w", ErrBusy, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("this is not a SQLite database: %w", err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("the database file and its folder must be readable and writable for this user: %w", err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full; this has changed nothing; make room and try again: %w", err)
	}
	return err
}

var checkConstraint = regexp.MustCompile(`\b(?:generations|generation_errors|generation_queue|prompts)_([a-z_]+)_check\b`)

// refusedBySchema reads the field out of <table>_<column>_check, the form that our migrations keep to.
func refusedBySchema(text string) error {
	field := "row"
	if found := checkConstraint.FindStringSubmatch(text); found != nil {
		field = found[1]
	}
	return &ValidationError{Field: field, Problem: "refused by the schema"}
}

// errorCode names an error's kind for the log, without its text.
func errorCode(err error) string {
	if postgres, ok := errors.AsType[*pgconn.PgError](err); ok {
		return "SQLSTATE " + postgres.Code
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		return fmt.Sprintf("SQLite result code %d", lite.Code())
	}
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded,
		ErrNotFound, ErrConflict, ErrBusy, ErrLeaseLost, ErrCancelRequested, ErrClosed, ErrSchemaOutdated, ErrNotEmpty,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprintf("%T", err)
}
