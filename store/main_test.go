package store_test

import (
	"os"
	"testing"

	"github.com/dgx-music/storage/internal/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv("DATABASE_URL") == "" {
		os.Setenv("DATABASE_URL", "sqlite::memory:") // for the examples, which open the default
	}
	testkit.Main(m, testkit.Roles{"work": workUntilKilled, "wait and claim": waitAndClaim})
}
