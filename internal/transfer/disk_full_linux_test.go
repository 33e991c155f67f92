package transfer_test

import (
	"context"
	"errors"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func postgresOnDisk(t *testing.T, folder string) string {
	t.Helper()
	is := is.New(t)
	ctx := t.Context()
	admin := storetest.EmptyPostgresURL(t)
	if account, err := user.Lookup("postgres"); err == nil { // whose the folder must be
		uid, _ := strconv.Atoi(account.Uid)
		is.NoErr(os.Chown(folder, uid, -1))
	}
	conn, err := pgx.Connect(ctx, admin)
	is.NoErr(err)
	name := "small_" + conn.Config().Database
	_, err = conn.Exec(ctx, "CREATE TABLESPACE "+name+" LOCATION '"+folder+"'")
	if err != nil {
		conn.Close(ctx)
		testkit.SkipUnlessRequired(t, "the server, which is somebody else's, gives no tablespace", err)
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name+" TABLESPACE "+name)
	is.NoErr(err)
	t.Cleanup(func() { // before the disk is taken away
		ctx := context.Background()
		defer conn.Close(ctx)
		for _, statement := range []string{"DROP DATABASE " + name + " WITH (FORCE)", "DROP TABLESPACE " + name} {
			if _, err := conn.Exec(ctx, statement); err != nil {
				t.Error(err)
			}
		}
	})
	parsed, err := url.Parse(admin)
	is.NoErr(err)
	parsed.Path = "/" + name
	return parsed.String()
}

// If the disk becomes full in the middle, the error says so, and what had been copied stays. With room the transfer
// goes on.
func TestTransferOntoAFullDisk(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("fills disks")
	}
	for _, to := range []struct {
		name         string
		url          func(t *testing.T, folder string) string
		small, large int
		saysSo       func(error) bool
	}{
		{"sqlite", func(_ *testing.T, folder string) string { return "sqlite://" + folder + "/new.db" }, 6, 200,
			func(err error) bool {
				return strings.Contains(err.Error(), "the disk is full")
			}},
		{"postgres", postgresOnDisk, 20, 300, func(err error) bool {
			refused, ok := errors.AsType[*pgconn.PgError](err)
			return ok && refused.Code == "53100" && strings.Contains(err.Error(), "the server's disk is full")
		}},
	} {
		t.Run(to.name, func(t *testing.T) {
			is := is.New(t)
			ctx := t.Context()
			fromURL := testkit.SQLite.URL(t)
			testkit.FillMany(t, fromURL, 20_000)
			disk := testkit.NewSmallDisk(t, to.small<<10)
			toURL := to.url(t, disk.Folder)
			copied := int64(0)
			_, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{BatchSize: 500,
				Progress: func(p store.TransferProgress) {
					if p.Table == "generations" && !p.Comparing {
						copied = p.Done
					}
				}})
			is.True(err != nil)
			t.Log(err)
			is.True(to.saysSo(err))
			is.True(copied > 0)
			is.True(copied < 20_000)

			disk.Grow(t, to.large<<10)
			s := testkit.OpenURL(t, toURL)
			is.Equal(testkit.Count(t, s, "SELECT count(*) FROM generations"),
				copied) // all that was acknowledged, and nothing else
			is.NoErr(s.CheckCounts(ctx))
			is.NoErr(s.Close())
			report, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
			is.NoErr(err)
			is.True(report.Resumed)
			wantSame(t, fromURL, toURL)
		})
	}
}
