package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// BatchStats counts the generations of a batch by status, and its different prompts, as of one moment. An unknown batch
// has none. A zero ID is a *ValidationError.
func (o *operations) BatchStats(ctx context.Context, batchID uuid.UUID) (Stats, error) {
	if err := checkBatchID(batchID); err != nil {
		return Stats{}, describe("batch stats", err)
	}
	var row storagedb.BatchStatsRow
	err := o.session.Read(ctx, func(q engine.Queries) (err error) {
		row, err = q.BatchStats(ctx, &batchID)
		return err
	})
	return newStats(storagedb.StatsRow(row)), describe("stats of batch "+batchID.String(), err)
}

// CancelBatch does what CancelGeneration does to each unfinished generation of the batch, all together. It returns how
// many it cancelled or asked to stop, without those that were asked before. A zero ID is a *ValidationError.
func (o *operations) CancelBatch(ctx context.Context, batchID uuid.UUID) (int64, error) {
	if err := checkBatchID(batchID); err != nil {
		return 0, describe("cancel batch", err)
	}
	var count int64
	err := o.session.Write(ctx, engine.Bulk, func(q engine.Queries) (err error) {
		now := o.clock.Now()
		count, err = q.CancelBatch(ctx, storagedb.CancelBatchParams{Now: &now, BatchID: &batchID})
		return err
	})
	return count, describe("cancel batch "+batchID.String(), err)
}
