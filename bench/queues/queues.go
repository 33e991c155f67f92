// Package queues enqueues jobs one by one and works them off, with the store and with other job queues. Each is used as
// its own documentation advises, and is as durable as the store. The jobs do nothing, so that only the queue is
// measured.
package queues

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"
	_ "modernc.org/sqlite"

	"github.com/dgx-music/storage/bench/peers"
)

// Queue is a queue on a database of its own.
type Queue interface {
	// Enqueue returns after the job is durable. Any number of goroutines may enqueue at once.
	Enqueue(ctx context.Context, job peers.Job) error
	// WorkOff returns after the n pending jobs are done and the results are durable. It is called once.
	WorkOff(ctx context.Context, n int) error
	// Close stops the workers and closes the queue.
	Close() error
}

// Peer is a job queue to measure.
type Peer struct {
	Name string
	// Open opens a queue on a database that store.Migrate has migrated. It creates the queue's own tables.
	Open func(ctx context.Context, url string) (Queue, error)

	driver        driver
	pending, done string // count queries; done is empty if the queue deletes finished jobs
}

// Of returns the peers of an engine, "sqlite" or "postgres". The store with its own worker comes first.
func Of(engine string) []Peer {
	const (
		stored     = "SELECT count(*) FROM generations WHERE status <> 'completed'"
		storedDone = "SELECT count(*) FROM generations WHERE status = 'completed'"
		river      = "SELECT count(*) FROM river_job WHERE state <> 'completed'"
		riverDone  = "SELECT count(*) FROM river_job WHERE state = 'completed'"
		goqite     = "SELECT count(*) FROM goqite"
	)
	if engine == "sqlite" {
		return []Peer{
			{"this store, Work", openWork, modernc, stored, storedDone},
			{"this store, many claimed and completed at once", openMany, modernc, stored, storedDone},
			{"River (modernc)", openRiverSQLite, modernc, river, riverDone},
			{"goqite (mattn)", openGoqiteSQLite, mattn, goqite, ""},
		}
	}
	return []Peer{
		{"this store, Work", openWork, pgx, stored, storedDone},
		{"this store, many claimed and completed at once", openMany, pgx, stored, storedDone},
		{"River (pgx)", openRiverPostgres, pgx, river, riverDone},
		{"goqite (pgx)", openGoqitePostgres, pgx, goqite, ""},
	}
}

// Check checks, on a connection of its own, how many jobs of the database are pending and done. On SQLite it uses the
// peer's driver: two libraries in one process do not see each other's locks, and break them.
func (p Peer) Check(ctx context.Context, url string, pending, done int) error {
	db, err := p.driver.open(url, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	for query, want := range map[string]int{p.pending: pending, p.done: done} {
		if query == "" {
			continue
		}
		var have int
		if err := db.QueryRowContext(ctx, query).Scan(&have); err != nil {
			return err
		}
		if have != want {
			return fmt.Errorf("%s: got %d, want %d", query, have, want)
		}
	}
	return nil
}

// driver is a driver of database/sql, with the options that make SQLite as durable as the store.
type driver struct{ name, options string }

var (
	modernc = driver{"sqlite", "?_pragma=busy_timeout(60000)&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)"}
	mattn = driver{"sqlite3", "?_busy_timeout=60000&_foreign_keys=on&_journal_mode=WAL&_synchronous=FULL"}
	pgx   = driver{"pgx", ""}
)

func (d driver) open(url string, connections int) (*sql.DB, error) {
	if path, ok := strings.CutPrefix(url, "sqlite://"); ok {
		url = "file:" + path
	}
	db, err := sql.Open(d.name, url+d.options)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// The fields that are the same in all jobs.
const (
	modelName  = "musicgen-small"
	duration   = 16.0
	sampleRate = 32000
	channels   = 2
)

// payload is the job for queues that store JSON.
type payload struct {
	Prompt          string          `json:"prompt"`
	ModelName       string          `json:"model_name"`
	DurationSeconds float64         `json:"duration_seconds"`
	SampleRate      int             `json:"sample_rate"`
	Channels        int             `json:"channels"`
	FilePath        string          `json:"file_path"`
	Metadata        json.RawMessage `json:"metadata"`
}

func payloadOf(job peers.Job) payload {
	return payload{job.Prompt, modelName, duration, sampleRate, channels, job.FilePath, json.RawMessage(job.Metadata)}
}

// connections is the number of connections to PostgreSQL, the same as in package peers.
func connections() int { return max(16, 4*runtime.NumCPU()) }
