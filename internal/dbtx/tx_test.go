package dbtx

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/storagedb"
)

var errBroken = errors.New("broken")

// script is a connection that records the statements, and fails those that it is told to. As on PostgreSQL, an error
// fails the transaction until it is rolled back to a savepoint.
type script struct {
	storagedb.DBTX
	said  []string
	fails map[string]error
	state State
	rows  *openRows
}

func (s *script) Exec(_ context.Context, sql string, _ ...any) (pgconn.CommandTag, error) {
	s.said = append(s.said, sql)
	if err := s.fails[sql]; err != nil {
		s.state = Failed
		return pgconn.CommandTag{}, err
	}
	if strings.HasPrefix(sql, "ROLLBACK TO") {
		s.state = Open
	}
	return pgconn.CommandTag{}, nil
}

func (s *script) Query(context.Context, string, ...any) (pgx.Rows, error) {
	s.rows = &openRows{}
	return s.rows, nil
}

// openRows is a result of which nothing was read yet.
type openRows struct {
	pgx.Rows
	closed bool
}

func (r *openRows) Close()     { r.closed = true }
func (r *openRows) Err() error { return nil }

func newScript(fails map[string]error) (*script, *Tx) {
	s := &script{fails: fails}
	return s, NewTx(s, func() State { return s.state })
}

func (s *script) exec(t *testing.T, tx *Tx, sql string) func() error {
	return func() error { _, err := tx.Exec(t.Context(), sql); return err }
}

func TestOperationThatFailsIsRolledBackAlone(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, tx := newScript(map[string]error{"bad": errBroken})
	is.NoErr(tx.Atomically(t.Context(), s.exec(t, tx, "good")))
	is.Equal(tx.Atomically(t.Context(), s.exec(t, tx, "bad")), errBroken)
	is.NoErr(tx.Atomically(t.Context(), s.exec(t, tx, "good")))
	is.Equal(s.said, []string{
		"SAVEPOINT operation", "good", "RELEASE SAVEPOINT operation",
		"SAVEPOINT operation", "bad", "ROLLBACK TO SAVEPOINT operation", "RELEASE SAVEPOINT operation",
		"SAVEPOINT operation", "good", "RELEASE SAVEPOINT operation",
	})
	is.NoErr(tx.Finish())
}

func TestRollbackThatFailsIsReported(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	worse := errors.New("worse")
	for _, statement := range []string{"ROLLBACK TO SAVEPOINT operation", "RELEASE SAVEPOINT operation"} {
		s, tx := newScript(map[string]error{"bad": errBroken, statement: worse})
		err := tx.Atomically(t.Context(), s.exec(t, tx, "bad"))
		is.True(errors.Is(err, errBroken))
		is.True(errors.Is(err, worse))
		is.True(tx.Finish() != nil)
	}
}

// An error that was passed over has ended the transaction: it must not commit what came before.
func TestErrorThatEndedTheTransaction(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, tx := newScript(map[string]error{"bad": errBroken})
	is.Equal(s.exec(t, tx, "bad")(), errBroken)
	err := tx.Finish()
	is.True(errors.Is(err, errBroken))
	is.True(errors.Is(s.exec(t, tx, "late")(), dberr.ErrClosed))
	_, err = tx.Query(t.Context(), "late")
	is.True(errors.Is(err, dberr.ErrClosed))
	is.True(errors.Is(tx.QueryRow(t.Context(), "late").Scan(), dberr.ErrClosed))
	_, err = tx.CopyFrom(t.Context(), nil, nil, nil)
	is.True(errors.Is(err, dberr.ErrClosed))
	is.NoErr(tx.Finish()) // the second does nothing
	is.Equal(s.said, []string{"bad"})
}

// SQLite rolls the whole transaction back if it interrupts a statement. What followed would commit by itself.
func TestStatementThatWasCutOffEndsTheTransaction(t *testing.T) {
	t.Parallel()
	for _, cut := range []error{context.Canceled, context.DeadlineExceeded} {
		is := is.New(t)
		s, tx := newScript(map[string]error{"long": cut})
		is.Equal(s.exec(t, tx, "long")(), cut)
		s.state = Open // whatever the connection says
		is.True(errors.Is(s.exec(t, tx, "next")(), cut))
		is.True(errors.Is(tx.Finish(), cut))
		is.Equal(s.said, []string{"long"})
	}
}

func TestTransactionThatEndedByItself(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, tx := newScript(nil)
	is.NoErr(s.exec(t, tx, "COMMIT")())
	s.state = Ended
	is.True(strings.Contains(s.exec(t, tx, "next")().Error(), "COMMIT"))
	is.True(strings.Contains(tx.Finish().Error(), "COMMIT"))
	is.Equal(s.said, []string{"COMMIT"})
}

func TestResultLeftOpenIsClosed(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s, tx := newScript(nil)
	rows, err := tx.Query(t.Context(), "SELECT")
	is.NoErr(err)
	rows.Close()
	_, err = tx.Query(t.Context(), "SELECT")
	is.NoErr(err)
	is.True(strings.Contains(tx.Finish().Error(), "left open"))
	is.True(s.rows.closed)
}
