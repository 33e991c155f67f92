package storagedb

// TotalGenerations returns the number of generations of all statuses.
func (r StatsRow) TotalGenerations() int64 {
	return r.PendingGenerations + r.ProcessingGenerations +
		r.CompletedGenerations + r.FailedGenerations + r.CancelledGenerations
}

// OfStatus returns the number of generations of a status. For any other status, such as "", it returns that of all.
func (r StatsRow) OfStatus(status Status) int64 {
	switch status {
	case StatusPending:
		return r.PendingGenerations
	case StatusProcessing:
		return r.ProcessingGenerations
	case StatusCompleted:
		return r.CompletedGenerations
	case StatusFailed:
		return r.FailedGenerations
	case StatusCancelled:
		return r.CancelledGenerations
	}
	return r.TotalGenerations()
}
