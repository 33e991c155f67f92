// Package bench measures parts of the store; make bench-store runs it. cmd/compare compares the store with its peers.
// The machines are shared: compare only figures of one run with each other.
package bench

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// engines are the engines to measure, and how to open a store on each.
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
			params := store.CompleteGenerationParams{Metadata: store.Metadata(`{"bpm":141}`)}
			if _, err := s.CompleteGeneration(b.Context(), g.ID, params); err != nil {
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

func median(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)/2]
}
