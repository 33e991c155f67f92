package sqliteconn

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/internal/dberr"
)

// Classify puts the store's error before one of SQLite, by its result code (https://www.sqlite.org/rescode.html). It
// leaves any other error as it is.
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
		// The code tells the kind of error. SQLite gives the constraint's name only in the text.
		return fmt.Errorf("%w: %w", dberr.RefusedBySchema(lite.Error()), err)
	}
	switch lite.Code() & 0xff { // the primary code
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: %w", dberr.ErrBusy, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("this is not a SQLite database: %w", err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("the database file and its folder must be readable and writable for this user: %w", err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full; this has changed nothing; make room and try again: %w", err)
	}
	return nil
}
