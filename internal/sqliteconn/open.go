package sqliteconn

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
)

// DurableSettings are the settings of a connection that writes.
var DurableSettings = []string{
	"journal_mode(WAL)",
	"synchronous(FULL)",      // a commit that was acknowledged survives a power cut
	"recursive_triggers(ON)", // or REPLACE would delete past the triggers that count and index
	"cache_size(-32768)",     // in KiB; with the default of 2 MiB a bulk insert writes pages out before it commits
	"temp_store(MEMORY)",     // the pages a statement may have to take back; on disk they cost a bulk insert a third of its speed
}

// openTimeout is busy_timeout while a connection is opened. It is short, because modernc honours no context then.
const openTimeout = 20 * time.Millisecond

// MaxWaitTimeout is the longest busy_timeout that SQLite takes, 24 days: a wait that only a context ends.
const MaxWaitTimeout = math.MaxInt32 * time.Millisecond

// DSN returns modernc's form of the URL. The settings are passed as _pragma, which modernc runs when it opens the
// connection: busy_timeout first, then the others in sorted order. None may be given twice.
func DSN(t dburl.Target, settings ...string) string {
	query := url.Values{"mode": {"rw"}, "_pragma": append([]string{busyTimeout(openTimeout)}, settings...)}
	if t.Memory != "" {
		// A name in SQLite's memory file system, so that a migration can open the same database.
		query.Set("vfs", "memdb")
		return "file:/" + t.Memory + "?" + query.Encode()
	}
	path := filepath.ToSlash(t.Path)
	if filepath.VolumeName(t.Path) != "" {
		path = "///" + path
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + query.Encode()
}

func busyTimeout(timeout time.Duration) string {
	return "busy_timeout(" + strconv.FormatInt(timeout.Milliseconds(), 10) + ")"
}

// ReaderSettings, after a DSN, makes a connection refuse every statement that writes.
const ReaderSettings = "&_pragma=query_only(ON)"

// OpenWhenFree opens a connection. While another process locks the file, it tries again until the deadline, then returns
// ErrBusy: when SQLite changes the journal mode or recovers the log, it does not always honour busy_timeout. The
// connection then waits for locks for waitTimeout, or until the context of a call ends.
func OpenWhenFree(ctx context.Context, deadline time.Time, dsn string, waitTimeout time.Duration) (*Conn, error) {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		conn, err := Open(dsn)
		if err == nil {
			if _, err = conn.Exec(ctx, "PRAGMA "+busyTimeout(waitTimeout)); err == nil {
				return conn, nil
			}
			conn.Close()
		}
		if !errors.Is(Classify(err), dberr.ErrBusy) {
			return nil, err
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("waited as long as BusyTimeout allows for another process to let go of the database: %w", Classify(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// WithoutLog returns the settings except the one that brings a file into WAL mode.
func WithoutLog(settings []string) []string {
	return slices.DeleteFunc(slices.Clone(settings), func(s string) bool { return strings.HasPrefix(s, "journal_mode") })
}

// FileDSN returns modernc's form of a file's name.
func FileDSN(path string, settings ...string) string {
	return DSN(dburl.Target{Engine: "sqlite", Path: path}, settings...)
}
