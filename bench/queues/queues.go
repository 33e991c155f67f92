// Package queues takes jobs one by one and works them off: with the store, and with the job queues that one would otherwise pick,
// each as its own documentation advises and each as durable as the store is. The jobs do nothing, so that what is measured is the
// queue.
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
	// Enqueue returns when the job is stored for good. Any number of goroutines may enqueue at once.
	Enqueue(ctx context.Context, job peers.Job) error
	// WorkOff returns when the n jobs that wait are done, and the database has that for good. It is called once.
	WorkOff(ctx context.Context, n int) error
	// Close ends the workers, too.
	Close() error
}

// Peer is a way to have a queue.
type Peer struct {
	Name string
	Open func(ctx context.Context, url string) (Queue, error) // a database that store.Migrate has made; it makes its own tables there

	driver        driver
	waiting, done string // queries that count; one that deletes what is done has no second
}

// Of are the peers of an engine, "sqlite" or "postgres". The store with its own worker comes first.
func Of(engine string) []Peer {
	const (
		stored, storedDone = "SELECT count(*) FROM generations WHERE status <> 'completed'", "SELECT count(*) FROM generations WHERE status = 'completed'"
		river, riverDone   = "SELECT count(*) FROM river_job WHERE state <> 'completed'", "SELECT count(*) FROM river_job WHERE state = 'completed'"
		goqite             = "SELECT count(*) FROM goqite"
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

// Check looks with a connection of its own whether the database has so many jobs that wait, and so many that are done. On SQLite
// it has the driver of the peer: two libraries in one process do not see each other's locks, and break them.
func (p Peer) Check(ctx context.Context, url string, waiting, done int) error {
	db, err := p.driver.open(url, 1)
	if err != nil {
		return err
	}
	defer db.Close()
	for query, want := range map[string]int{p.waiting: waiting, p.done: done} {
		if query == "" {
			continue
		}
		var have int
		if err := db.QueryRowContext(ctx, query).Scan(&have); err != nil {
			return err
		}
		if have != want {
			return fmt.Errorf("%s: %d, and not %d", query, have, want)
		}
	}
	return nil
}

// driver is one of database/sql, with what makes SQLite as durable there as the store does.
type driver struct{ name, options string }

var (
	modernc = driver{"sqlite", "?_pragma=busy_timeout(60000)&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"}
	mattn   = driver{"sqlite3", "?_busy_timeout=60000&_foreign_keys=on&_journal_mode=WAL&_synchronous=FULL"}
	pgx     = driver{"pgx", ""}
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

// What all jobs have alike.
const (
	modelName  = "musicgen-small"
	duration   = 16.0
	sampleRate = 32000
	channels   = 2
)

// payload is the job for those that store any JSON.
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

// connections are as many as the other peers have on PostgreSQL.
func connections() int { return max(16, 4*runtime.NumCPU()) }
