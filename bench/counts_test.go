package bench

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dgx-music/storage/store"
)

// BenchmarkLongTransaction creates one by one in one transaction. The last creations should cost as much as the first.
func BenchmarkLongTransaction(b *testing.B) {
	const part, parts = 500, 8
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		var took []time.Duration
		if err := s.InTx(b.Context(), func(tx *store.Tx) error {
			for i := range parts {
				began := time.Now()
				for n := range part {
					if _, err := tx.CreateGeneration(b.Context(), job(i*part+n)); err != nil {
						return err
					}
				}
				took = append(took, time.Since(began))
			}
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(0, "ns/op") // meaningless here
		b.ReportMetric(float64(took[parts-1])/float64(took[0]), "last-over-first")
	})
}

// BenchmarkTriggerCost creates with and without the triggers that maintain the counts and the metadata index, in turns.
// It creates one at a time, and a thousand at once, so that no commit hides the cost. Each ratio is that of the
// medians.
func BenchmarkTriggerCost(b *testing.B) {
	const rounds = 21
	kept := []struct {
		name     string
		triggers []string
	}{
		{"counts", []string{"generations_count_insert", "prompts_count_insert"}},
		{"metadata", []string{"generations_metadata_insert"}},
	}
	for _, engine := range engines {
		for _, k := range kept {
			for _, size := range []int{1, 1000} {
				b.Run(fmt.Sprintf("%s/%s/%d", engine.name, k.name, size), func(b *testing.B) {
					with, without := engine.open(b), engine.open(b)
					for _, trigger := range k.triggers {
						table, _, _ := strings.Cut(trigger, "_")
						statement := "DROP TRIGGER " + trigger
						if engine.name == "postgres" {
							statement += " ON " + table
						}
						if _, err := without.DB().Exec(b.Context(), statement); err != nil {
							b.Fatal(err)
						}
					}
					took := make(map[*store.Store][]time.Duration)
					for range rounds {
						for _, s := range []*store.Store{with, without} {
							began := time.Now()
							for range max(1, 200/size) {
								enqueue(b, s, size)
							}
							took[s] = append(took[s], time.Since(began))
						}
					}
					b.ReportMetric(0, "ns/op") // meaningless here
					b.ReportMetric(float64(median(took[with]))/float64(median(took[without])), "with/without")
				})
			}
		}
	}
}
