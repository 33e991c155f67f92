package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
	"github.com/dgx-music/storage/storagedb/sqlitedb"
)

// dialect is the list of what the engines say differently in SQL. Whatever is not in it is said once, in the shared
// queries. Each new line needs a reason, which stands beside it.
type dialect interface {
	finder
	// One statement with arrays on PostgreSQL, which saves round trips; SQLite has no INSERT inside WITH, and a
	// round trip costs it nothing: it counts the prompts one by one, and copies the rows.
	createGenerations(ctx context.Context, db storagedb.DBTX, rows []CreateGenerationParams, now time.Time) ([]Generation, error)
	// Metadata is merged by JSONB's || on PostgreSQL. SQLite's json_patch means something else; see its query.
	completeGeneration(ctx context.Context, db storagedb.DBTX, id uuid.UUID, params CompleteGenerationParams, now time.Time) (Generation, error)
	// Those whose IDs it returns are completed; of the others none. On SQLite a statement for each costs no round trip.
	completeGenerations(ctx context.Context, db storagedb.DBTX, completions []Completion, now time.Time) ([]Generation, error)
	mergeMetadata(ctx context.Context, db storagedb.DBTX, id uuid.UUID, patch Metadata) (Generation, error)
	// Workers pass by each other with SKIP LOCKED on PostgreSQL; SQLite has one writer. The generations come in claim order.
	claimGenerations(ctx context.Context, db storagedb.DBTX, params ClaimParams, now time.Time) ([]Generation, error)
	// A failure changes two tables: one statement on PostgreSQL, two on SQLite, which has no INSERT inside WITH.
	failGeneration(ctx context.Context, db storagedb.DBTX, id uuid.UUID, params FailGenerationParams, now, retryAt time.Time) (Generation, error)
	rescueGenerations(ctx context.Context, db storagedb.DBTX, limit int, now time.Time) ([]Generation, error)
	// Full-text search is each engine's own: FTS5, and text search types. The hits come without snippets.
	searchPrompts(ctx context.Context, db storagedb.DBTX, search promptSearch) ([]PromptHit, error)
	// A day is cut from a time by to_char on PostgreSQL, and from a text on SQLite.
	dailyUsage(ctx context.Context, db storagedb.DBTX, from, to time.Time) ([]DayUsage, error)
	// The highest ID that a prompt has ever had, 0 where there was none, is a sequence's on PostgreSQL, and in a table of
	// SQLite's own. skipPromptIDs lets new ones begin behind one, which must not be below what is there.
	lastPromptID(ctx context.Context, db storagedb.DBTX) (int64, error)
	skipPromptIDs(ctx context.Context, db storagedb.DBTX, upTo int64) error
}

// finder is the part of a dialect that lists by metadata and words: equality of JSON, full-text search and lists as
// parameters are each engine's own. [operations.find] tells how these belong together. What counts does so within the times of
// the list, and what lists places does so within its bounds and in its order.
type finder interface {
	countWithValue(ctx context.Context, db storagedb.DBTX, l list, value Metadata, atMost int64) (int64, error)
	placesWithValue(ctx context.Context, db storagedb.DBTX, l list, value Metadata, n int64) (places []position, more bool, err error)

	countInRange(ctx context.Context, db storagedb.DBTX, asked jsonRange, atMost int64) (int64, error)
	placesInRange(ctx context.Context, db storagedb.DBTX, l list, asked jsonRange, n int64) (places []position, more bool, err error)
	// The different numbers that there are, and of each of some so many places.
	numbersInRange(ctx context.Context, db storagedb.DBTX, asked jsonRange, atMost int64) ([]float64, error)
	placesOfNumbers(ctx context.Context, db storagedb.DBTX, l list, key string, numbers []float64, each int64) ([]groupPosition, error)

	// The IDs of prompts that have the words, and of each of some so many places.
	findPrompts(ctx context.Context, db storagedb.DBTX, query searchQuery, atMost int64) ([]int64, error)
	countOfPrompts(ctx context.Context, db storagedb.DBTX, l list, prompts []int64, atMost int64) (int64, error)
	placesOfPrompts(ctx context.Context, db storagedb.DBTX, l list, prompts []int64, each int64) ([]groupPosition, error)

	// Of those whose IDs are given the first that match the list's filters.
	listFound(ctx context.Context, db storagedb.DBTX, l list, ids []uuid.UUID, limit int64) ([]Generation, error)
}

// groupPosition is a generation's place, and what it was looked for by.
type groupPosition struct {
	position
	group any // the prompt's ID, or the number
}

// session runs statements: the store's on connections of its own choice, a transaction's on its one connection.
type session interface {
	// read runs fn where everything that was committed before is seen.
	read(ctx context.Context, fn func(storagedb.DBTX) error) error
	// readStale runs fn where what was committed a moment ago may not be seen yet: on a replica, where there is one.
	readStale(ctx context.Context, fn func(storagedb.DBTX) error) error
	// write runs fn, which has at most one statement that changes anything, and touches few rows: the store may commit it
	// together with the writes of others, and does not cut it off once it runs.
	write(ctx context.Context, fn func(storagedb.DBTX) error) error
	// writeAtomic runs fn likewise, whose statements take effect together or not at all; where they do not, a transaction
	// around them goes on.
	writeAtomic(ctx context.Context, fn func(storagedb.DBTX) error) error
	// writeMany runs fn in one transaction, which the end of ctx ends, too: its statements touch any number of rows.
	writeMany(ctx context.Context, fn func(storagedb.DBTX) error) error
	// writeAll is writeMany for statements of which the first may have changed something when a later one finds that it was
	// not to be: there they are taken back.
	writeAll(ctx context.Context, fn func(storagedb.DBTX) error) error
	// writeJoint is write for a write of one row that an engine may make together with others of its kind; alone does the same
	// for this one.
	writeJoint(ctx context.Context, joint *jointWrite, alone func(storagedb.DBTX) error) error
	// announce tells those who wait for work, in all processes, that there may be some.
	announce()
	// announced is closed at the next such word; nil in a transaction, where nobody waits.
	announced() <-chan struct{}
}

// jointWrite is a write of one row: one of these. set or setPrompt takes the row as it is then.
type jointWrite struct {
	create   *CreateGenerationParams
	track    *string // the prompt's text
	complete *CompleteGenerationParams
	fail     *FailGenerationParams
	extend   *time.Duration // the lease, from now
	progress *Progress

	atomic    bool      // where it is run alone, that is to be as by writeAtomic
	id        uuid.UUID // of the generation that it changes
	attempt   int64     // that holds the generation
	now       time.Time
	set       func(Generation)
	setPrompt func(Prompt)
}

// kind tells which of them it is.
func (j *jointWrite) kind() jointKind {
	switch {
	case j.create != nil:
		return jointCreate
	case j.track != nil:
		return jointTrack
	case j.complete != nil:
		return jointComplete
	case j.fail != nil:
		return jointFail
	case j.extend != nil:
		return jointExtend
	default:
		return jointProgress
	}
}

type jointKind int

const (
	jointCreate jointKind = iota
	jointTrack
	jointComplete
	jointFail
	jointExtend
	jointProgress
	jointKinds
)

// engine is an open database.
type engine interface {
	dialect
	session
	maintainer
	// inTx runs fn in a transaction on a connection of its own, of which state tells how it stands.
	inTx(ctx context.Context, fn func(db storagedb.DBTX, state func() txState) error) error
	// db is for a user's own queries.
	db() storagedb.DBTX
	ping(ctx context.Context) error
	// backup writes a SQLite file: its pages, or all rows.
	backup(ctx context.Context, path string) error
	close()
}

// generationsOf are an engine's rows as those of the shared queries.
func generationsOf[Row pgdb.Generation | sqlitedb.Generation](rows []Row) []Generation {
	generations := make([]Generation, len(rows))
	for i, row := range rows {
		generations[i] = Generation(row)
	}
	return generations
}

// ofPrompts are an engine's rows as places.
func ofPrompts[Row ~struct {
	ID        uuid.UUID `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	PromptID  int64     `json:"prompt_id"`
}](rows []Row) []groupPosition {
	places := make([]groupPosition, len(rows))
	for i, row := range rows {
		row := pgdb.NewestPlacesOfPromptsRow(row)
		places[i] = groupPosition{position{createdAt: row.CreatedAt, id: row.ID}, row.PromptID}
	}
	return places
}

// ofNumbers are an engine's rows as places.
func ofNumbers[Row ~struct {
	ID        uuid.UUID `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	Number    float64   `json:"number"`
}](rows []Row) []groupPosition {
	places := make([]groupPosition, len(rows))
	for i, row := range rows {
		row := pgdb.NewestPlacesOfNumbersRow(row)
		places[i] = groupPosition{position{createdAt: row.CreatedAt, id: row.ID}, row.Number}
	}
	return places
}
