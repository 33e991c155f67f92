package maintain_test

import (
	"testing"

	"github.com/dgx-music/storage/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Roles{"vacuum": vacuumOnce})
}
