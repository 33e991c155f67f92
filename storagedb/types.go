package storagedb

import (
	"fmt"
	"time"
)

// TimePrecision is the precision of stored times: that of PostgreSQL's TIMESTAMPTZ.
const TimePrecision = time.Microsecond

// Status is where a generation stands. The four of the Python service's GenerationStatus, and the cancelled that its
// API wrote into the same column.
type Status string

const (
	StatusPending    Status = "pending"    // waiting for a worker
	StatusProcessing Status = "processing" // a worker is at it
	StatusCompleted  Status = "completed"  // the audio file is there
	StatusFailed     Status = "failed"     // see the error message
	StatusCancelled  Status = "cancelled"  // nobody wants it any more
)

// Statuses are all valid statuses, in the order of a generation's life.
func Statuses() []Status {
	return []Status{StatusPending, StatusProcessing, StatusCompleted, StatusFailed, StatusCancelled}
}

// Valid tells whether s is one of the five.
func (s Status) Valid() bool {
	switch s {
	case StatusPending, StatusProcessing, StatusCompleted, StatusFailed, StatusCancelled:
		return true
	}
	return false
}

// Finished tells whether s is completed, failed or cancelled.
func (s Status) Finished() bool {
	return s == StatusCompleted || s == StatusFailed || s == StatusCancelled
}

// ValidationError says that a value was refused before it reached the database. Match it with errors.As.
type ValidationError struct {
	Field   string // the column's name in SQL, or the parameter's, such as "limit"
	Problem string // what is wrong with it, and what would be right; never the value itself
}

func (e *ValidationError) Error() string {
	return fmt.Sprintf("invalid %s: %s", e.Field, e.Problem)
}

// IsPending tells whether g waits for a worker.
func (g Generation) IsPending() bool { return g.Status == StatusPending }

// IsProcessing tells whether a worker is at g.
func (g Generation) IsProcessing() bool { return g.Status == StatusProcessing }

// IsComplete tells whether g's audio is there.
func (g Generation) IsComplete() bool { return g.Status == StatusCompleted }

// IsFailed tells whether g has failed for good.
func (g Generation) IsFailed() bool { return g.Status == StatusFailed }

// IsCancelled tells whether g was cancelled.
func (g Generation) IsCancelled() bool { return g.Status == StatusCancelled }

// IsFinished tells whether g is completed, failed or cancelled. The Python service, which knew no cancelled, said
// completed or failed.
func (g Generation) IsFinished() bool { return g.Status.Finished() }
