package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// BatchStats counts the generations of a batch by status, and the different prompts among them, all at one moment. A batch
// that nobody has created has none. A zero ID is a *ValidationError.
func (o *operations) BatchStats(ctx context.Context, batchID uuid.UUID) (Stats, error) {
	if err := checkBatchID(batchID); err != nil {
		return Stats{}, describe("batch stats", err)
	}
	var row storagedb.BatchStatsRow
	err := o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		row, err = storagedb.New(db).BatchStats(ctx, &batchID)
		return err
	})
	return statsOf(storagedb.StatsRow(row)), describe("stats of batch "+batchID.String(), err)
}

// CancelBatch does as CancelGeneration for each generation of the batch that is not finished, all together, and returns how
// many it cancelled or asked to stop; those that were asked before do not count again. A zero ID is a *ValidationError.
func (o *operations) CancelBatch(ctx context.Context, batchID uuid.UUID) (int64, error) {
	if err := checkBatchID(batchID); err != nil {
		return 0, describe("cancel batch", err)
	}
	var count int64
	err := o.session.writeMany(ctx, func(db storagedb.DBTX) (err error) {
		now := o.clock.Now()
		count, err = storagedb.New(db).CancelBatch(ctx, storagedb.CancelBatchParams{Now: &now, BatchID: &batchID})
		return err
	})
	return count, describe("cancel batch "+batchID.String(), err)
}
