package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/dgx-music/storage/bench/seed"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func enqueue(b *testing.B, s *store.Store, jobs int) {
	b.Helper()
	params := make([]store.CreateGenerationParams, jobs)
	for i := range params {
		params[i] = job(i)
	}
	if _, err := s.CreateGenerations(b.Context(), params); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkClaim claims one generation at a time, with a thousand and with a million finished generations in the
// database. It measures both in turns, so that other load on the machine affects both. The ratio is that of the
// medians.
func BenchmarkClaim(b *testing.B) {
	const few, many = 1_000, 1_000_000
	const rounds, claims = 15, 100
	for _, engine := range engines {
		b.Run(engine.name, func(b *testing.B) {
			stores := map[int]*store.Store{few: engine.open(b), many: engine.open(b)}
			for rows, s := range stores {
				if err := seed.Fill(b.Context(), s, engine.name, rows); err != nil {
					b.Fatal(err)
				}
				// All must be finished, and PostgreSQL must have no dead rows of the time before.
				for _, statement := range []string{
					"UPDATE generations SET status = 'completed' WHERE status = 'pending'",
					map[string]string{"sqlite": "ANALYZE", "postgres": "VACUUM ANALYZE"}[engine.name],
				} {
					if _, err := s.DB().Exec(b.Context(), statement); err != nil {
						b.Fatal(err)
					}
				}
			}
			took := make(map[int][]time.Duration)
			for range rounds {
				for _, rows := range []int{few, many} {
					s := stores[rows]
					enqueue(b, s, claims)
					began := time.Now()
					for range claims {
						claimOne(b, s)
					}
					took[rows] = append(took[rows], time.Since(began)/claims)
				}
			}
			b.ReportMetric(0, "ns/op") // meaningless here
			b.ReportMetric(float64(median(took[few]).Nanoseconds()), "ns/claim-at-1000")
			b.ReportMetric(float64(median(took[many]).Nanoseconds()), "ns/claim-at-1000000")
			b.ReportMetric(float64(median(took[many]))/float64(median(took[few])), "ratio")
		})
	}
}

// claimOne claims the one generation that is due.
func claimOne(b *testing.B, s *store.Store, models ...string) {
	claimed, err := s.ClaimGenerations(b.Context(), store.ClaimParams{
		Worker: "bench", Limit: 1, Lease: time.Minute, ModelNames: models,
	})
	if err != nil || len(claimed) != 1 {
		b.Fatal(len(claimed), err)
	}
}

// BenchmarkClaimBesideScheduled claims while 100,000 generations are scheduled for later, half of them with a lower
// Priority, which goes first.
func BenchmarkClaimBesideScheduled(b *testing.B) {
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		params := make([]store.CreateGenerationParams, 1000)
		for i := range 100 {
			for n := range params {
				params[n] = job(n)
				params[n].Priority = int64(-(i % 2))
				params[n].ScheduledAt = time.Now().Add(time.Hour)
			}
			if _, err := s.CreateGenerations(b.Context(), params); err != nil {
				b.Fatal(err)
			}
		}
		for b.Loop() {
			b.StopTimer()
			enqueue(b, s, 1)
			b.StartTimer()
			claimOne(b, s)
		}
	})
}

// BenchmarkClaimRareModel claims for a model that has one pending generation, after 50,000 older ones of another model.
func BenchmarkClaimRareModel(b *testing.B) {
	forEveryEngine(b, func(b *testing.B, s *store.Store) {
		for range 50 {
			enqueue(b, s, 1000)
		}
		rare := job(0)
		rare.ModelName = "rare"
		for b.Loop() {
			b.StopTimer()
			if _, err := s.CreateGeneration(b.Context(), rare); err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			claimOne(b, s, rare.ModelName)
		}
	})
}

// BenchmarkWakeUp measures the time from the return of a creation in one store to the return of WaitForPending in
// another store on the same database. Stores share nothing, so two in one process behave like two processes.
func BenchmarkWakeUp(b *testing.B) {
	urls := map[string]func(testing.TB) string{"sqlite": storetest.URL, "postgres": storetest.PostgresURL}
	for name, newURL := range urls {
		b.Run(name, func(b *testing.B) {
			url := newURL(b)
			open := func() *store.Store {
				s, err := store.Open(b.Context(), store.Options{URL: url})
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { s.Close() })
				return s
			}
			creator, sleeper := open(), open()
			sleeping, woke := make(chan struct{}), make(chan time.Time)
			go func() {
				for range sleeping {
					if err := sleeper.WaitForPending(b.Context()); err != nil {
						b.Error(err)
					}
					woke <- time.Now()
				}
			}()
			var took []time.Duration
			for b.Loop() {
				sleeping <- struct{}{}
				time.Sleep(50*time.Millisecond + time.Duration(rand.IntN(20))*time.Millisecond) // until it sleeps
				enqueue(b, creator, 1)
				created := time.Now()
				took = append(took, (<-woke).Sub(created))
				claimOne(b, sleeper)
			}
			close(sleeping)
			b.ReportMetric(0, "ns/op") // it would include the sleep
			b.ReportMetric(float64(median(took).Microseconds())/1000, "ms-in-the-median")
			b.ReportMetric(float64(slices.Max(took).Microseconds())/1000, "ms-at-worst")
		})
	}
}
