package transfer_test

import (
	"testing"

	"github.com/dgx-music/storage/internal/testkit"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Roles{"transfer": transferUntilKilled})
}
