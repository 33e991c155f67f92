package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// Stats counts generations by status, and prompts, as of one moment. Its JSON has the keys of the Python
// get_database_stats, and two more, which BatchStats leaves at 0.
type Stats struct {
	TotalGenerations      int64 `json:"total_generations"`
	PendingGenerations    int64 `json:"pending_generations"`
	ProcessingGenerations int64 `json:"processing_generations"`
	CompletedGenerations  int64 `json:"completed_generations"`
	FailedGenerations     int64 `json:"failed_generations"`
	CancelledGenerations  int64 `json:"cancelled_generations"`
	TotalPrompts          int64 `json:"total_prompts"`

	// OldestPendingAgeSeconds is the time since the oldest pending generation was created, or 0 if none is pending.
	OldestPendingAgeSeconds float64 `json:"oldest_pending_age_seconds"`
	// AverageGenerationTimeSeconds is that of the generations completed in the last hour, or 0 if there are none.
	AverageGenerationTimeSeconds float64 `json:"average_generation_time_seconds"`
}

// Stats returns the counts, which the schema keeps: they are exact, and cost the same at any size.
func (o *operations) Stats(ctx context.Context) (Stats, error) {
	var stats Stats
	err := o.session.ReadStale(ctx, func(q engine.Queries) error {
		now := o.clock.Now()
		row, err := q.Stats(ctx)
		if err != nil {
			return err
		}
		stats = newStats(row)
		since := now.Add(-time.Hour)
		if stats.AverageGenerationTimeSeconds, err = q.AverageGenerationTime(ctx, &since); err != nil {
			return err
		}
		oldest, err := q.OldestPending(ctx)
		for _, createdAt := range oldest {
			stats.OldestPendingAgeSeconds = max(0, now.Sub(createdAt).Seconds()) // the clock may have been set back
		}
		return err
	})
	if err != nil {
		return Stats{}, describe("stats", err)
	}
	return stats, nil
}

func newStats(row storagedb.StatsRow) Stats {
	return Stats{
		TotalGenerations:      row.TotalGenerations(),
		PendingGenerations:    row.PendingGenerations,
		ProcessingGenerations: row.ProcessingGenerations,
		CompletedGenerations:  row.CompletedGenerations,
		FailedGenerations:     row.FailedGenerations,
		CancelledGenerations:  row.CancelledGenerations,
		TotalPrompts:          row.TotalPrompts,
	}
}

// CountGenerations counts the generations of a status, or all if it is empty, at the same cost at any size. An unknown
// status is a *ValidationError.
func (o *operations) CountGenerations(ctx context.Context, status Status) (int64, error) {
	if status != "" {
		if err := dberr.CheckStatus(status); err != nil {
			return 0, describe("count generations", err)
		}
	}
	var row storagedb.StatsRow
	err := o.session.ReadStale(ctx, func(q engine.Queries) (err error) {
		row, err = q.Stats(ctx)
		return err
	})
	return row.OfStatus(status), describe("count generations", err)
}

// CountsError is returned if counters differ from the rows. Match it with errors.As.
type CountsError struct {
	Differences []CountDifference // at least one, by name
}

// CountDifference is a counter that is wrong.
type CountDifference struct {
	Name  string // a status, or "prompts"
	Kept  int64  // the number that Stats returns
	There int64  // the number of rows
}

func newCountsError(differences []engine.CountDifference) *CountsError {
	e := &CountsError{}
	for _, d := range differences {
		e.Differences = append(e.Differences, CountDifference(d))
	}
	return e
}

func (e *CountsError) Error() string {
	var differences []string
	for _, d := range e.Differences {
		differences = append(differences, fmt.Sprintf("%s: %d are counted, %d are there", d.Name, d.Kept, d.There))
	}
	return "the counts are wrong, somebody has changed them or switched their triggers off: " +
		strings.Join(differences, "; ")
}

// CheckCounts compares the counters with the rows, as of one moment. It reads all generations and prompts. It returns a
// *CountsError if they differ.
func (o *operations) CheckCounts(ctx context.Context) error {
	var wrong []engine.CountDifference
	err := o.session.Read(ctx, func(q engine.Queries) (err error) {
		wrong, err = engine.WrongCounts(ctx, q)
		return err
	})
	if err == nil && len(wrong) > 0 {
		err = newCountsError(wrong)
	}
	return describe("check counts", err)
}
