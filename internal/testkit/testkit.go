// Package testkit is what the tests of several rooms share. Only tests import it.
package testkit

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// Engine is an engine that the conformance suite runs on.
type Engine struct {
	Name string
	Open func(testing.TB, ...store.Options) *store.Store // an empty store, closed when the test ends
	URL  func(testing.TB) string                         // a migrated, empty database
}

// SQLite and Postgres are the engines by name, for tests of what only one of them does.
var (
	SQLite   = Engine{"sqlite", storetest.Open, storetest.URL}
	Postgres = Engine{"postgres", storetest.OpenPostgres, storetest.PostgresURL}
)

// Engines are all engines.
var Engines = []Engine{SQLite, Postgres}

// OnEveryEngine runs a test of the conformance suite on each engine, on a store of its own.
func OnEveryEngine(t *testing.T, test func(t *testing.T, s *store.Store), opts ...store.Options) {
	t.Helper()
	for _, engine := range Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			test(t, engine.Open(t, opts...))
		})
	}
}

// OnEveryEngineWithClock is [OnEveryEngine] with a clock for each engine that the test sets.
func OnEveryEngineWithClock(t *testing.T, test func(t *testing.T, s *store.Store, clock *Clock)) {
	t.Helper()
	for _, engine := range Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			clock := NewClock()
			test(t, engine.Open(t, store.Options{Now: clock.Now}), clock)
		})
	}
}

// OpenURL opens the store of a URL, and closes it when the test ends. The test may close it earlier.
func OpenURL(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// OpenError returns the error of opening and migrating the database of a URL.
func OpenError(url string) error {
	s, err := store.Open(context.Background(), store.Options{URL: url, Migrate: true})
	if err == nil {
		s.Close()
	}
	return err
}

// Beat returns the parameters of a valid generation.
func Beat(prompt string) store.CreateGenerationParams {
	return store.CreateGenerationParams{
		Prompt:          prompt,
		ModelName:       "musicgen-small",
		DurationSeconds: 16,
		SampleRate:      32000,
		Channels:        2,
		FilePath:        "outputs/gen_123.wav",
	}
}

// Create creates a [Beat].
func Create(t testing.TB, s *store.Store, prompt string) store.Generation {
	t.Helper()
	g, err := s.CreateGeneration(t.Context(), Beat(prompt))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// ClaimOne claims the next generation for a minute.
func ClaimOne(t testing.TB, s *store.Store) store.Generation {
	t.Helper()
	claimed, err := s.ClaimGenerations(t.Context(), store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute})
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %d: %v", len(claimed), err)
	}
	return claimed[0]
}

// NoSuchID is the ID of no generation.
var NoSuchID = uuid.MustParse("01890000-0000-7000-8000-000000000000")

// Clock is a clock that a test sets. Set it only while no call runs that reads it.
type Clock struct{ now time.Time }

// NewClock returns a clock that stands at an odd moment of 2026.
func NewClock() *Clock { return ClockAt(time.Date(2026, 11, 23, 9, 0, 22, 123456000, time.UTC)) }

// ClockAt returns a clock that stands at now.
func ClockAt(now time.Time) *Clock { return &Clock{now} }

// Now returns the time that the clock shows.
func (c *Clock) Now() time.Time { return c.now }

// Set sets the clock.
func (c *Clock) Set(now time.Time) { c.now = now }

// Advance sets the clock forward, or back if d is negative.
func (c *Clock) Advance(d time.Duration) { c.now = c.now.Add(d) }

// Exec runs a statement past the store.
func Exec(t testing.TB, s *store.Store, statement string, args ...any) {
	t.Helper()
	if _, err := s.DB().Exec(t.Context(), statement, args...); err != nil {
		t.Fatal(err)
	}
}

// Count returns the number that a query selects.
func Count(t testing.TB, s *store.Store, query string) (n int64) {
	t.Helper()
	if err := s.DB().QueryRow(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Err returns the error of a call, and drops its result.
func Err[T any](_ T, err error) error { return err }

// Decode returns what metadata holds.
func Decode(t *testing.T, m store.Metadata) map[string]any {
	t.Helper()
	object, err := store.DecodeMetadata[map[string]any](m)
	is.New(t).NoErr(err)
	return object
}

// WantInvalid fails the test unless err is a *store.ValidationError for the field.
func WantInvalid(t *testing.T, err error, field string) {
	t.Helper()
	var invalid *store.ValidationError
	if !errors.As(err, &invalid) || invalid.Field != field || invalid.Problem == "" {
		t.Errorf("got %v, want a *ValidationError for %s", err, field)
	}
}

// WantKeys fails the test unless v is a JSON object with the keys.
func WantKeys(t *testing.T, v any, keys ...string) {
	t.Helper()
	is := is.New(t)
	text, err := json.Marshal(v)
	is.NoErr(err)
	var object map[string]any
	is.NoErr(json.Unmarshal(text, &object))
	for _, key := range keys {
		if _, present := object[key]; !present {
			t.Errorf("%s: no key %q", text, key)
		}
	}
}

// WantListed fails the test unless a list has exactly these generations, oldest first, and in reverse newest first.
func WantListed(t *testing.T, s *store.Store, params store.ListGenerationsParams, want ...store.Generation) {
	t.Helper()
	for _, params.OldestFirst = range []bool{true, false} {
		var got, ids []uuid.UUID
		for g, err := range s.Generations(t.Context(), params) {
			if err != nil {
				t.Fatalf("%+v: %v", params, err)
			}
			got = append(got, g.ID)
		}
		for _, g := range want {
			ids = append(ids, g.ID)
		}
		if !params.OldestFirst {
			slices.Reverse(ids)
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%+v: got %d, want %d", params, len(got), len(ids))
		}
	}
}

// LogSize returns the size of the write-ahead log of a SQLite database.
func LogSize(url string) int64 {
	info, err := os.Stat(strings.TrimPrefix(url, "sqlite://") + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// Eventually waits until done reports true, for at most a minute. what names it.
func Eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("not after a minute: %s", what)
		}
	}
}
