// Package dbtx wraps the connections that generated code runs on: it logs statements, borrows a connection for each of
// them, guards a transaction, and bounds results. A DBTX is pgx's interface, on both engines.
package dbtx

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/storagedb"
)

// slowStatement is the duration above which a statement is logged as a warning.
const slowStatement = 200 * time.Millisecond

// loggedDB logs each statement with its query name and duration, as the Python service's echo did. It never logs
// values, which may be a user's prompt. A statement lasts until its result is closed.
type loggedDB struct {
	storagedb.DBTX
	logger *slog.Logger
}

// Logged returns db with each statement logged. Without a logger it returns db itself.
func Logged(db storagedb.DBTX, logger *slog.Logger) storagedb.DBTX {
	if logger == nil {
		return db
	}
	return loggedDB{db, logger}
}

func (l loggedDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	start := time.Now()
	tag, err := l.DBTX.Exec(ctx, sql, args...)
	l.log(ctx, sql, start, err)
	return tag, err
}

func (l loggedDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	start := time.Now()
	rows, err := l.DBTX.Query(ctx, sql, args...)
	if err != nil {
		l.log(ctx, sql, start, err)
		return rows, err
	}
	return &watchedRows{Rows: rows, done: func(err error) { l.log(ctx, sql, start, err) }}, nil
}

func (l loggedDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	start := time.Now()
	return &watchedRow{l.DBTX.QueryRow(ctx, sql, args...), func(err error) { l.log(ctx, sql, start, err) }}
}

func (l loggedDB) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource,
) (int64, error) {
	start := time.Now()
	copied, err := l.DBTX.CopyFrom(ctx, table, columns, rows)
	l.log(ctx, "COPY", start, err)
	return copied, err
}

func (l loggedDB) log(ctx context.Context, sql string, start time.Time, err error) {
	took := time.Since(start)
	attributes := []slog.Attr{slog.String("query", queryName(sql)), slog.Duration("duration", took)}
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		// The kind of error alone: a driver's text may quote what was given.
		attributes = append(attributes, slog.String("error", dberr.Code(err)))
	}
	if took >= slowStatement {
		l.logger.LogAttrs(ctx, slog.LevelWarn, "slow statement", attributes...)
		return
	}
	l.logger.LogAttrs(ctx, slog.LevelDebug, "statement", attributes...)
}

// queryName returns the name that sqlc writes before a statement: "-- name: GetGeneration :one". A statement without
// one, such as a user's own, is known by its first word.
func queryName(sql string) string {
	if rest, ok := strings.CutPrefix(sql, "-- name: "); ok {
		name, _, _ := strings.Cut(rest, " ")
		return name
	}
	words := strings.Fields(sql)
	if len(words) == 0 || len(words[0]) > len("SAVEPOINT") ||
		strings.ContainsFunc(words[0], func(r rune) bool { return !unicode.IsLetter(r) }) {
		return "unnamed"
	}
	return words[0]
}
