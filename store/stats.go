package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/dgx-music/storage/storagedb"
)

// Stats counts generations by status, and prompts, at one moment. Its JSON has the keys of the Python
// get_database_stats, and two more, which BatchStats leaves at 0.
type Stats struct {
	TotalGenerations      int64 `json:"total_generations"`
	PendingGenerations    int64 `json:"pending_generations"`
	ProcessingGenerations int64 `json:"processing_generations"`
	CompletedGenerations  int64 `json:"completed_generations"`
	FailedGenerations     int64 `json:"failed_generations"`
	CancelledGenerations  int64 `json:"cancelled_generations"`
	TotalPrompts          int64 `json:"total_prompts"`

	OldestPendingAgeSeconds      float64 `json:"oldest_pending_age_seconds"`      // since the creation of the oldest pending generation; 0: none is
	AverageGenerationTimeSeconds float64 `json:"average_generation_time_seconds"` // of what was completed in the last hour; 0: nothing was
}

// Stats returns the counts, which the schema keeps: they are exact, and cost the same at any size.
func (o *operations) Stats(ctx context.Context) (Stats, error) {
	var stats Stats
	err := o.session.readStale(ctx, func(db storagedb.DBTX) error {
		queries, now := storagedb.New(db), o.clock.Now()
		row, err := queries.Stats(ctx)
		if err != nil {
			return err
		}
		stats = statsOf(row)
		since := now.Add(-time.Hour)
		if stats.AverageGenerationTimeSeconds, err = queries.AverageGenerationTime(ctx, &since); err != nil {
			return err
		}
		oldest, err := queries.OldestPending(ctx)
		for _, createdAt := range oldest {
			stats.OldestPendingAgeSeconds = max(0, now.Sub(createdAt).Seconds()) // a clock may have been behind
		}
		return err
	})
	if err != nil {
		return Stats{}, describe("stats", err)
	}
	return stats, nil
}

// CountGenerations counts the generations of a status, or all for "", at the same cost at any size. An unknown status is a
// *ValidationError.
func (o *operations) CountGenerations(ctx context.Context, status Status) (int64, error) {
	if status != "" {
		if err := checkStatus(status); err != nil {
			return 0, describe("count generations", err)
		}
	}
	var row storagedb.StatsRow
	err := o.session.readStale(ctx, func(db storagedb.DBTX) (err error) {
		row, err = storagedb.New(db).Stats(ctx)
		return err
	})
	return statsOf(row).of(status), describe("count generations", err)
}

// of is the count of a status, or of all for "".
func (s Stats) of(status Status) int64 {
	switch status {
	case StatusPending:
		return s.PendingGenerations
	case StatusProcessing:
		return s.ProcessingGenerations
	case StatusCompleted:
		return s.CompletedGenerations
	case StatusFailed:
		return s.FailedGenerations
	case StatusCancelled:
		return s.CancelledGenerations
	}
	return s.TotalGenerations
}

func statsOf(row storagedb.StatsRow) Stats {
	return Stats{
		TotalGenerations: row.PendingGenerations + row.ProcessingGenerations + row.CompletedGenerations +
			row.FailedGenerations + row.CancelledGenerations,
		PendingGenerations:    row.PendingGenerations,
		ProcessingGenerations: row.ProcessingGenerations,
		CompletedGenerations:  row.CompletedGenerations,
		FailedGenerations:     row.FailedGenerations,
		CancelledGenerations:  row.CancelledGenerations,
		TotalPrompts:          row.TotalPrompts,
	}
}

// CountsError says which counts are not what there is. Match it with errors.As.
type CountsError struct {
	Differences []CountDifference // at least one, by name
}

// CountDifference is a count that is wrong.
type CountDifference struct {
	Name  string // a status, or "prompts"
	Kept  int64  // what Stats says
	There int64  // how many there are
}

func (e *CountsError) Error() string {
	var differences []string
	for _, d := range e.Differences {
		differences = append(differences, fmt.Sprintf("%s: %d are counted, %d are there", d.Name, d.Kept, d.There))
	}
	return "the counts are wrong, somebody has changed them or switched their triggers off: " + strings.Join(differences, "; ")
}

// CheckCounts compares the counts that the schema keeps with what there is, of one moment. It reads all generations and
// prompts. It returns a *CountsError where they differ.
func (o *operations) CheckCounts(ctx context.Context) error {
	var rows []storagedb.CountsAndTruthRow
	err := o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		rows, err = storagedb.New(db).CountsAndTruth(ctx)
		return err
	})
	if err != nil {
		return describe("check counts", err)
	}
	var wrong CountsError
	for _, row := range rows {
		if row.Kept != row.There {
			wrong.Differences = append(wrong.Differences, CountDifference{Name: row.Name, Kept: row.Kept, There: row.There})
		}
	}
	if len(wrong.Differences) > 0 {
		return describe("check counts", &wrong)
	}
	return nil
}
