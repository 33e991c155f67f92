package pythondb_test

import (
	"testing"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

func TestMain(m *testing.M) {
	testkit.Main(m, testkit.Roles{"open and migrate": testkit.OpenAndMigrate, "adopt": store.Migrate})
}
