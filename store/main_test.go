package store_test

import (
	"os"
	"testing"

	"github.com/dgx-music/storage/internal/testkit"
)

func TestMain(m *testing.M) {
	os.Setenv("DATABASE_URL", "sqlite::memory:") // whatever it is: the examples open the default, and must leave a user's alone
	testkit.Main(m, testkit.Roles{"work": workUntilKilled, "wait and claim": waitAndClaim})
}
