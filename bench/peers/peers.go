// Package peers creates generations as those would who did not import the store: by hand on the raw drivers with prepared
// statements, and with the libraries that they would otherwise pick, each as its own documentation advises. All work on the
// store's schema and commit each creation as durably as the store does: the prompt is counted and the generation inserted in
// one transaction.
package peers

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/store"
)

// Creator creates generations. Any number of goroutines may do so at once.
type Creator interface {
	Create(ctx context.Context, job Job) error
	Close() error
}

// Peer is a way to create generations.
type Peer struct {
	Name string
	Open func(ctx context.Context, url string) (Creator, error) // a database that store.Migrate has made
}

// Of are the peers of an engine, "sqlite" or "postgres". The store itself comes first.
func Of(engine string) []Peer {
	if engine == "sqlite" {
		return []Peer{
			{"this store", openStore},
			{"modernc by hand, one connection", openModernc(1)},
			{"modernc by hand, pooled", openModernc(8)},
			{"mattn (C) by hand, one connection", openMattn},
			{"GORM (mattn)", openGormSQLite},
			{"bun (modernc)", openBunSQLite},
		}
	}
	return []Peer{
		{"this store", openStore},
		{"pgx by hand, one statement", openPgx},
		{"GORM (pgx)", openGormPostgres},
		{"bun (pgx)", openBunPostgres},
	}
}

// Job is a generation to create.
type Job struct {
	ID, Prompt, FilePath, Metadata string
	At                             time.Time
}

// NewJob is the i-th: there are 500 different prompts.
func NewJob(i int64) Job {
	return Job{
		ID: uuid.Must(uuid.NewV7()).String(), At: time.Now().UTC(),
		Prompt:   fmt.Sprintf("trap beat number %d with heavy bass", i%500),
		FilePath: fmt.Sprintf("outputs/2025/11/07/%d.wav", i),
		Metadata: `{"bpm":140,"genre":"hip hop","key":"Cm"}`,
	}
}

const (
	modelName    = "musicgen-small"
	duration     = 16.0
	sampleRate   = 32000
	channels     = 2
	sqliteLayout = "2006-01-02 15:04:05.000000"
)

type storeCreator struct{ *store.Store }

func openStore(ctx context.Context, url string) (Creator, error) {
	s, err := store.Open(ctx, store.Options{URL: url})
	return storeCreator{s}, err
}

func (s storeCreator) Create(ctx context.Context, job Job) error {
	_, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
		ID: uuid.MustParse(job.ID), Prompt: job.Prompt, ModelName: modelName, DurationSeconds: duration, SampleRate: sampleRate,
		Channels: channels, FilePath: job.FilePath, Metadata: store.Metadata(job.Metadata),
	})
	return err
}

// Count is how many generations there are, by a store's counters.
func Count(ctx context.Context, c Creator) (int64, error) {
	s, ok := c.(storeCreator)
	if !ok {
		return 0, fmt.Errorf("%T is not the store", c)
	}
	return s.CountGenerations(ctx, "")
}

func sqlitePath(url string) string { return strings.TrimPrefix(url, "sqlite://") }
