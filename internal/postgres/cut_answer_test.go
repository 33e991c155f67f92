package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// cutter passes connections on to a PostgreSQL server, and cuts one of them off within an answer of the server. The
// server has done by then what it was asked for.
type cutter struct {
	network, address string
	trip             atomic.Int64 // the answer to cut, counted down; 0: none
	passed           atomic.Int64 // how many bytes of it to pass on
}

// cut cuts the given answer from now on, 1 for the next, after some of its bytes.
func (c *cutter) cut(trip, passed int64) {
	c.passed.Store(passed)
	c.trip.Store(trip)
}

func (c *cutter) serve(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(c.network, c.address)
		if err != nil {
			client.Close()
			continue
		}
		go func() {
			defer server.Close()
			_, _ = io.Copy(server, client)
		}()
		go func() {
			defer client.Close()
			c.answer(client, server)
		}()
	}
}

// answer passes on answer by answer, until it has cut one.
func (c *cutter) answer(client io.Writer, server io.Reader) {
	var answer []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := server.Read(buffer)
		if err != nil {
			return
		}
		answer = append(answer, buffer[:n]...)
		if !isWhole(answer) {
			continue
		}
		if c.trip.Load() > 0 && c.trip.Add(-1) == 0 {
			_, _ = client.Write(answer[:min(c.passed.Load(), int64(len(answer)))])
			return
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
		answer = answer[:0]
	}
}

// isWhole reports whether an answer ends with ReadyForQuery, or asks for a password.
func isWhole(answer []byte) bool {
	end := []byte{'Z', 0, 0, 0, 5}
	return len(answer) > len(end) && bytes.Equal(answer[len(answer)-len(end)-1:len(answer)-1], end) ||
		len(answer) > 0 && answer[0] == 'R' && !bytes.Contains(answer, []byte("server_version"))
}

// newCutter returns a cutter before a new database, the database's URL through it, and a store that does without it.
func newCutter(t *testing.T) (*cutter, string, *store.Store) {
	t.Helper()
	is := is.New(t)
	url := storetest.PostgresURL(t)
	config, err := pgconn.ParseConfig(url)
	is.NoErr(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	is.NoErr(err)
	t.Cleanup(func() { listener.Close() })
	c := new(cutter)
	c.network, c.address = pgconn.NetworkAddress(config.Host, config.Port)
	go c.serve(listener)
	through := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", config.User, listener.Addr(), config.Database)
	return c, through, testkit.OpenURL(t, url)
}

// A statement whose answer is cut off may have taken effect: it does not run again, and no error says that it may.
func TestAnswerThatIsCutOff(t *testing.T) {
	t.Parallel()
	const prompt = "piano"
	operations := map[string]func(context.Context, *store.Store) error{
		"TrackPrompt": func(ctx context.Context, s *store.Store) error {
			_, err := s.TrackPrompt(ctx, prompt)
			return err
		},
		"InTx": func(ctx context.Context, s *store.Store) error {
			return s.InTx(ctx, func(tx *store.Tx) error {
				_, err := tx.TrackPrompt(ctx, prompt)
				return err
			})
		},
		"DB": func(ctx context.Context, s *store.Store) error {
			_, err := s.DB().Exec(ctx, "UPDATE prompts SET used_count = used_count + 1 WHERE text = 'piano'")
			return err
		},
	}
	modes := []string{"cache_statement", "simple_protocol", "cache_describe", "describe_exec", "exec"}
	if testing.Short() {
		modes = modes[:2]
	}
	for _, mode := range modes {
		for name, operation := range operations {
			t.Run(mode+"/"+name, func(t *testing.T) {
				t.Parallel()
				ctx := t.Context()
				cutter, url, direct := newCutter(t)
				s := testkit.OpenURL(t, url+"&pool_max_conns=1&default_query_exec_mode="+mode)
				used := func() int64 {
					p, err := direct.TrackPrompt(ctx, prompt)
					is.New(t).NoErr(err)
					return p.UsedCount
				}
				used()
				for trip := range int64(4) {
					for _, passed := range []int64{0, 1, 5, 9, 40} {
						is := is.New(t)
						before := used()
						_ = s.Ping(ctx) // meets the end of a connection that was cut off after its answer
						cutter.cut(trip+1, passed)
						err := operation(ctx, s)
						cutter.cut(0, 0)
						times := used() - before - 1
						if err == nil {
							is.Equal(times, int64(1))
						}
						is.True(times == 0 || times == 1)
						is.True(!pgconn.SafeToRetry(err))
						is.True(!errors.Is(err, store.ErrNotFound))
					}
				}
			})
		}
	}
}

// A deletion, a cancellation or a claim whose answer is cut off is not tried again, and found to be done.
func TestAnswerOfOneCallThatIsCutOff(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_statement", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			ctx := t.Context()
			cutter, url, direct := newCutter(t)
			s := testkit.OpenURL(t, url+"&pool_max_conns=1&default_query_exec_mode="+mode)
			claim := store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute}
			calls := []func(store.Generation) error{
				func(g store.Generation) error { return s.DeleteGeneration(ctx, g.ID) },
				func(g store.Generation) error { return testkit.Err(s.CancelGeneration(ctx, g.ID)) },
				func(store.Generation) error { return testkit.Err(s.ClaimGenerations(ctx, claim)) },
			}
			for _, call := range calls {
				is.NoErr(call(testkit.Create(t, direct, "x"))) // prepares the statement
				g := testkit.Create(t, direct, "x")
				other := testkit.Create(t, direct, "x")
				cutter.cut(1, 0)
				err := call(g)
				is.True(err != nil && !errors.Is(err, store.ErrNotFound) && !pgconn.SafeToRetry(err))
				untouched, err := direct.GetGeneration(ctx, other.ID)
				is.NoErr(err)
				is.Equal(untouched.Status, store.StatusPending)
				is.NoErr(direct.DeleteGeneration(ctx, other.ID))
			}
		})
	}
}
