package store

import (
	"context"

	"github.com/dgx-music/storage/storagedb"
)

// Stats counts generations by status, and prompts, all at one moment. Its JSON has the keys of the Python
// get_database_stats.
type Stats struct {
	TotalGenerations      int64 `json:"total_generations"`
	PendingGenerations    int64 `json:"pending_generations"`
	ProcessingGenerations int64 `json:"processing_generations"`
	CompletedGenerations  int64 `json:"completed_generations"`
	FailedGenerations     int64 `json:"failed_generations"`
	CancelledGenerations  int64 `json:"cancelled_generations"`
	TotalPrompts          int64 `json:"total_prompts"`
}

// Stats returns the counts.
func (o *operations) Stats(ctx context.Context) (Stats, error) {
	var row storagedb.StatsRow
	err := o.session.readStale(ctx, func(db storagedb.DBTX) (err error) {
		row, err = storagedb.New(db).Stats(ctx)
		return err
	})
	return statsOf(row), describe("stats", err)
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
