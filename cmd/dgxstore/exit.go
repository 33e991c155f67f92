package main

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/store"
)

// The exit codes, which scripts rely on. The root command's help lists them.
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
	exitInterrupted = 130 // as a shell reports a program that SIGINT has ended
)

const exitCodesHelp = `Exit codes:
  0    done
  1    an error
  2    wrong use: an unknown command or flag, a bad argument
  3    there is no such generation, batch, migration or backup
  4    check has found something, status says that something needs attention
  5    there is no database, or its schema version does not fit: see dgxstore migrate
  6    the database is busy: try again
  7    a question was answered with no, or could not be asked for want of a terminal: see --yes
  8    the data does not allow it: rows that cannot be carried, a destination that is not empty or turns out different
  130  interrupted`

// codedError is an error that brings its exit code along.
type codedError struct {
	code    int
	message string
}

func (e *codedError) Error() string { return e.message }

func usageError(message string) error { return &codedError{exitUsage, message} }

// resumable says how to go on where a long command was interrupted.
func resumable(ctx context.Context, err error, how string) error {
	if ctx.Err() == nil {
		return err
	}
	return &codedError{exitInterrupted, "interrupted; " + how}
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
	}
	return exitError
}
