package postgres_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// An error quotes no value, whatever pgx or the server cannot do with it. The driver's own error stays in the chain.
func TestErrorsQuoteNoValue(t *testing.T) {
	t.Parallel()
	const secret = "a secret prompt"
	url := storetest.PostgresURL(t)
	want := func(t *testing.T, what string, err error) {
		t.Helper()
		if err == nil {
			t.Fatalf("%s succeeds", what)
		}
		if text := fmt.Sprintf("%v %+v", err, err); strings.Contains(text, "secret") || strings.Contains(text, "[]uint8{") {
			t.Errorf("%s: the error quotes the value: %s", what, text)
		}
		if inner := errors.Unwrap(err); inner == nil {
			t.Errorf("%s: the driver's error is not in the chain of %v", what, err)
		}
	}
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			ctx := t.Context()
			s := testkit.OpenURL(t, url+"&default_query_exec_mode="+mode)
			want(t, "an argument that cannot be encoded", testkit.Err(s.DB().Exec(ctx, "SELECT $1::int[]", []any{secret})))
			want(t, "a row's argument that cannot be encoded", s.DB().QueryRow(ctx, "SELECT $1::int[]",
				[]any{secret}).Scan(new(string)))
			rows, err := s.DB().Query(ctx, "SELECT $1::int[]", []any{secret})
			if err == nil {
				rows.Close()
				err = rows.Err()
			}
			want(t, "a query's argument that cannot be encoded", err)
			want(t, "a value that the server cannot read", testkit.Err(s.DB().Exec(ctx, "SELECT $1::text::int", secret)))
			want(t, "a time that the server cannot read",
				testkit.Err(s.DB().Exec(ctx, "SELECT $1::text::timestamptz", secret)))
			want(t, "words of a search", testkit.Err(s.DB().Exec(ctx, "SELECT to_tsquery($1::text)", secret+" &")))
			want(t, "a value that cannot be scanned",
				s.DB().QueryRow(ctx, "SELECT '"+secret+"'::text").Scan(new(time.Time)))
			rows, err = s.DB().Query(ctx, "SELECT '"+secret+"'::text")
			is.NoErr(err)
			is.True(rows.Next())
			want(t, "a value of rows that cannot be scanned", rows.Scan(new(int)))
			rows.Close()
			want(t, "a copy", testkit.Err(s.DB().CopyFrom(ctx, pgx.Identifier{"prompts"}, []string{"used_count"},
				pgx.CopyFromRows([][]any{{secret}}))))
			want(t, "a transaction", s.InTx(ctx, func(tx *store.Tx) error {
				return testkit.Err(tx.DB().Exec(ctx, "SELECT $1::int[]", []any{secret}))
			}))

			// What the store itself sends, in the modes in which pgx may not know a type.
			for what, err := range map[string]error{
				"CreateGeneration": testkit.Err(s.CreateGeneration(ctx, testkit.Beat(secret))),
				"CreateGenerations": testkit.Err(s.CreateGenerations(ctx, []store.CreateGenerationParams{
					testkit.Beat(secret), testkit.Beat(secret)})),
				"CancelBatch": testkit.Err(s.CancelBatch(ctx, uuid.New())),
			} {
				if err != nil {
					want(t, what, err)
				}
			}
		})
	}
}

// Errors that quote nothing keep their text.
func TestErrorsOfAStatementKeepTheirText(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	s := testkit.OpenURL(t, storetest.PostgresURL(t))
	_, err := s.DB().Exec(t.Context(), "SELEC 1")
	is.True(strings.Contains(err.Error(), `syntax error at or near "SELEC"`))
	err = s.DB().QueryRow(t.Context(), "SELECT 1 WHERE false").Scan(new(int))
	is.Equal(err, pgx.ErrNoRows)
	_, err = s.DB().Exec(t.Context(), "SELECT 1/0")
	refused, ok := errors.AsType[*pgconn.PgError](err)
	is.True(ok)
	is.Equal(refused.Code, "22012")
	is.Equal(err.Error(), "the server refuses a value (SQLSTATE 22012)")
}
