package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) cancelCommand() *cobra.Command {
	var batch idFlag
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "cancel (ID... | --batch ID)",
		Short: "Cancel pending and processing generations",
		Long: `Cancel cancels a pending generation at once. It asks the worker of a processing
generation to stop. The worker does so at its next call to the store, at the latest
after a third of its lease.

--batch cancels all unfinished generations of a batch, and asks first.`,
		Args: cobra.ArbitraryArgs,
		RunE: a.run(func(ctx context.Context, args []string) error {
			if (len(args) == 0) == (batch.UUID == uuid.Nil) {
				return usageError("give IDs or --batch")
			}
			if dryRun && len(args) > 0 {
				return usageError("--dry-run needs --batch")
			}
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			s, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer s.Close()
			if len(ids) == 0 {
				return a.cancelBatch(ctx, s, batch.UUID, dryRun)
			}
			o := newOutcome()
			for _, id := range ids {
				g, err := s.CancelGeneration(ctx, id)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				o.add(id, g, err)
			}
			return a.printOutcome(o)
		}),
	}
	cmd.Flags().Var(&batch, "batch", "cancel all unfinished generations of this batch")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count the batch's unfinished generations")
	a.addYesFlag(cmd)
	a.completeBatches(cmd)
	a.completeIDs(cmd, store.StatusPending)
	return cmd
}

// cancelledBatch is the JSON of cancel --batch.
type cancelledBatch struct {
	BatchID   uuid.UUID `json:"batch_id"`
	Cancelled int64     `json:"cancelled"` // includes generations whose worker was asked to stop
	DryRun    bool      `json:"dry_run"`
}

func (a *app) cancelBatch(ctx context.Context, s *store.Store, batch uuid.UUID, dryRun bool) error {
	stats, err := s.BatchStats(ctx, batch)
	if err != nil {
		return err
	}
	if stats.TotalGenerations == 0 {
		return fmt.Errorf("batch %s: %w", batch, store.ErrNotFound)
	}
	unfinished := stats.PendingGenerations + stats.ProcessingGenerations
	result := cancelledBatch{BatchID: batch, Cancelled: unfinished, DryRun: dryRun}
	if !dryRun && unfinished > 0 {
		question := fmt.Sprintf("Cancel %s of batch %s in %s",
			plural(unfinished, "generation", "generations"), batch, displayURL(a.chosenURL()))
		if err := a.confirm(ctx, question); err != nil {
			return err
		}
		if result.Cancelled, err = s.CancelBatch(ctx, batch); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(result)
	}
	a.printf("%s %s\n", plural(result.Cancelled, "generation", "generations"),
		doneOrWould(dryRun, "cancelled or asked to stop"))
	return nil
}

// doneOrWould returns done, or "would be" done for a dry run.
func doneOrWould(dryRun bool, done string) string {
	if dryRun {
		return "would be " + done
	}
	return done
}
