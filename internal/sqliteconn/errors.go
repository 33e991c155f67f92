package sqliteconn

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/internal/dberr"
)

// Classify wraps an error of SQLite in the store's error for its result code (https://www.sqlite.org/rescode.html). It
// returns any other error as it is.
func Classify(err error) error {
	lite, ok := errors.AsType[*sqlite.Error](err)
	if !ok || dberr.IsClassified(err) {
		return err
	}
	if classified := classifyCode(lite, err); classified != nil {
		return dberr.Classified(classified)
	}
	return err
}

func classifyCode(lite *sqlite.Error, err error) error {
	switch lite.Code() {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE:
		return fmt.Errorf("%w: %w", dberr.ErrConflict, err)
	case sqlite3.SQLITE_CONSTRAINT_CHECK, sqlite3.SQLITE_CONSTRAINT_TRIGGER:
		// The code is that of a kind of constraint. SQLite has the name of the constraint only in the text.
		return fmt.Errorf("%w: %w", dberr.RefusedBySchema(lite.Error()), err)
	}
	if lite.Code() == sqlite3.SQLITE_IOERR_GETTEMPPATH {
		return fmt.Errorf("there is no directory for temporary files, SQLITE_TMPDIR may name one: %w", err)
	}
	switch lite.Code() & 0xff { // the primary code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w", dberr.ErrBusy, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", dberr.ErrCorrupt, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("this is not a SQLite database: %w", err)
	case sqlite3.SQLITE_READONLY:
		return fmt.Errorf("the database file and its directory must be readable and writable for this user: %w", err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("the database, its -wal or -shm file or a temporary file cannot be opened: "+
			"all of them must be readable and writable for this user, their directories, too, "+
			"and SQLITE_TMPDIR may name the one for temporary files: %w", err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full, and nothing was changed; free some space and try again: %w", err)
	}
	return nil
}
