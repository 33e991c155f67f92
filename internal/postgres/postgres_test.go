package postgres

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/storagedb"
)

func TestPostgresErrorsAreClassifiedByCode(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]error{
		"23505": dberr.ErrConflict, "55P03": dberr.ErrBusy, "40001": dberr.ErrBusy, "40P01": dberr.ErrBusy, "53300": dberr.ErrBusy,
	} {
		driver := &pgconn.PgError{Code: code, Message: "some text"}
		err := Classify(driver)
		var reachable *pgconn.PgError
		if !errors.Is(err, want) || !errors.As(err, &reachable) || reachable != driver {
			t.Errorf("%s: got %v, want %v", code, err, want)
		}
	}
	var invalid *storagedb.ValidationError
	err := Classify(&pgconn.PgError{Code: "23514", TableName: "generations", ConstraintName: "generations_channels_check"})
	if !errors.As(err, &invalid) || invalid.Field != "channels" {
		t.Errorf("check violation: got %v", err)
	}
	err = Classify(&pgconn.PgError{Code: "23514", TableName: "generations", ConstraintName: "other"})
	if !errors.As(err, &invalid) || invalid.Field != "row" {
		t.Errorf("check violation under another name: got %v", err)
	}
	other := &pgconn.PgError{Code: "42P01"}
	if Classify(other) != error(other) {
		t.Error("an unknown code is not left alone")
	}
}

func TestNotifierSendsOnceForManyRequests(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	var sent atomic.Int32
	n := &notifier{send: func() { sent.Add(1) }}
	began := time.Now()
	for range 1000 {
		n.request()
		time.Sleep(20 * time.Microsecond)
	}
	n.close()
	is.True(sent.Load() >= 2)                                         // at once, and for what came later
	is.True(sent.Load() <= int32(time.Since(began)/notifyInterval)+2) // and not for each
	n.request()
	n.close()
}
