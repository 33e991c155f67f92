package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) retryCommand() *cobra.Command {
	var chosen filters
	var failed, cancelled, dryRun bool
	cmd := &cobra.Command{
		Use:   "retry (ID... | --failed [filters] | --cancelled [filters])",
		Short: "Put failed or cancelled generations back in the queue",
		Long: `Retry puts failed or cancelled generations back in the queue. They are due at once, and
have at least one more attempt.

--failed and --cancelled retry all such generations that pass the filters, and ask
first. They skip a generation that another process changes meanwhile.`,
		Example: `  dgxstore retry 01890000-0000-7000-8000-000000000000
  dgxstore retry --failed --since 24h --model musicgen-large --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: a.run(func(ctx context.Context, args []string) error {
			many := failed || cancelled
			if many == (len(args) > 0) {
				return usageError("give IDs, --failed or --cancelled")
			}
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			params, err := chosen.params()
			if err != nil {
				return err
			}
			if !many && (dryRun || chosen.isSet()) {
				return usageError("--dry-run and filters need --failed or --cancelled")
			}
			s, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer s.Close()
			if many {
				params.Status = store.StatusFailed
				if cancelled {
					params.Status = store.StatusCancelled
				}
				return a.retryMany(ctx, s, params, dryRun)
			}
			o := newOutcome()
			for _, id := range ids {
				g, err := s.RetryGeneration(ctx, id)
				if ctx.Err() != nil {
					return ctx.Err()
				}
				o.add(id, g, err)
			}
			return a.printOutcome(o)
		}),
	}
	cmd.Flags().BoolVar(&failed, "failed", false, "retry all failed generations that pass the filters")
	cmd.Flags().BoolVar(&cancelled, "cancelled", false, "retry all cancelled generations that pass the filters")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count the generations")
	cmd.MarkFlagsMutuallyExclusive("failed", "cancelled")
	a.addFilters(cmd, &chosen)
	a.addYesFlag(cmd)
	a.completeIDs(cmd, store.StatusFailed)
	return cmd
}

// isSet reports whether any filter is set.
func (f *filters) isSet() bool {
	return f.model != "" || f.batch.UUID != uuid.Nil || f.favorite || !f.since.IsZero() || !f.until.IsZero() ||
		len(f.metadata) > 0 || len(f.ranges) > 0 || f.prompt != ""
}

// retried is the JSON of retry --failed and --cancelled.
type retried struct {
	Retried int64 `json:"retried"`
	Skipped int64 `json:"skipped"` // changed or deleted by another process meanwhile
	DryRun  bool  `json:"dry_run"`
}

func (a *app) retryMany(ctx context.Context, s *store.Store, params store.ListGenerationsParams, dryRun bool) error {
	// Collect the IDs first. The question needs their number, and a generation that fails again must not be retried twice.
	var ids []uuid.UUID
	params.OldestFirst, params.Limit = true, 1000
	for g, err := range s.Generations(ctx, params) {
		if err != nil {
			return err
		}
		ids = append(ids, g.ID)
	}
	total := int64(len(ids))
	result := retried{Retried: total, DryRun: dryRun}
	if !dryRun && total > 0 {
		question := fmt.Sprintf("Put %s back in the queue of %s",
			plural(total, string(params.Status)+" generation", string(params.Status)+" generations"),
			displayURL(a.chosenURL()))
		if err := a.confirm(ctx, question); err != nil {
			return err
		}
		var err error
		if result, err = a.retryAll(ctx, s, ids); err != nil {
			hint := plural(result.Retried, "generation was", "generations were") +
				" put back; run the same command again for the others"
			return resumable(ctx, fmt.Errorf("%w; %s", err, hint), hint)
		}
	}
	if a.json {
		return a.printJSON(result)
	}
	a.printf("%s %s\n",
		plural(result.Retried, "generation", "generations"), doneOrWould(dryRun, "put back in the queue"))
	if result.Skipped > 0 {
		a.printf("%s skipped: another process changed them meanwhile\n",
			plural(result.Skipped, "generation", "generations"))
	}
	return nil
}

// retryAll retries the generations one by one, and skips those that another process has changed.
func (a *app) retryAll(ctx context.Context, s *store.Store, ids []uuid.UUID) (result retried, err error) {
	bar := a.startBar("putting back", "generations", int64(len(ids)))
	defer bar.finish()
	bar.update(0, int64(len(ids)))
	for i, id := range ids {
		_, err := s.RetryGeneration(ctx, id)
		_, changed := errors.AsType[*store.TransitionError](err)
		switch {
		case err == nil:
			result.Retried++
		case changed || errors.Is(err, store.ErrNotFound):
			result.Skipped++
		default:
			return result, err
		}
		bar.update(int64(i+1), int64(len(ids)))
	}
	return result, nil
}
