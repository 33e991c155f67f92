package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Backup writes the database to a SQLite file: all that was committed before, and nothing that is half done. Writers go on
// meanwhile; the log grows by what they write, and shrinks when the backup is done. The file gets its name once SQLite's integrity
// check has passed and it has reached the disk; until then it is called <name>.<digits>.unfinished. An earlier backup of that
// name is replaced; any other file is a *ValidationError, and so is the database itself. The file is readable by its owner alone.
//
// On PostgreSQL it returns an error that matches errors.ErrUnsupported: [Transfer] into a SQLite file serves, and so does pg_dump.
func (s *Store) Backup(ctx context.Context, path string) error {
	err := checkBackupPath(path)
	if err == nil {
		err = s.engine.backup(ctx, path)
	}
	return describe("back up", err)
}

// checkBackupPath lets nothing be replaced but an earlier backup.
func checkBackupPath(path string) error {
	if path == "" {
		return invalid("path", "is empty")
	}
	switch err := checkSQLiteFile(path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// sqliteHeader is what every database file begins with, https://www.sqlite.org/fileformat.html#the_database_header.
const sqliteHeader = "SQLite format 3\x00"

func checkSQLiteFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return invalid("path", "is no file")
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	header := make([]byte, len(sqliteHeader))
	if _, err := io.ReadFull(file, header); err != nil && !atEnd(err) {
		return err
	}
	if !bytes.Equal(header, []byte(sqliteHeader)) {
		return invalid("path", "is a file that is no SQLite database")
	}
	return nil
}

// Restore replaces the database of url by a backup. ALL DATA THAT IS IN IT IS LOST. Stop those who use it first: what they write
// meanwhile is lost, too. On SQLite the file is replaced as a whole or, where an error comes back or the process is killed, not at
// all; it is created where there is none. Into PostgreSQL it is a [Transfer], which wants an empty database and a backup at this
// program's schema version.
//
// The backup may be of an older version of the schema: call [Migrate] then. It may also be a database of the Python service, such
// as the copy that Migrate keeps. Of a newer version it is ErrSchemaOutdated; a file that is no SQLite database, or fails SQLite's
// integrity check, is an error before anything changes; ErrBusy says that somebody kept the database from being replaced.
func Restore(ctx context.Context, path, url string) error {
	t, err := parseURL(url)
	if err != nil {
		return err
	}
	if t.memory != "" {
		return invalid("url", "is of a database in memory, which ends with the call")
	}
	if err := checkBackup(ctx, path); err != nil {
		return describe("restore", err)
	}
	if t.engine == "postgres" {
		from, err := sqliteFileURL(path)
		if err != nil {
			return describe("restore", err)
		}
		_, err = Transfer(ctx, from, url, TransferOptions{})
		return err
	}
	return describe("restore", restoreSQLite(ctx, path, t))
}

// checkBackup looks at a backup without changing it.
func checkBackup(ctx context.Context, path string) error {
	if path == "" {
		return invalid("path", "is empty")
	}
	if err := checkSQLiteFile(path); err != nil {
		return err
	}
	t := target{engine: "sqlite", path: path}
	if _, err := inspect(ctx, t, defaultBusyTimeout); err != nil && !errors.Is(err, ErrPythonDatabase) {
		return err
	}
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(defaultBusyTimeout), fileDSN(path, "query_only(ON)"), defaultBusyTimeout)
	if err != nil {
		return err
	}
	defer conn.close()
	var tables int
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('generations', 'prompts')").Scan(&tables); err != nil {
		return err
	}
	if tables != 2 {
		return invalid("path", "is no backup of this store: it has no table generations or prompts")
	}
	return checkIntegrity(ctx, conn)
}

// restoreSQLite copies all pages in one transaction on the database that is replaced.
func restoreSQLite(ctx context.Context, path string, t target) error {
	if err := checkNotSame(path, t.path); err != nil {
		return err
	}
	if err := prepareSQLiteFile(t.path, true); err != nil {
		return err
	}
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(defaultBusyTimeout), t.sqliteDSN(durableSettings...), defaultBusyTimeout)
	if err != nil {
		return err
	}
	defer conn.close()
	if err := checkPageSize(ctx, conn, path); err != nil {
		return err
	}
	restore, err := conn.conn.(backuper).NewRestore(fileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	err = stepThrough(ctx, restore, func() error { return nil })
	if finished := restore.Finish(); err == nil {
		err = finished
	}
	return err
}

func checkNotSame(path, database string) error {
	backup, err := os.Stat(path)
	if err != nil {
		return err
	}
	replaced, err := os.Stat(database)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && os.SameFile(backup, replaced) {
		return invalid("path", "is the database itself")
	}
	return err
}

// checkPageSize refuses what SQLite would with an error about permissions: a database with a log keeps its page size.
func checkPageSize(ctx context.Context, conn *sqliteConn, path string) error {
	var is, want int
	if err := conn.QueryRow(ctx, "PRAGMA page_size").Scan(&is); err != nil {
		return err
	}
	backup, err := openSQLiteConn(fileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer backup.close()
	if err := backup.QueryRow(ctx, "PRAGMA page_size").Scan(&want); err != nil {
		return err
	}
	if is != want {
		return fmt.Errorf("the backup has pages of %d bytes and the database of %d: copy the backup to a new place and use it there, once nobody has the database open", want, is)
	}
	return nil
}
