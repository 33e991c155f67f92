package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/store"
)

// The exit codes. Scripts rely on them, and the root command's help lists them.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitAttention   = 4
	exitSchema      = 5
	exitBusy        = 6
	exitDeclined    = 7
	exitData        = 8
	exitInterrupted = 130 // a shell reports this after SIGINT
)

const exitCodesHelp = `Exit codes:
  0    done
  1    an error
  2    wrong use: an unknown command or flag, or a bad argument
  3    not found: no such generation, batch, migration or backup
  4    check has findings, or status shows something that needs attention
  5    no database, or its schema version does not fit: see dgxstore migrate
  6    the database is busy: try again
  7    not confirmed: the answer was no, or there is no terminal: see --yes
  8    the data does not fit: rows are refused, the destination is not empty, the copy
       differs, the database is damaged, or others have added to its tables
  130  interrupted`

// codedError is an error with an exit code of its own.
type codedError struct {
	code    int
	message string
}

func (e *codedError) Error() string { return e.message }

func usageError(message string) error { return &codedError{exitUsage, message} }

// resumable returns err. If the command was interrupted, it returns an error with a hint on how to continue instead.
func resumable(ctx context.Context, err error, hint string) error {
	if ctx.Err() == nil {
		return err
	}
	return &codedError{exitInterrupted, "interrupted; " + hint}
}

func exitCode(err error) int {
	if err == nil {
		return exitDone
	}
	if coded, ok := errors.AsType[*codedError](err); ok {
		return coded.code
	}
	if _, ok := errors.AsType[*store.ValidationError](err); ok {
		return exitUsage
	}
	if postgres, ok := errors.AsType[*pgconn.PgError](err); ok && postgres.Code == "3D000" { // invalid_catalog_name
		return exitSchema
	}
	if _, problems := problemsOf(err); len(problems) > 0 {
		return exitData
	}
	switch {
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.Is(err, store.ErrSchemaOutdated):
		return exitSchema
	case errors.Is(err, store.ErrNotFound):
		return exitNotFound
	case errors.Is(err, store.ErrBusy):
		return exitBusy
	case errors.Is(err, store.ErrCorrupt), errors.Is(err, store.ErrDependentObjects):
		return exitData
	}
	return exitError
}
