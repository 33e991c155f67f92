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
		Long: `Retry puts failed or cancelled generations back in the queue, as of now, with at least one more attempt. --failed and
--cancelled do so for all of them that pass the filters, and ask first. One whose status somebody changes meanwhile is left
alone.`,
		Example: `  dgxstore retry 01890000-0000-7000-8000-000000000000
  dgxstore retry --failed --since 24h --model musicgen-large --dry-run`,
		Args: cobra.ArbitraryArgs,
		RunE: a.run(func(ctx context.Context, args []string) error {
			many := failed || cancelled
			if many == (len(args) > 0) {
				return usageError("give either IDs, or --failed, or --cancelled")
			}
			ids, err := parseIDs(args)
			if err != nil {
				return err
			}
			params, err := chosen.params()
			if err != nil {
				return err
			}
			if !many && (dryRun || chosen.any()) {
				return usageError("--dry-run and the filters are for --failed and --cancelled")
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
	cmd.Flags().BoolVar(&failed, "failed", false, "all that have failed")
	cmd.Flags().BoolVar(&cancelled, "cancelled", false, "all that were cancelled")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say how many there are")
	cmd.MarkFlagsMutuallyExclusive("failed", "cancelled")
	a.addFilters(cmd, &chosen)
	a.addYes(cmd)
	a.completeIDs(cmd, store.StatusFailed)
	return cmd
}

// any tells whether a filter is set.
func (f *filters) any() bool {
	return f.model != "" || f.batch.UUID != uuid.Nil || f.favorite || !f.since.IsZero() || !f.until.IsZero() ||
		len(f.metadata) > 0 || len(f.ranges) > 0 || f.prompt != ""
}

// retried is the JSON of retry --failed and --cancelled.
type retried struct {
	Retried int64 `json:"retried"`
	Skipped int64 `json:"skipped"` // somebody has changed or deleted them meanwhile
	DryRun  bool  `json:"dry_run"`
}

func (a *app) retryMany(ctx context.Context, s *store.Store, params store.ListGenerationsParams, dryRun bool) error {
	// The IDs first: to say how many there are, and because what was put back must not be met again, failed once more.
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
		question := fmt.Sprintf("Put %s back in the queue of %s", plural(total, string(params.Status)+" generation", string(params.Status)+" generations"), shownURL(a.chosenURL()))
		if err := a.ask(ctx, question); err != nil {
			return err
		}
		var err error
		if result, err = a.retryAll(ctx, s, ids); err != nil {
			goOn := plural(result.Retried, "generation was", "generations were") + " put back; the same command goes on with the others"
			return resumable(ctx, fmt.Errorf("%w; %s", err, goOn), goOn)
		}
	}
	if a.json {
		return a.printJSON(result)
	}
	a.printf("%s %s\n", plural(result.Retried, "generation", "generations"), doneOrWould(dryRun, "put back in the queue"))
	if result.Skipped > 0 {
		a.printf("%s, changed by somebody else meanwhile\n", plural(result.Skipped, "was left alone", "were left alone"))
	}
	return nil
}

func (a *app) retryAll(ctx context.Context, s *store.Store, ids []uuid.UUID) (result retried, err error) {
	bar := a.count("putting back", "generations", int64(len(ids)))
	defer bar.finish()
	bar.at(0, int64(len(ids)))
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
		bar.at(int64(i+1), int64(len(ids)))
	}
	return result, nil
}
