// Package dberr holds the errors that every room of the store returns, and how long a text may be. It knows no driver.
package dberr

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	"github.com/dgx-music/storage/storagedb"
)

// The errors that callers match with errors.Is. Package store documents each.
var (
	ErrNotFound         = errors.New("not found")
	ErrConflict         = errors.New("exists already")
	ErrBusy             = errors.New("busy")
	ErrLeaseLost        = errors.New("lease lost")
	ErrCancelRequested  = errors.New("cancel requested")
	ErrClosed           = errors.New("closed")
	ErrSchemaOutdated   = errors.New("schema version does not fit")
	ErrNotEmpty         = errors.New("the database is not empty")
	ErrDependentObjects = errors.New("objects that others have added would be dropped, and nothing was changed; " +
		"drop these first, or move them to tables of your own")
	ErrCorrupt = errors.New("the database is damaged: see what Check says, and restore a backup")

	// ErrPythonDatabase matches ErrSchemaOutdated, too.
	ErrPythonDatabase = fmt.Errorf("%w: the database has a table generations or prompts, but no version in "+
		"schema_migrations, as one that the Python service made: store.Migrate, Options.Migrate or dgxstore migrate "+
		"adopts it, and keeps a copy beside it", ErrSchemaOutdated)
)

// Invalid returns a *storagedb.ValidationError for a field, by its SQL name.
func Invalid(field, problem string) error {
	return &storagedb.ValidationError{Field: field, Problem: problem}
}

// NothingChanged returns the error of a call whose context ended before anything was sent to the database.
func NothingChanged(err error) error { return fmt.Errorf("nothing was changed: %w", err) }

// OutcomeUnknown returns the error of a call whose context ended while the database was at work on it.
func OutcomeUnknown(err error) error {
	return fmt.Errorf("it is not known whether this took effect: look before you try again: %w", err)
}

// Classified marks an error that an engine has classified, so that no other room does so again.
func Classified(err error) error { return classified{err} }

// IsClassified reports whether an engine has classified err.
func IsClassified(err error) bool {
	_, ok := errors.AsType[classified](err)
	return ok
}

type classified struct{ error }

func (e classified) Unwrap() error { return e.error }

// The errors of pgx and of modernc's SQLite carry their code by these methods.
type (
	sqlStateError interface {
		error
		SQLState() string
	}
	resultCodeError interface {
		error
		Code() int
	}
)

// Code names an error's kind for the log. A driver's text is left out: it may quote a value.
func Code(err error) string {
	if postgres, ok := errors.AsType[sqlStateError](err); ok {
		return "SQLSTATE " + postgres.SQLState()
	}
	if lite, ok := errors.AsType[resultCodeError](err); ok {
		return fmt.Sprintf("SQLite result code %d", lite.Code())
	}
	if unreadable, ok := errors.AsType[*storagedb.UnreadableError](err); ok {
		return fmt.Sprintf("%s of the row %q cannot be read", unreadable.Column, unreadable.Key)
	}
	for _, known := range []error{
		context.Canceled, context.DeadlineExceeded,
		ErrNotFound, ErrConflict, ErrBusy, ErrLeaseLost, ErrCancelRequested, ErrClosed, ErrSchemaOutdated, ErrNotEmpty,
		ErrDependentObjects, ErrCorrupt,
	} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprintf("%T", err)
}

var checkConstraint = regexp.MustCompile(
	`\b(?:generations|generation_errors|generation_queue|prompts)_([a-z_]+)_check\b`)

// RefusedBySchema returns a *storagedb.ValidationError for a CHECK constraint. Our migrations name each
// <table>_<column>_check, so the text of the name tells the field.
func RefusedBySchema(text string) error {
	field := "row"
	if found := checkConstraint.FindStringSubmatch(text); found != nil {
		field = found[1]
	}
	return Invalid(field, "refused by the schema")
}
