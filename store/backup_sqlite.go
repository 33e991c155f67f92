package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// pagesPerStep is how much of a copy is made until its context is asked, and the disk: 4 MiB. If the disk got all of it
	// in the end, the commits of others would wait for that.
	pagesPerStep = 1024
	// unfinishedSuffix marks a copy that is not whole. One of a process that was killed stays until the next one.
	unfinishedSuffix = ".unfinished"
	// unfinishedFor is how old such a file is when it surely is of a process that was killed.
	unfinishedFor = 24 * time.Hour
)

// backup reads from one snapshot, on a connection of its own: writers go on, and only the log cannot begin anew meanwhile.
func (e *sqliteEngine) backup(ctx context.Context, path string) error {
	e.backups.RLock()
	defer e.backups.RUnlock()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-e.closed:
			stop(ErrClosed)
		case <-ctx.Done():
		}
	}()
	err := e.backupTo(ctx, path)
	if err != nil && errors.Is(context.Cause(ctx), ErrClosed) {
		return ErrClosed
	}
	return err
}

func (e *sqliteEngine) backupTo(ctx context.Context, path string) error {
	path, err := e.checkBackupPath(ctx, path)
	if err != nil {
		return err
	}
	if e.memory {
		return e.backupFrom(ctx, path, e.readers)
	}
	if err := e.beginBackup(ctx); err != nil {
		return err
	}
	defer e.endBackup()
	pool := make(chan *sqliteConn, 1)
	pool <- nil
	err = e.backupFrom(ctx, path, pool)
	if conn := <-pool; conn != nil {
		conn.close()
	}
	return err
}

// checkBackupPath returns the file that is to be written. It lets nothing be replaced but an earlier backup.
func (e *sqliteEngine) checkBackupPath(ctx context.Context, path string) (string, error) {
	if path == "" {
		return "", invalid("path", "is empty")
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	for _, own := range e.ownFiles() {
		same, err := sameFile(path, own)
		if err != nil {
			return "", err
		}
		if same {
			return "", invalid("path", "is the database itself, or a file that SQLite keeps beside it")
		}
	}
	if log, err := logOf(path); err != nil {
		return "", err
	} else if log != "" {
		return "", invalid("path", "has a log beside it, "+log+", which belongs to a database of this name that somebody uses, or that a process left which was killed: name another file, or see to that one")
	}
	switch err := checkDatabaseFile(ctx, path); {
	case errors.Is(err, fs.ErrNotExist):
		return path, nil
	default:
		return path, err
	}
}

// sameFile tells whether two names are, or would be, those of one file.
func sameFile(a, b string) (bool, error) {
	a, err := filepath.Abs(a)
	if err != nil {
		return false, err
	}
	b, err = filepath.Abs(b)
	if err != nil || a == b {
		return a == b, err
	}
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	for _, err := range []error{errA, errB} {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			return false, err
		}
	}
	return os.SameFile(infoA, infoB), nil
}

// logSuffixes are of the files that SQLite keeps beside a database.
var logSuffixes = []string{"-wal", "-shm", "-journal"}

// logOf finds what SQLite would read together with a file of this name.
func logOf(path string) (string, error) {
	for _, suffix := range logSuffixes {
		if _, err := os.Lstat(path + suffix); err == nil {
			return filepath.Base(path) + suffix, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", nil
}

// checkDatabaseFile has SQLite look whether the file is a database of the store, or of the Python service: whoever opened and
// closed it by other ways would drop the locks of a store that this process has open on it
// (https://www.sqlite.org/howtocorrupt.html, section 2.2).
func checkDatabaseFile(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return invalid("path", "is no file")
	}
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(defaultBusyTimeout), fileDSN(path, "query_only(ON)"), defaultBusyTimeout)
	if err != nil {
		return err
	}
	defer conn.close()
	var tables int
	err = conn.QueryRow(ctx, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('generations', 'prompts')").Scan(&tables)
	if lite, ok := errors.AsType[*sqlite.Error](err); ok && lite.Code() == sqlite3.SQLITE_NOTADB {
		return invalid("path", "is a file that is no SQLite database")
	}
	if err == nil && tables != 2 {
		return invalid("path", "is a file that is no backup of this store: it has no tables generations and prompts")
	}
	return err
}

// beginBackup keeps commits from bringing the log back, as they do once it is large: behind a backup that would be all that was
// written meanwhile, and everybody would wait for it.
func (e *sqliteEngine) beginBackup(ctx context.Context) error {
	e.backingUp.Lock()
	defer e.backingUp.Unlock()
	if e.backupCount == 0 {
		if err := e.setAutoCheckpoint(ctx, 0); err != nil {
			return err
		}
	}
	e.backupCount++
	return nil
}

func (e *sqliteEngine) endBackup() {
	e.backingUp.Lock()
	defer e.backingUp.Unlock()
	if e.backupCount--; e.backupCount == 0 {
		e.catchUp()
	}
}

// setAutoCheckpoint sets how large the log may be until a commit brings it back.
func (e *sqliteEngine) setAutoCheckpoint(ctx context.Context, pages int) error {
	writer, err := e.take(ctx, e.writer, time.Now().Add(e.patience))
	if err != nil {
		return err
	}
	defer func() { e.writer <- writer }()
	var set int
	return writer.QueryRow(ctx, fmt.Sprintf("PRAGMA wal_autocheckpoint(%d)", pages)).Scan(&set)
}

// catchUp brings back what was written during a backup, beside the writer, and lets commits do so again. Where the writer is
// not to be had, the checkpoints beside it go on alone. The backup is whole by now, so that an error of this is not its own.
func (e *sqliteEngine) catchUp() {
	c := &e.checkpointer
	c.running.Lock()
	defer c.running.Unlock()
	if c.closed {
		return
	}
	c.written.Store(0)
	e.logCheckpoint(errors.Join(e.runCheckpoint(c, catchUpRounds), e.setAutoCheckpoint(context.Background(), autoCheckpointPages)))
}

func (e *sqliteEngine) backupFrom(ctx context.Context, path string, pool chan *sqliteConn) error {
	conn, err := e.take(ctx, pool, time.Now().Add(e.patience))
	if err != nil {
		return err
	}
	defer func() { pool <- e.rollback(conn) }()
	return copySQLite(ctx, conn, path, unfinishedFor)
}

// keepCopy copies the database to path, or where that is taken by something else to path-2, and so on. A copy that a process has
// left which was killed serves. Nobody else makes one at the same time, and nobody writes.
func keepCopy(ctx context.Context, t target, path string) error {
	conn, err := openSQLiteWhenFree(ctx, time.Now().Add(defaultBusyTimeout), t.sqliteDSN("query_only(ON)"), defaultBusyTimeout)
	if err != nil {
		return err
	}
	defer conn.close() // ends its transaction
	made := path + ".whole" + unfinishedSuffix
	if err := copySQLite(ctx, conn, made, 0); err != nil {
		return err
	}
	for n := 1; ; n++ {
		name := path
		if n > 1 {
			name = fmt.Sprintf("%s-%d", path, n)
		}
		switch log, err := logOf(name); {
		case err != nil:
			return err
		case log != "": // SQLite would read it together with the copy
			continue
		}
		same, err := sameContent(made, name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return renameDurably(made, name)
		case err != nil:
			return err
		case same:
			return os.Remove(made)
		}
	}
}

// sameContent compares files that no connection of this process has open. What is no file is not the same.
func sameContent(a, b string) (bool, error) {
	if info, err := os.Stat(b); err != nil || !info.Mode().IsRegular() {
		if _, there := os.Lstat(b); there == nil {
			return false, nil // a folder, or a link to nothing
		}
		return false, err
	}
	fileA, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fileA.Close()
	fileB, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fileB.Close()
	blockA, blockB := make([]byte, 1<<16), make([]byte, 1<<16)
	for {
		nA, errA := io.ReadFull(fileA, blockA)
		nB, errB := io.ReadFull(fileB, blockB)
		switch {
		case string(blockA[:nA]) != string(blockB[:nB]):
			return false, nil
		case errA == nil && errB == nil:
		case atEnd(errA) && atEnd(errB):
			return true, nil
		default:
			return false, errors.Join(errA, errB)
		}
	}
}

func atEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// copySQLite copies the database as it is now, with SQLite's backup, checks the copy, and then gives it its name: what has that
// name is whole, and has reached the disk. It leaves conn in a transaction.
func copySQLite(ctx context.Context, conn *sqliteConn, path string, leftFor time.Duration) (err error) {
	if err := removeUnfinished(path, leftFor); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+unfinishedSuffix) // mode 0600
	if err != nil {
		return err
	}
	unfinished := file.Name()
	defer func() {
		// Not before SQLite has closed it: that would drop SQLite's locks (https://www.sqlite.org/howtocorrupt.html, section 2.2).
		file.Close()
		if err != nil {
			for _, suffix := range append([]string{""}, logSuffixes...) {
				os.Remove(unfinished + suffix)
			}
		}
	}()
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		return err
	}
	// The first statement that reads makes the snapshot, and as long as it lasts SQLite's backup does not begin again.
	if _, err := conn.Exec(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1"); err != nil {
		return err
	}
	if err := copyPages(ctx, conn, file); err != nil {
		return err
	}
	// As a file without a log: a copy of one with a log says that there is one, and to look at it would make it.
	// https://www.sqlite.org/fileformat.html#file_format_version_numbers
	if _, err := file.WriteAt([]byte{1, 1}, 18); err != nil {
		return err
	}
	if err := checkCopy(ctx, unfinished); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil { // Windows renames no open file
		return err
	}
	return renameDurably(unfinished, path)
}

func removeUnfinished(path string, leftFor time.Duration) error {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		for _, suffix := range logSuffixes {
			name = strings.TrimSuffix(name, suffix)
		}
		if !strings.HasPrefix(name, filepath.Base(path)+".") || !strings.HasSuffix(name, unfinishedSuffix) {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) >= leftFor {
			if err := os.Remove(filepath.Join(filepath.Dir(path), entry.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// copyPages needs no journal: what is cut off half way is thrown away.
func copyPages(ctx context.Context, conn *sqliteConn, file *os.File) error {
	backup, err := conn.conn.(backuper).NewBackup(fileDSN(file.Name(), "journal_mode(OFF)", "synchronous(OFF)"))
	if err != nil {
		return err
	}
	err = stepThrough(ctx, backup, file.Sync)
	if finished := backup.Finish(); err == nil {
		err = finished
	}
	return err
}

// backuper is modernc's connection.
type backuper interface {
	NewBackup(to string) (*sqlite.Backup, error)
	NewRestore(from string) (*sqlite.Backup, error)
}

// stepThrough copies some pages, does what is to be done in between, and so on.
func stepThrough(ctx context.Context, backup *sqlite.Backup, between func() error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		more, err := backup.Step(pagesPerStep)
		if err != nil || !more {
			return err
		}
		if err := between(); err != nil {
			return err
		}
	}
}

// checkCopy has SQLite check a copy that nobody else knows of.
func checkCopy(ctx context.Context, path string) error {
	conn, err := openSQLiteConn(fileDSN(path, "query_only(ON)"))
	if err != nil {
		return err
	}
	defer conn.close()
	return checkIntegrity(ctx, conn)
}

func checkIntegrity(ctx context.Context, conn *sqliteConn) error {
	var first string
	if err := conn.QueryRow(ctx, "PRAGMA integrity_check(1)").Scan(&first); err != nil {
		return err
	}
	if first != "ok" {
		return fmt.Errorf("the integrity check of SQLite found: %s", first)
	}
	return nil
}

// fileDSN is modernc's form of a file's name.
func fileDSN(path string, settings ...string) string {
	return target{engine: "sqlite", path: path}.sqliteDSN(settings...)
}

// renameDurably also has the folder remember the name through a power cut, where the system lets it.
func renameDurably(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	if runtime.GOOS == "windows" { // which syncs no folders
		return nil
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
