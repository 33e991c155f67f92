package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/dgx-music/storage/store"
)

// Roles are what the test binary does when a test starts it again as a process of its own, by name.
type Roles map[string]func(ctx context.Context, url string) error

// Main is the TestMain of a package whose tests start processes. In such a process it plays the role and exits.
// Otherwise it runs the tests.
func Main(m *testing.M, roles Roles) {
	name := os.Getenv("STORE_TEST_ROLE")
	if name == "" {
		os.Exit(m.Run())
	}
	role, known := roles[name]
	if !known {
		fmt.Fprintf(os.Stderr, "no role %q\n", name)
		os.Exit(2)
	}
	if err := role(context.Background(), os.Getenv("STORE_TEST_URL")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// InProcess returns the test binary in a role, to be started. The package's TestMain must be [Main].
func InProcess(t testing.TB, role, url string) *exec.Cmd {
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

// OpenAndMigrate is a role: it opens and migrates the database, and creates a generation.
func OpenAndMigrate(ctx context.Context, url string) error {
	s, err := store.Open(ctx, store.Options{URL: url, Migrate: true})
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.CreateGeneration(ctx, Beat("made by a process"))
	return err
}
