package sqliteconn

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/dburl"
)

// DurableSettings are the settings of a connection that writes.
var DurableSettings = []string{
	"journal_mode(WAL)",
	"synchronous(FULL)",      // a commit that was acknowledged survives a power cut
	"recursive_triggers(ON)", // else REPLACE would delete without the triggers that count and index
	"cache_size(-32768)",     // in KiB; with the default of 2 MiB a bulk insert writes pages before it commits
	"temp_store(MEMORY)",     // for the copies of pages that a statement changes; on disk, a bulk insert is a third slower
}

// openTimeout is busy_timeout while a connection is opened. It is short, because modernc ignores the context then.
const openTimeout = 20 * time.Millisecond

// MaxWaitTimeout is the longest busy_timeout that SQLite has, 24 days. It stands for a wait that only a context ends.
const MaxWaitTimeout = math.MaxInt32 * time.Millisecond

// DSN returns the URL in modernc's form. The settings become its _pragma parameters, which modernc runs when it opens a
// connection: busy_timeout first, then the others in sorted order. No setting may be passed twice.
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

// ReaderSettings is appended to a DSN. The connection then refuses statements that write.
const ReaderSettings = "&_pragma=query_only(ON)"

// OpenWhenFree opens a connection. While another process locks the file, it tries again until the deadline, and then
// returns ErrBusy. busy_timeout would not do: SQLite may ignore it while it changes the journal mode or recovers the
// WAL. The connection waits for locks for waitTimeout, or until the context of a call ends.
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
			return nil, whyNotOpened(dsn, err)
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("another process locked the database for longer than BusyTimeout: %w", Classify(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

// whyNotOpened adds to SQLITE_CANTOPEN, which says nothing of the cause, what keeps the file from being opened. It does
// not open the file: to close it again would drop the locks of this process's other connections
// (https://www.sqlite.org/howtocorrupt.html, section 2.2).
func whyNotOpened(dsn string, err error) error {
	lite, ok := errors.AsType[*sqlite.Error](err)
	if !ok || lite.Code()&0xff != sqlite3.SQLITE_CANTOPEN {
		return err
	}
	path, ok := pathOf(dsn)
	if !ok {
		return err
	}
	if directory, openErr := os.Open(filepath.Dir(path)); openErr != nil {
		// It has no such directory, this user may not read it, or the process has too many open files.
		return dberr.Classified(fmt.Errorf("the directory of %s cannot be opened: %w: %w", path, openErr, err))
	} else {
		directory.Close()
	}
	if missing := MissingTarget(path); missing != nil {
		return dberr.Classified(fmt.Errorf("%w: %w", missing, err))
	}
	if _, statErr := os.Stat(path); statErr != nil {
		return dberr.Classified(fmt.Errorf("the database cannot be opened: %w: %w", statErr, err))
	}
	return err
}

// MissingTarget returns an error that names both ends of a symbolic link that leads to no file, or nil.
func MissingTarget(path string) error {
	target, err := os.Readlink(path)
	if err != nil {
		return nil // it is no link
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is a symbolic link to %s, which does not exist: create that file, or remove the link",
			path, target)
	}
	return nil
}

// pathOf returns the path of the file that a DSN names. ok is false if that is a database in memory.
func pathOf(dsn string) (path string, ok bool) {
	parsed, err := url.Parse(dsn)
	if err != nil || parsed.Query().Get("vfs") == "memdb" {
		return "", false
	}
	if parsed.Opaque == "" {
		return filepath.FromSlash(parsed.Path), true
	}
	path, err = url.PathUnescape(parsed.Opaque) // a relative path
	return filepath.FromSlash(path), err == nil
}

// WithoutLog returns the settings except the one that brings a file into WAL mode.
func WithoutLog(settings []string) []string {
	return slices.DeleteFunc(slices.Clone(settings), func(s string) bool { return strings.HasPrefix(s, "journal_mode") })
}

// FileDSN returns the DSN of a file.
func FileDSN(path string, settings ...string) string {
	return DSN(dburl.Target{Engine: "sqlite", Path: path}, settings...)
}
