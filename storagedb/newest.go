package storagedb

import "context"

// mostRoom is how many rows a list makes room for before it has seen any.
const mostRoom = 1000

// NewestPage is NewestGenerations, read into its place. The code that sqlc makes for a list allocates each row on its own,
// and then copies it into a slice that grows by doubling: for a hundred of these rows three and a half times the memory of the
// page, which was a fifth of the time where many list at once.
func (q *Queries) NewestPage(ctx context.Context, rowLimit int64) ([]Generation, error) {
	rows, err := q.db.Query(ctx, newestGenerations, rowLimit)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	page := make([]Generation, 0, max(0, min(rowLimit, mostRoom)))
	for rows.Next() {
		page = append(page, Generation{})
		if err := rows.Scan(page[len(page)-1].columns()...); err != nil {
			return nil, err
		}
	}
	return page, rows.Err()
}

// columns are where SELECT * FROM generations goes, in its order.
func (g *Generation) columns() []any {
	return []any{
		&g.ID, &g.Prompt, &g.ModelName, &g.ModelVersion, &g.DurationSeconds, &g.SampleRate, &g.Channels, &g.FilePath,
		&g.FileSizeBytes, &g.Status, &g.CreatedAt, &g.CompletedAt, &g.GenerationTimeSeconds, &g.ErrorMessage, &g.Metadata,
		&g.PromptID, &g.Priority, &g.ScheduledAt, &g.StartedAt, &g.Attempt, &g.MaxAttempts, &g.Worker, &g.LeaseExpiresAt,
		&g.BatchID, &g.ProgressStep, &g.ProgressFraction, &g.CancelRequestedAt, &g.Favorite,
	}
}
