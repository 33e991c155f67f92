package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/bench/seed"
	"github.com/dgx-music/storage/store"
)

// BenchmarkFind lists, counts and searches among 10,000 and among 1,000,000 generations, in turns. Each ratio is that
// of the medians.
func BenchmarkFind(b *testing.B) {
	const few, many, rounds = 10_000, 1_000_000, 31
	list := func(params store.ListGenerationsParams) func(*testing.B, *store.Store) int {
		return func(b *testing.B, s *store.Store) int {
			page, err := s.ListGenerations(b.Context(), params)
			if err != nil {
				b.Fatal(err)
			}
			return len(page.Generations)
		}
	}
	bpm := func(low, high float64) []store.MetadataRange {
		return []store.MetadataRange{{Key: "bpm", Min: new(low), Max: new(high)}}
	}
	bpmFrom := func(low float64) store.MetadataRange { return store.MetadataRange{Key: "bpm", Min: new(low)} }
	bpmTo := func(high float64) store.MetadataRange { return store.MetadataRange{Key: "bpm", Max: new(high)} }
	genre := func(name string) map[string]any { return map[string]any{"genre": name} }
	operations := []struct {
		name string
		run  func(*testing.B, *store.Store) int
	}{
		{"newest", list(store.ListGenerationsParams{})},
		{"oldest", list(store.ListGenerationsParams{OldestFirst: true})},
		{"completed", list(store.ListGenerationsParams{Status: store.StatusCompleted})},
		{"failed", list(store.ListGenerationsParams{Status: store.StatusFailed})},
		{"pending", list(store.ListGenerationsParams{Status: store.StatusPending})},
		{"common-model", list(store.ListGenerationsParams{ModelName: "musicgen-small"})},
		{"rare-model", list(store.ListGenerationsParams{ModelName: "musicgen-medium"})},
		{"batch", list(store.ListGenerationsParams{BatchID: uuid.MustParse("00000010-0000-7000-8000-000000000000")})},
		{"favorites", list(store.ListGenerationsParams{Favorite: true})},
		{"from", list(store.ListGenerationsParams{CreatedFrom: time.Now().Add(-time.Hour)})},
		{"to", list(store.ListGenerationsParams{CreatedTo: time.Now().Add(-time.Hour)})},
		{"common-value", list(store.ListGenerationsParams{Metadata: genre("trap")})},
		{"rarer-value", list(store.ListGenerationsParams{Metadata: map[string]any{"bpm": 140}})},
		{"range-of-17%", list(store.ListGenerationsParams{MetadataRanges: bpm(130, 149)})},
		{"range-of-1.7%", list(store.ListGenerationsParams{MetadataRanges: bpm(139.5, 141.5)})},
		{"range-of-one", list(store.ListGenerationsParams{MetadataRanges: []store.MetadataRange{bpmFrom(200)}})},
		{"words-of-all", list(store.ListGenerationsParams{Search: "beat"})},
		{"words-of-1%", list(store.ListGenerationsParams{Search: "rare"})},
		{"words-of-one-prompt", list(store.ListGenerationsParams{Search: "number 77"})},
		{"genre+rare-bpm", list(store.ListGenerationsParams{
			Metadata: map[string]any{"genre": "house", "bpm": seed.RareBPM},
		})},
		{"genre+range-of-17%", list(store.ListGenerationsParams{Metadata: genre("trap"), MetadataRanges: bpm(130, 149)})},
		{"genre+completed", list(store.ListGenerationsParams{Metadata: genre("trap"), Status: store.StatusCompleted})},
		{"genre+words-of-all", list(store.ListGenerationsParams{Metadata: genre("trap"), Search: "beat"})},
		{"words-of-1%+completed", list(store.ListGenerationsParams{Search: "rare", Status: store.StatusCompleted})},
		{"bpm-from-1+failed", list(store.ListGenerationsParams{
			Status: store.StatusFailed, MetadataRanges: []store.MetadataRange{bpmFrom(1)},
		})},
		{"bpm-from-1+bpm-to-70", list(store.ListGenerationsParams{
			MetadataRanges: []store.MetadataRange{bpmFrom(1), bpmTo(70)},
		})},
		{"words-of-8%", list(store.ListGenerationsParams{Search: `"at 14"*`})},
		{"words-of-8%+trap", list(store.ListGenerationsParams{Search: `"at 14"*`, Metadata: genre("trap")})},
		{"words-of-8%+model", list(store.ListGenerationsParams{Search: `"at 14"*`, ModelName: "musicgen-large"})},
		{"house+failed", list(store.ListGenerationsParams{Metadata: genre("house"), Status: store.StatusFailed})},
		{"house+failed+medium", list(store.ListGenerationsParams{
			Metadata: genre("house"), Status: store.StatusFailed, ModelName: "musicgen-medium",
		})},
		{"words-of-all+pending", list(store.ListGenerationsParams{Search: "beat", Status: store.StatusPending})},
		{"words-of-all+favorites", list(store.ListGenerationsParams{Search: "beat", Favorite: true})},
		{"failed+words-of-all", list(store.ListGenerationsParams{Search: "beat", Status: store.StatusFailed})},
		{"completed+model", list(store.ListGenerationsParams{Status: store.StatusCompleted, ModelName: "musicgen-large"})},
		{"completed+favorites", list(store.ListGenerationsParams{Status: store.StatusCompleted, Favorite: true})},
		{"failed+to", list(store.ListGenerationsParams{Status: store.StatusFailed, CreatedTo: time.Now().Add(-time.Hour)})},
		{"stats", func(b *testing.B, s *store.Store) int { return countOf(b, s.Stats) }},
		{"count", func(b *testing.B, s *store.Store) int {
			if _, err := s.CountGenerations(b.Context(), store.StatusCompleted); err != nil {
				b.Fatal(err)
			}
			return 1
		}},
		{"search-20", func(b *testing.B, s *store.Store) int {
			hits, err := s.SearchGenerations(b.Context(), store.SearchParams{Query: "rare"})
			if err != nil {
				b.Fatal(err)
			}
			return len(hits)
		}},
	}
	for _, engine := range engines {
		b.Run(engine.name, func(b *testing.B) {
			fmt.Println()
			stores := map[int]*store.Store{few: engine.open(b), many: engine.open(b)}
			for rows, s := range stores {
				began := time.Now()
				if err := seed.Fill(b.Context(), s, engine.name, rows); err != nil {
					b.Fatal(err)
				}
				fmt.Printf("%d generations seeded on %s in %s\n", rows, engine.name, time.Since(began).Round(time.Second))
			}
			fmt.Printf("\n| engine | operation | at %d | at %d | ratio | found |\n|---|---|---|---|---|---|\n", few, many)
			measure := func(name string, run map[int]func(*testing.B, *store.Store) int) {
				took, found := make(map[int][]time.Duration), make(map[int]int)
				for range rounds {
					for _, rows := range []int{few, many} {
						began := time.Now()
						found[rows] = run[rows](b, stores[rows])
						took[rows] = append(took[rows], time.Since(began))
					}
				}
				fmt.Printf("| %s | %s | %s | %s | %.2f | %d, %d |\n", engine.name, name,
					median(took[few]).Round(time.Microsecond), median(took[many]).Round(time.Microsecond),
					float64(median(took[many]))/float64(median(took[few])), found[few], found[many])
			}
			for _, operation := range operations {
				measure(operation.name, map[int]func(*testing.B, *store.Store) int{few: operation.run, many: operation.run})
			}
			first := list(store.ListGenerationsParams{})
			deep := list(store.ListGenerationsParams{After: cursorAt(b, stores[many], 500_000)})
			stores[few] = stores[many]
			fmt.Println("a page 500,000 rows deep, compared with the first page:")
			measure("500000-rows-deep", map[int]func(*testing.B, *store.Store) int{few: first, many: deep})
		})
	}
}

func countOf(b *testing.B, stats func(ctx context.Context) (store.Stats, error)) int {
	got, err := stats(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return int(got.TotalGenerations)
}

// cursorAt returns the cursor after that many rows.
func cursorAt(b *testing.B, s *store.Store, rows int) store.Cursor {
	page, err := s.ListGenerations(b.Context(), store.ListGenerationsParams{Offset: rows - 1, Limit: 1})
	if err != nil || page.Next == "" {
		b.Fatal(fmt.Errorf("no cursor: %w", err))
	}
	return page.Next
}
