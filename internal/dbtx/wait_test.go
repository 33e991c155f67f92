package dbtx

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/dberr"
)

func TestWaitUntil(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	forEver := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
	for name, c := range map[string]struct {
		get     func(context.Context) (int, error)
		callers time.Duration // until the end of the caller's own context
		after   time.Duration
		want    []error
		says    string
	}{
		"a result": {func(context.Context) (int, error) { return 7, nil }, time.Hour, 0, nil, ""},
		"an error": {func(context.Context) (int, error) { return 0, broken }, time.Hour, 0, []error{broken}, "broken"},
		"the deadline": {forEver, time.Hour, time.Second, []error{dberr.ErrBusy},
			"waited as long as BusyTimeout allows for tea"},
		"the caller": {forEver, time.Millisecond, time.Millisecond, []error{context.DeadlineExceeded}, "deadline"},
		"somebody busy": {func(context.Context) (int, error) { return 0, dberr.ErrBusy }, time.Hour, 0,
			[]error{dberr.ErrBusy}, "while waiting for tea"},
		"an error at the deadline": {func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, broken }, time.Hour,
			time.Second,
			[]error{dberr.ErrBusy}, "for tea"},
		"a result at the deadline": {func(ctx context.Context) (int, error) { <-ctx.Done(); return 7, nil }, time.Hour,
			time.Second, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				is := is.New(t)
				ctx, cancel := context.WithTimeout(t.Context(), c.callers)
				defer cancel()
				began := time.Now()
				got, err := WaitUntil(ctx, began.Add(time.Second), "tea", c.get)
				is.Equal(time.Since(began), c.after)
				if c.want == nil {
					is.NoErr(err)
					is.Equal(got, 7)
					return
				}
				for _, want := range c.want {
					is.True(errors.Is(err, want))
				}
				is.True(strings.Contains(err.Error(), c.says))
			})
		})
	}
}
