package migrate

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/amacneil/dbmate/v2/pkg/dbmate"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/dburl"
)

// A migration that fails, or leaves rows that refer to nothing, is taken back whole, and says where it failed.
func TestMigrationThatFailsChangesNothing(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ up, part string }{
		"syntax": {"CREATE TABLE half (id INTEGER);\nTHIS IS NO SQL;", "syntax error"},
		"foreign key": {"CREATE TABLE child (id INTEGER REFERENCES prompts (id)); INSERT INTO child VALUES (999);",
			"child row 1"},
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			ctx := t.Context()
			url := "sqlite://" + filepath.Join(t.TempDir(), "x.db")
			target, err := dburl.Parse(url)
			is.NoErr(err)
			is.NoErr(os.WriteFile(target.Path, nil, 0o600))
			is.NoErr(Apply(ctx, target))
			err = underLock(ctx, target, func(m *dbmate.DB) error {
				m.FS = withMigration(t, m.FS, "99990101000000_broken.sql", "-- migrate:up\n"+c.up+"\n-- migrate:down\n")
				return m.Migrate()
			})
			is.True(err != nil && strings.Contains(err.Error(), c.part))
			migrations, err := Inspect(ctx, target, time.Second)
			is.NoErr(err)
			is.NoErr(CheckFits(migrations)) // the version is the old one
			conn, err := OpenReadOnly(ctx, target, time.Second)
			is.NoErr(err)
			defer conn.Close()
			tables, err := conn.QueryColumn("SELECT name FROM sqlite_schema WHERE name IN ('half', 'child')")
			is.NoErr(err)
			is.Equal(len(tables), 0)
		})
	}
}

func withMigration(t *testing.T, files fs.FS, name, text string) fs.FS {
	t.Helper()
	more := fstest.MapFS{name: {Data: []byte(text)}}
	entries, err := fs.ReadDir(files, ".")
	is.New(t).NoErr(err)
	for _, entry := range entries {
		data, err := fs.ReadFile(files, entry.Name())
		is.New(t).NoErr(err)
		more[entry.Name()] = &fstest.MapFile{Data: data}
	}
	return more
}
