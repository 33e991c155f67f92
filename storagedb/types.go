package storagedb

import (
	"fmt"
	"time"
)

// TimePrecision is the precision of stored times. It is that of PostgreSQL's TIMESTAMPTZ.
const TimePrecision = time.Microsecond

// Status is the status of a generation: one of the five constants. The zero value is not valid. The Python service had
// the first four in GenerationStatus, and its API wrote cancelled into the same column.
type Status string

// The statuses of a generation.
const (
	StatusPending    Status = "pending"    // it waits for a worker
	StatusProcessing Status = "processing" // a worker works on it
	StatusCompleted  Status = "completed"  // its audio file exists
	StatusFailed     Status = "failed"     // it failed for good
	StatusCancelled  Status = "cancelled"  // a caller cancelled it
)

// Statuses returns the five statuses, in the order of a generation's life.
func Statuses() []Status {
	return []Status{StatusPending, StatusProcessing, StatusCompleted, StatusFailed, StatusCancelled}
}

// Valid reports whether s is one of the five statuses.
func (s Status) Valid() bool {
	switch s {
	case StatusPending, StatusProcessing, StatusCompleted, StatusFailed, StatusCancelled:
		return true
	}
	return false
}

// Finished reports whether s is completed, failed or cancelled.
func (s Status) Finished() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled
}

// ValidationError is returned if a value is refused before it reaches the database. Match it with errors.As.
type ValidationError struct {
	// Field is the name of the column in SQL, or of the parameter, such as "limit".
	Field string
	// Problem says what is wrong with the value, to be read after Field. It never has the value itself.
	Problem string
}

// Error returns "invalid", the field and the problem.
func (e *ValidationError) Error() string {
	return fmt.Sprintf("invalid %s: %s", e.Field, e.Problem)
}

// UnreadableError is returned if a stored row has a value that the store cannot read, such as the time infinity. The
// schema refuses such values. Match it with errors.As.
type UnreadableError struct {
	// Key is the ID of the row; of a generation's error it is the generation's ID, a slash and the attempt. It is empty if
	// the query did not read it.
	Key string
	// Column is the name of the column in SQL.
	Column string
	// Err is the driver's reason.
	Err error
}

// Error returns the column, the row and the reason.
func (e *UnreadableError) Error() string {
	return fmt.Sprintf("%s of the row %q cannot be read, correct it or delete the row: %v", e.Column, e.Key, e.Err)
}

// Unwrap returns the driver's reason.
func (e *UnreadableError) Unwrap() error { return e.Err }

// IsPending reports whether g waits for a worker.
func (g Generation) IsPending() bool { return g.Status == StatusPending }

// IsProcessing reports whether a worker works on g.
func (g Generation) IsProcessing() bool { return g.Status == StatusProcessing }

// IsComplete reports whether g is completed: a worker has made its audio file.
func (g Generation) IsComplete() bool { return g.Status == StatusCompleted }

// IsFailed reports whether g failed for good. A generation that will be tried again is pending.
func (g Generation) IsFailed() bool { return g.Status == StatusFailed }

// IsCancelled reports whether a caller cancelled g.
func (g Generation) IsCancelled() bool { return g.Status == StatusCancelled }

// IsFinished reports whether g is completed, failed or cancelled. The method of the Python service reported only the
// first two.
func (g Generation) IsFinished() bool { return g.Status.Finished() }
