package engine

import (
	"bytes"
	"cmp"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
)

// Options are those of an engine. Package store documents them.
type Options struct {
	MaxConns    int           // 0: the engine's default
	BusyTimeout time.Duration // positive
	ReadOnly    bool          // SQLite: no connection writes, and the file keeps its journal mode
	ReplicaURLs []string      // PostgreSQL
}

// Creation is a generation to create. The caller has checked it, and has drawn its ID.
type Creation struct {
	ID              uuid.UUID
	Prompt          string
	ModelName       string
	ModelVersion    *string
	DurationSeconds float64
	SampleRate      int64
	Channels        int64
	FilePath        string
	Metadata        storagedb.Metadata
	Priority        int64
	ScheduledAt     time.Time // zero: at once
	MaxAttempts     int64
	BatchID         uuid.UUID // zero: none
}

// DueAt returns the time at which the generation can be claimed.
func (c Creation) DueAt(now time.Time) time.Time {
	if c.ScheduledAt.IsZero() {
		return now
	}
	return c.ScheduledAt
}

// Row returns the row that the creation makes, with the schema's defaults.
func (c Creation) Row(now time.Time, promptID int64) storagedb.Generation {
	g := storagedb.Generation{
		ID: c.ID, Prompt: c.Prompt, ModelName: c.ModelName, ModelVersion: c.ModelVersion, DurationSeconds: c.DurationSeconds,
		SampleRate: c.SampleRate, Channels: c.Channels, FilePath: c.FilePath, Status: storagedb.StatusPending, CreatedAt: now,
		Metadata: c.Metadata, PromptID: promptID, Priority: c.Priority, ScheduledAt: c.DueAt(now), MaxAttempts: c.MaxAttempts,
		ProgressStep: StepQueued,
	}
	if c.BatchID != uuid.Nil {
		g.BatchID = &c.BatchID
	}
	return g
}

// StepQueued is the progress step that the schema gives a generation that waits.
const StepQueued = "queued"

// Completion completes a generation. Its metadata is merged over the generation's.
type Completion struct {
	ID                    uuid.UUID
	GenerationTimeSeconds float64
	FileSizeBytes         int64
	Metadata              storagedb.Metadata
	Attempt               int64 // 0: not under a claim
}

// Failure ends an attempt of a generation.
type Failure struct {
	ID      uuid.UUID
	Attempt int64 // 0: not under a claim
	Error   string
	Final   bool // no other attempt follows, however many are left
	// RetryAfter is the delay before the next attempt, by the number of attempts that failed before. The last element also
	// counts for all numbers beyond. If it is the only one, nobody has to count.
	RetryAfter []time.Duration
}

// RetryAt returns the time of the next attempt after so many earlier failures.
func (f Failure) RetryAt(now time.Time, failures int64) time.Time {
	if len(f.RetryAfter) == 0 {
		return now
	}
	after := f.RetryAfter[min(failures, int64(len(f.RetryAfter)-1))]
	return now.Add(after).Truncate(storagedb.TimePrecision)
}

// BacksOff reports whether the time of the next attempt depends on the number of earlier failures.
func (f Failure) BacksOff() bool { return len(f.RetryAfter) > 1 }

// LeaseExpired is the error of an attempt that was rescued. The engines pass it to their queries, so that it stands
// once.
const LeaseExpired = "lease expired: the worker did not extend it, so it may have been killed"

// Extension extends the lease of an attempt by Lease from now.
type Extension struct {
	ID      uuid.UUID
	Attempt int64
	Lease   time.Duration
}

// Expires returns the time at which the extended lease ends.
func (e Extension) Expires(now time.Time) time.Time { return expires(now, e.Lease) }

// Report is how far an attempt has got.
type Report struct {
	ID       uuid.UUID
	Attempt  int64
	Step     string // "": unchanged
	Fraction float64
}

// Claim takes pending generations.
type Claim struct {
	Worker     string
	Limit      int
	Lease      time.Duration
	ModelNames []string // empty: any
}

// Expires returns the time at which the lease of the claim ends.
func (c Claim) Expires(now time.Time) time.Time { return expires(now, c.Lease) }

func expires(now time.Time, lease time.Duration) time.Time {
	return now.Add(lease).Truncate(storagedb.TimePrecision)
}

// PromptSearch asks for the best prompts that match. Unless UnusedToo is set, it asks only for those that have a
// generation, of Status unless that is empty.
type PromptSearch struct {
	Words     listing.Words
	UnusedToo bool
	Status    storagedb.Status
	Limit     int64
}

// PromptHit is a prompt that a search found.
type PromptHit struct {
	Prompt storagedb.Prompt
	Rank   float64
}

// DayUsage is what happened on a day, in UTC.
type DayUsage struct {
	Day                          string
	Created                      int64
	Completed                    int64
	Failed                       int64
	AudioSeconds                 float64
	AverageGenerationTimeSeconds float64
}

// CountDifference is a counter that differs from the number of rows.
type CountDifference struct {
	Name  string // a status, or "prompts"
	Kept  int64
	There int64
}

// MaxCreatedTogether is how many generations one statement of PostgreSQL creates. For more of them, two statements and
// the round trips of a transaction cost less.
const MaxCreatedTogether = 500

// MapRows converts the rows of an engine's own query.
func MapRows[From, To any](rows []From, convert func(From) To) []To {
	converted := make([]To, len(rows))
	for i, row := range rows {
		converted[i] = convert(row)
	}
	return converted
}

// NullIfEmpty returns nil for the empty text.
func NullIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// InClaimOrder compares two generations by the order in which they are claimed: priority, due time, ID.
func InClaimOrder(a, b storagedb.Generation) int {
	return cmp.Or(
		cmp.Compare(a.Priority, b.Priority),
		a.ScheduledAt.Compare(b.ScheduledAt),
		bytes.Compare(a.ID[:], b.ID[:]),
	)
}
