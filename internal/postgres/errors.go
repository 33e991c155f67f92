package postgres

import (
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/dgx-music/storage/internal/dberr"
)

// Classify wraps an error of PostgreSQL in the store's error for its SQLSTATE
// (https://www.postgresql.org/docs/current/errcodes-appendix.html). It returns any other error as it is.
func Classify(err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || dberr.IsClassified(err) {
		return err
	}
	if classified := classifyCode(refused, err); classified != nil {
		return dberr.Classified(classified)
	}
	return err
}

func classifyCode(postgres *pgconn.PgError, err error) error {
	switch postgres.Code {
	case "23505": // unique_violation
		return fmt.Errorf("%w: %w", dberr.ErrConflict, err)
	case "23514": // check_violation
		return fmt.Errorf("%w: %w", dberr.RefusedBySchema(postgres.ConstraintName), err)
	case "55P03": // lock_not_available: our lock_timeout
		return fmt.Errorf("%w: another transaction holds the row; inside InTx use the tx, not the store: %w",
			dberr.ErrBusy, err)
	case "40001", "40P01", "53300": // serialization_failure, deadlock_detected, too_many_connections
		return fmt.Errorf("%w: %w", dberr.ErrBusy, err)
	case "XX001", "XX002": // data_corrupted, index_corrupted
		return fmt.Errorf("%w: %w", dberr.ErrCorrupt, err)
	case "53100": // disk_full
		return fmt.Errorf("the server's disk is full, and nothing was changed; free some space and try again: %w", err)
	case "3D000": // invalid_catalog_name
		return fmt.Errorf("the PostgreSQL database does not exist, create it with createdb or make db-init: %w", err)
	}
	return nil
}
