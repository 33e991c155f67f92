// Package dbtx wraps the connections that generated code runs on: it logs statements, borrows a connection for each of
// them, guards a transaction, and bounds results. A DBTX is pgx's interface, on both engines.
package dbtx

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/storagedb"
)

// slowStatement is the duration above which a statement is logged as a warning.
const slowStatement = 200 * time.Millisecond

// Log collects what is to be logged of the statements of one call, as the Python service's echo did: their query names
// and durations. It never logs values, which may be a user's prompt. A statement lasts until its result is closed.
//
// The user's logger may panic, block or end its goroutine. So it is called by Flush alone, when the call holds no
// connection, no lock and no place in a queue. A nil Log logs nothing.
//
// Locks: mu guards the fields below it. It is never held while the logger is called.
type Log struct {
	logger *slog.Logger

	mu         sync.Mutex
	statements []statement
	dropped    int
	flushed    bool
}

type statement struct {
	ctx        context.Context
	end        time.Time
	name, code string // code is that of the error, if there is one
	took       time.Duration
}

// maxStatements bounds the memory of a long transaction's log.
const maxStatements = 10_000

// NewLog returns a log for one call, or nil without a logger.
func NewLog(logger *slog.Logger) *Log {
	if logger == nil {
		return nil
	}
	return &Log{logger: logger}
}

// Wrap returns db with each statement collected.
func (l *Log) Wrap(db storagedb.DBTX) storagedb.DBTX {
	if l == nil {
		return db
	}
	return loggedDB{db, l}
}

// Flush passes on what was collected. A panic of the logger goes to the caller, unless ctx says that there is none. A
// statement that ends later, because its caller has left it, is logged by itself.
func (l *Log) Flush(ctx context.Context) {
	if l == nil {
		return
	}
	l.mu.Lock()
	statements, dropped := l.statements, l.dropped
	l.statements, l.dropped, l.flushed = nil, 0, true
	l.mu.Unlock()
	if len(statements) == 0 {
		return
	}
	if HasNoCaller(ctx) {
		Apart(func() { l.pass(statements, dropped) })
		return
	}
	l.pass(statements, dropped)
}

func (l *Log) pass(statements []statement, dropped int) {
	for _, s := range statements {
		level, message := slog.LevelDebug, "statement"
		if s.took >= slowStatement {
			level, message = slog.LevelWarn, "slow statement"
		}
		if !l.logger.Enabled(s.ctx, level) {
			continue
		}
		record := slog.NewRecord(s.end, level, message, 0)
		record.AddAttrs(slog.String("query", s.name), slog.Duration("duration", s.took))
		if s.code != "" {
			record.AddAttrs(slog.String("error", s.code))
		}
		_ = l.logger.Handler().Handle(s.ctx, record) // as slog does: nobody could do anything about the error
	}
	if dropped > 0 {
		l.logger.LogAttrs(context.Background(), slog.LevelWarn, "statements of a long call are not in the log",
			slog.Int("count", dropped))
	}
}

func (l *Log) add(ctx context.Context, sql string, start time.Time, err error) {
	s := statement{ctx: ctx, end: time.Now(), name: queryName(sql)}
	s.took = s.end.Sub(start)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		s.code = dberr.Code(err) // the kind of error alone: a driver's text may quote what was given
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.flushed:
		go Apart(func() { l.pass([]statement{s}, 0) })
	case len(l.statements) == maxStatements:
		l.dropped++
	default:
		l.statements = append(l.statements, s)
	}
}

// loggedDB collects each statement for the log.
type loggedDB struct {
	storagedb.DBTX
	log *Log
}

func (l loggedDB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	start := time.Now()
	tag, err := l.DBTX.Exec(ctx, sql, args...)
	l.log.add(ctx, sql, start, err)
	return tag, err
}

func (l loggedDB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	start := time.Now()
	rows, err := l.DBTX.Query(ctx, sql, args...)
	if err != nil {
		l.log.add(ctx, sql, start, err)
		return rows, err
	}
	return &watchedRows{Rows: rows, done: func(err error) { l.log.add(ctx, sql, start, err) }}, nil
}

func (l loggedDB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	start := time.Now()
	return &watchedRow{l.DBTX.QueryRow(ctx, sql, args...), func(err error) { l.log.add(ctx, sql, start, err) }}
}

func (l loggedDB) CopyFrom(
	ctx context.Context, table pgx.Identifier, columns []string, rows pgx.CopyFromSource,
) (int64, error) {
	start := time.Now()
	copied, err := l.DBTX.CopyFrom(ctx, table, columns, rows)
	l.log.add(ctx, "COPY", start, err)
	return copied, err
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
