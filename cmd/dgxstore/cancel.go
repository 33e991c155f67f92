package main

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) cancelCommand() *cobra.Command {
	var batch id
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "cancel (ID... | --batch ID)",
		Short: "Cancel generations; those that are worked on are told to stop",
		Long: `Cancel cancels generations that wait at once, and tells the workers of those under way to stop, which they do at their next
word, a third of their lease later at the latest. --batch does so for all of a batch that is not finished, and asks first.`,
		Args: cobra.ArbitraryArgs,
		RunE: a.run(func(ctx context.Context, args []string) error {
			if (len(args) == 0) == (batch.UUID == uuid.Nil) {
				return usageError("give either IDs or --batch")
			}
			if dryRun && len(args) > 0 {
				return usageError("--dry-run is for --batch")
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
	cmd.Flags().Var(&batch, "batch", "all of this batch that is not finished")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say how many there are of the batch")
	a.addYes(cmd)
	a.completeBatches(cmd)
	a.completeIDs(cmd, store.StatusPending)
	return cmd
}

// cancelledBatch is the JSON of cancel --batch.
type cancelledBatch struct {
	BatchID   uuid.UUID `json:"batch_id"`
	Cancelled int64     `json:"cancelled"` // or told to stop
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
	result := cancelledBatch{BatchID: batch, Cancelled: stats.PendingGenerations + stats.ProcessingGenerations, DryRun: dryRun}
	if !dryRun && result.Cancelled > 0 {
		question := fmt.Sprintf("Cancel %s of batch %s in %s", plural(result.Cancelled, "generation", "generations"), batch, shownURL(a.chosenURL()))
		if err := a.ask(ctx, question); err != nil {
			return err
		}
		if result.Cancelled, err = s.CancelBatch(ctx, batch); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(result)
	}
	a.printf("%s %s\n", plural(result.Cancelled, "generation", "generations"), doneOrWould(dryRun, "cancelled or told to stop"))
	return nil
}

func doneOrWould(dryRun bool, done string) string {
	if dryRun {
		return "would be " + done
	}
	return done
}
