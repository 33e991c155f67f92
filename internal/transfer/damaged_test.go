package transfer_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// loseEntries deletes entries of an index on SQLite, as a damage does: the table still has the rows.
func loseEntries(t *testing.T, path, index string, entries int) {
	t.Helper()
	testkit.OnFile(t, path,
		"PRAGMA writable_schema = ON",
		`INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
		SELECT 'table', 'entries', 'entries', rootpage,
			'CREATE TABLE entries (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID'
		FROM sqlite_schema WHERE name = '`+index+`'`)
	testkit.OnFile(t, path,
		"DELETE FROM entries WHERE a IN (SELECT a FROM entries ORDER BY a LIMIT "+strconv.Itoa(entries)+")",
		"PRAGMA writable_schema = ON",
		"DELETE FROM sqlite_schema WHERE name = 'entries'")
}

// pagesOf returns the numbers of some pages of a table, its root among them.
func pagesOf(t *testing.T, path, table string) (pages []int) {
	t.Helper()
	is := is.New(t)
	db, err := sql.Open("sqlite", path)
	is.NoErr(err)
	defer db.Close()
	rows, err := db.Query("SELECT pageno FROM dbstat WHERE name = ? ORDER BY path LIMIT 5", table)
	is.NoErr(err)
	defer rows.Close()
	for rows.Next() {
		var page int
		is.NoErr(rows.Scan(&page))
		pages = append(pages, page)
	}
	is.NoErr(rows.Err())
	is.True(len(pages) > 1)
	return pages
}

// What a transfer would read of a damaged source is whole in itself, so the source is verified before.
func TestTransferOfADamagedSource(t *testing.T) {
	t.Parallel()
	for _, index := range []string{"sqlite_autoindex_generations_1", "sqlite_autoindex_prompts_1"} {
		for _, to := range testkit.EmptyDatabases {
			t.Run(index+" to "+to.Name, func(t *testing.T) {
				t.Parallel()
				is := is.New(t)
				fromURL, toURL := storetest.URL(t), to.URL(t)
				s := testkit.OpenURL(t, fromURL)
				testkit.FillAllKinds(t, s, 100)
				is.NoErr(s.Close())
				path := strings.TrimPrefix(fromURL, "sqlite://")
				loseEntries(t, path, index, 2)

				_, err := store.Transfer(t.Context(), fromURL, toURL, store.TransferOptions{})

				is.True(errors.Is(err, store.ErrCorrupt))
				testkit.WantApplied(t, toURL, 0) // nothing was made of the destination

				damaged := testkit.OpenURL(t, fromURL)
				err = damaged.Backup(t.Context(), filepath.Join(t.TempDir(), "backup.db"))
				is.True(errors.Is(err, store.ErrCorrupt))
				_, err = damaged.Repair(t.Context(), store.CheckParams{})
				is.True(errors.Is(err, store.ErrCorrupt))
				err = store.Restore(t.Context(), path, toURL)
				is.True(errors.Is(err, store.ErrCorrupt))
			})
		}
	}
}

// If a page of a table has only zeros, a transfer that reads it returns ErrCorrupt.
func TestTransferOfAnUnreadableSource(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	s := testkit.OpenURL(t, url)
	testkit.FillAllKinds(t, s, 300)
	is.NoErr(s.Close())
	path := strings.TrimPrefix(url, "sqlite://")
	for _, page := range pagesOf(t, path, "generations") {
		data, err := os.ReadFile(path)
		is.NoErr(err)
		clear(data[(page-1)*4096 : page*4096])
		damaged := filepath.Join(t.TempDir(), "damaged.db")
		is.NoErr(os.WriteFile(damaged, data, 0o600))
		_, err = store.Transfer(t.Context(), "sqlite://"+damaged, storetest.URL(t), store.TransferOptions{})
		is.True(errors.Is(err, store.ErrCorrupt))
	}
}

// PostgreSQL has no check of its own that everybody may run. An index that misses rows shows in the number of rows.
func TestTransferOfAPostgresWithADamagedIndex(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.PostgresURL(t)
	s := testkit.OpenURL(t, url)
	testkit.FillAllKinds(t, s, 1000)
	const setReady = "UPDATE pg_index SET indisready = $1 WHERE indexrelid = 'generations_pkey'::regclass"
	testkit.Exec(t, s, setReady, false) // an index that is not ready gets no entries
	testkit.Create(t, s, "lost")
	testkit.Exec(t, s, setReady, true)
	testkit.Exec(t, s, "ANALYZE generations")
	is.NoErr(s.Close())

	to := storetest.URL(t)
	_, err := store.Transfer(t.Context(), url, to, store.TransferOptions{BatchSize: 10})
	is.True(errors.Is(err, store.ErrCorrupt))
	is.Equal(testkit.Count(t, testkit.OpenURL(t, to), "SELECT count(*) FROM generations"), int64(0))
}
