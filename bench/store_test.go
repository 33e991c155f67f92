// Package bench measures the store beside the raw drivers, on the same schema and equally durable. Run it with make
// bench. The machines it runs on are shared: compare the numbers of one run with each other, never with another run's.
package bench

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "modernc.org/sqlite"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// engines are the stores to measure.
var engines = []struct {
	name string
	open func(testing.TB, ...store.Options) *store.Store
}{
	{"sqlite", storetest.Open},
	{"postgres", storetest.OpenPostgres},
}

func forEveryEngine(b *testing.B, run func(b *testing.B, s *store.Store)) {
	for _, engine := range engines {
		b.Run(engine.name, func(b *testing.B) { run(b, engine.open(b)) })
	}
}

func job(i int) store.CreateGenerationParams {
	return store.CreateGenerationParams{
		Prompt:          fmt.Sprintf("trap beat number %d with heavy bass", i%500),
		ModelName:       "musicgen-small",
		DurationSeconds: 16,
		SampleRate:      32000,
		Channels:        2,
		FilePath:        fmt.Sprintf("outputs/2025/11/07/%d.wav", i),
		Metadata:        store.Metadata(`{"bpm":140,"genre":"hip hop","key":"Cm"}`),
	}
}

func BenchmarkCreate(b *testing.B) {
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		for i := 0; b.Loop(); i++ {
			if _, err := s.CreateGeneration(b.Context(), job(i)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCreateBy64(b *testing.B) {
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		var next atomic.Int64
		b.SetParallelism(64)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := s.CreateGeneration(context.Background(), job(int(next.Add(1)))); err != nil {
					b.Error(err)
					return
				}
			}
		})
	})
}

func BenchmarkCreateBulkOf1000(b *testing.B) {
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		jobs := make([]store.CreateGenerationParams, 1000)
		for i := range jobs {
			jobs[i] = job(i)
		}
		for b.Loop() {
			if _, err := s.CreateGenerations(b.Context(), jobs); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N*len(jobs))/b.Elapsed().Seconds(), "rows/s")
	})
}

func BenchmarkCreateComplete(b *testing.B) {
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		for i := 0; b.Loop(); i++ {
			g, err := s.CreateGeneration(b.Context(), job(i))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.CompleteGeneration(b.Context(), g.ID, store.CompleteGenerationParams{Metadata: store.Metadata(`{"bpm":141}`)}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		g, err := s.CreateGeneration(b.Context(), job(1))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			if _, err := s.GetGeneration(b.Context(), g.ID); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkListOf100(b *testing.B) {
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		for range 10 {
			jobs := make([]store.CreateGenerationParams, 1000)
			for i := range jobs {
				jobs[i] = job(i)
			}
			if _, err := s.CreateGenerations(b.Context(), jobs); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			if _, err := s.ListGenerations(b.Context(), store.ListGenerationsParams{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// The same work by hand on database/sql and modernc, with prepared statements and the store's own durability: what
// BenchmarkCreate and BenchmarkGet are to be held against.
func BenchmarkRawModernc(b *testing.B) {
	open := func(b *testing.B) *sql.DB {
		path := strings.TrimPrefix(storetest.URL(b), "sqlite://")
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(ON)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_txlock=immediate")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { db.Close() })
		db.SetMaxOpenConns(1)
		return db
	}
	insert := func(b *testing.B, db *sql.DB) func(i int) uuid.UUID {
		track, err := db.Prepare(`INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES (?1, 1, ?2, ?2)
			ON CONFLICT (text) DO UPDATE SET used_count = used_count + 1, last_used_at = excluded.last_used_at RETURNING id`)
		if err != nil {
			b.Fatal(err)
		}
		create, err := db.Prepare(`INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, metadata, prompt_id, scheduled_at)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'pending', ?8, ?9, ?10, ?8)`)
		if err != nil {
			b.Fatal(err)
		}
		return func(i int) uuid.UUID {
			j, id, now := job(i), uuid.Must(uuid.NewV7()), time.Now().UTC().Format("2006-01-02 15:04:05.000000")
			tx, err := db.Begin()
			if err != nil {
				b.Fatal(err)
			}
			var prompt int64
			if err := tx.Stmt(track).QueryRow(j.Prompt, now).Scan(&prompt); err != nil {
				b.Fatal(err)
			}
			if _, err := tx.Stmt(create).Exec(id.String(), j.Prompt, j.ModelName, j.DurationSeconds, j.SampleRate, j.Channels, j.FilePath, now, string(j.Metadata), prompt); err != nil {
				b.Fatal(err)
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
			return id
		}
	}
	b.Run("Create", func(b *testing.B) {
		one := insert(b, open(b))
		for i := 0; b.Loop(); i++ {
			one(i)
		}
	})
	b.Run("Get", func(b *testing.B) {
		db := open(b)
		id := insert(b, db)(1)
		get, err := db.Prepare(`SELECT * FROM generations WHERE id = ?`)
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			values := make([]any, 23)
			into := make([]any, len(values))
			for i := range values {
				into[i] = &values[i]
			}
			if err := get.QueryRow(id.String()).Scan(into...); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}
