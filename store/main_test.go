package store_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// TestMain lets the test binary be started again as a process of its own, for what only processes can show.
func TestMain(m *testing.M) {
	if role := os.Getenv("STORE_TEST_ROLE"); role != "" {
		if err := roles[role](context.Background(), os.Getenv("STORE_TEST_URL")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Setenv("DATABASE_URL", "sqlite::memory:") // for the examples, which open the default
	os.Exit(m.Run())
}

// roles are what the test binary does as a process of its own.
var roles = map[string]func(ctx context.Context, url string) error{
	"open and migrate": openAndMigrate,
	"work":             workUntilKilled,
	"wait and claim":   waitAndClaim,
	"adopt":            adoptUntilKilled,
	"transfer":         transferUntilKilled,
	"vacuum":           vacuumOnce,
}

// inProcess is the test binary in a role, to be started.
func inProcess(t testing.TB, role, url string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "STORE_TEST_ROLE="+role, "STORE_TEST_URL="+url)
	cmd.Stderr = os.Stderr
	return cmd
}

// engines are what the conformance suite runs on.
var engines = []struct {
	name string
	open func(testing.TB, ...store.Options) *store.Store
	url  func(testing.TB) string
}{
	{"sqlite", storetest.Open, storetest.URL},
	{"postgres", storetest.OpenPostgres, storetest.PostgresURL},
}

// A test that takes long, and neither bounds a time nor ends with one, is parallel as a whole, so that it shares the machine with
// others of its kind, behind all that are not.

// onEveryEngine runs a line of the conformance suite on a store of its own per engine.
func onEveryEngine(t *testing.T, test func(t *testing.T, s *store.Store), opts ...store.Options) {
	t.Helper()
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			t.Parallel()
			test(t, engine.open(t, opts...))
		})
	}
}

// beat is a generation that nothing is wrong with.
func beat(prompt string) store.CreateGenerationParams {
	return store.CreateGenerationParams{
		Prompt:          prompt,
		ModelName:       "musicgen-small",
		DurationSeconds: 16,
		SampleRate:      32000,
		Channels:        2,
		FilePath:        "outputs/gen_123.wav",
	}
}

func create(t testing.TB, s *store.Store, prompt string) store.Generation {
	t.Helper()
	g, err := s.CreateGeneration(t.Context(), beat(prompt))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// testClock is a clock that a test sets.
type testClock struct{ now time.Time }

func newTestClock() *testClock {
	return &testClock{time.Date(2026, 11, 23, 9, 0, 22, 123456000, time.UTC)}
}

func (c *testClock) Now() time.Time          { return c.now }
func (c *testClock) Advance(d time.Duration) { c.now = c.now.Add(d) }

var noSuchID = uuid.MustParse("01890000-0000-7000-8000-000000000000")
