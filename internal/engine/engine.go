// Package engine is the contract that an engine fulfils. Whatever the engines do alike is said once, in the shared
// queries and in the rooms above; this package is the list of their true differences.
package engine

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dbtx"
	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
)

// Engine is an open database.
type Engine interface {
	Session
	Maintainer

	// InTx runs fn in a transaction on a connection of its own. state reports how the transaction stands.
	InTx(ctx context.Context, fn func(db storagedb.DBTX, state func() dbtx.State) error) error
	// Queries returns the statements of one connection.
	Queries(db storagedb.DBTX) Queries
	// DB is for a user's own queries.
	DB() storagedb.DBTX
	Ping(ctx context.Context) error
	Close()
}

// Queries are the statements of one connection: the shared ones, and those that each engine says in its own words.
type Queries struct {
	*storagedb.Queries
	Dialect
	DB storagedb.DBTX // for statements that sqlc does not know
}

// Session runs statements: a store's on connections that the engine chooses, a transaction's on its one connection.
type Session interface {
	// Read runs fn on a connection that sees all that was committed before.
	Read(ctx context.Context, fn func(Queries) error) error
	// ReadStale runs fn on a connection that may miss recent commits: that of a replica, if there is one.
	ReadStale(ctx context.Context, fn func(Queries) error) error
	// Write runs fn, which writes as mode says.
	Write(ctx context.Context, mode Mode, fn func(Queries) error) error

	// The writes that many callers make at once, each of one row. An engine may run those of several callers together.
	// They return pgx.ErrNoRows, and have changed nothing, if the generation does not exist or its status or its claim
	// does not allow the change.
	CreateGeneration(ctx context.Context, creation Creation) (storagedb.Generation, error)
	TrackPrompt(ctx context.Context, text string) (storagedb.Prompt, error)
	CompleteGeneration(ctx context.Context, completion Completion) (storagedb.Generation, error)
	FailGeneration(ctx context.Context, failure Failure) (storagedb.Generation, error)
	ExtendLease(ctx context.Context, extension Extension) (storagedb.Generation, error)
	ReportProgress(ctx context.Context, report Report) error

	// Notify wakes those who wait for work, in all processes. In a transaction it does so after the commit.
	Notify()
	// Notified returns a channel that the next notification closes. It is nil in a transaction, in which nobody waits.
	Notified() <-chan struct{}
}

// Mode says what the function of a Write does, and what it is promised.
type Mode int

const (
	// Statement is for one statement that changes few rows. It takes effect whole or not at all. The engine may commit it
	// together with the writes of other callers. If it does, the end of the context does not cut the function off once it
	// runs: that would end the transaction of the others. Write then returns before the function does, so that Returning
	// must read what it sets.
	Statement Mode = iota
	// Operation is for one call of Queries that changes few rows, by one or several statements. It takes effect whole or
	// not at all, and leaves a transaction around it usable if it fails. Otherwise it is like Statement.
	Operation
	// Bulk is for one call of Queries that changes any number of rows. It takes effect whole or not at all. The end of the
	// context cuts it off.
	Bulk
	// Transaction is for any number of calls, which run in one transaction and see its changes. An error of the function
	// rolls all of it back. The end of the context cuts it off.
	Transaction
)

// Dialect is the list of what the engines say differently in SQL, on one connection. Whatever is not in it is said
// once, in the shared queries. Each line has its reason.
type Dialect interface {
	listing.Finder

	// PostgreSQL: one statement with arrays, which saves round trips. SQLite has no INSERT inside WITH, and a round trip
	// costs it nothing: it counts the prompts one by one, and copies the rows.
	CreateGenerations(ctx context.Context, creations []Creation, now time.Time) ([]storagedb.Generation, error)
	// PostgreSQL merges metadata by JSONB's ||. SQLite's json_patch means something else; see its query.
	CompleteGeneration(ctx context.Context, completion Completion, now time.Time) (storagedb.Generation, error)
	// It returns the completed ones; the others are unchanged. SQLite runs one statement for each.
	CompleteGenerations(ctx context.Context, completions []Completion, now time.Time) ([]storagedb.Generation, error)
	MergeMetadata(ctx context.Context, id uuid.UUID, patch storagedb.Metadata) (storagedb.Generation, error)
	// PostgreSQL's workers pass by each other with SKIP LOCKED; SQLite has one writer. The result is in claim order.
	ClaimGenerations(ctx context.Context, claim Claim, now time.Time) ([]storagedb.Generation, error)
	// A failure changes two tables: one statement on PostgreSQL, two on SQLite, which has no INSERT inside WITH.
	FailGeneration(ctx context.Context, failure Failure, now time.Time) (storagedb.Generation, error)
	RescueGenerations(ctx context.Context, limit int64, now time.Time) ([]storagedb.Generation, error)
	// Full-text search is each engine's own: FTS5, and PostgreSQL's text search types.
	SearchPrompts(ctx context.Context, search PromptSearch) ([]PromptHit, error)
	// PostgreSQL cuts a day from a time by to_char, SQLite from a text.
	DailyUsage(ctx context.Context, from, to time.Time) ([]DayUsage, error)
	// LastPromptID is the highest ID that a prompt has ever had, or 0. SkipPromptIDs lets new ones begin after upTo, which
	// must not be below the highest ID. PostgreSQL keeps it in a sequence, SQLite in a table of its own.
	LastPromptID(ctx context.Context) (int64, error)
	SkipPromptIDs(ctx context.Context, upTo int64) error

	Maintenance
}
