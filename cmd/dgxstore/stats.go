package main

import (
	"context"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

// counts is the JSON of stats.
type counts struct {
	store.Stats
	Queue  *queueState        `json:"queue,omitempty"`  // absent with --batch
	Models []store.ModelUsage `json:"models,omitempty"` // set by --models
}

func (a *app) statsCommand() *cobra.Command {
	var batch idFlag
	var models bool
	cmd := &cobra.Command{
		Use:   "stats [flags]",
		Short: "Count generations by status, for all, a batch or each model",
		Args:  noArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) (err error) {
			var c counts
			if batch.UUID != uuid.Nil {
				c.Stats, err = s.BatchStats(ctx, batch.UUID)
				if err == nil && c.TotalGenerations == 0 {
					err = fmt.Errorf("batch %s: %w", batch.UUID, store.ErrNotFound)
				}
			} else {
				c, err = countAll(ctx, s)
			}
			if err != nil {
				return err
			}
			if models {
				spinner := a.startSpinner("reading all generations")
				c.Models, err = s.ModelUsage(ctx)
				spinner.finish()
				if err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(c)
			}
			a.printCounts(c)
			return nil
		}),
	}
	cmd.Flags().Var(&batch, "batch", "count only this batch")
	cmd.Flags().BoolVar(&models, "models", false, "also show each version of each model; reads all generations")
	a.completeBatches(cmd)
	cmd.MarkFlagsMutuallyExclusive("batch", "models")
	return cmd
}

func countAll(ctx context.Context, s *store.Store) (c counts, err error) {
	if c.Stats, err = s.Stats(ctx); err != nil {
		return c, err
	}
	pausedAt, err := s.QueuePausedAt(ctx)
	c.Queue = newQueueState(pausedAt)
	return c, err
}

func (a *app) printCounts(c counts) {
	var f fields
	f.add("Pending", humanize.Comma(c.PendingGenerations))
	f.add("Processing", humanize.Comma(c.ProcessingGenerations))
	f.add("Completed", humanize.Comma(c.CompletedGenerations))
	f.add("Failed", humanize.Comma(c.FailedGenerations))
	f.add("Cancelled", humanize.Comma(c.CancelledGenerations))
	f.add("Total", humanize.Comma(c.TotalGenerations))
	f.add("Prompts", humanize.Comma(c.TotalPrompts))
	if c.Queue != nil {
		f.add("Queue", c.Queue.String())
		if c.PendingGenerations > 0 {
			f.add("Oldest pending", "created "+humanSeconds(c.OldestPendingAgeSeconds)+" ago")
		}
		if c.AverageGenerationTimeSeconds > 0 {
			f.add("Average time", humanSeconds(c.AverageGenerationTimeSeconds)+" in the last hour")
		}
	}
	a.printFields(&f)
	if len(c.Models) == 0 {
		return
	}
	a.printf("\n")
	g := newGrid(column{title: "TOTAL", right: true}, column{title: "COMPLETED", right: true},
		column{title: "FAILED", right: true}, column{title: "RATE", right: true}, column{title: "AVERAGE", right: true},
		column{title: "P95", right: true}, column{title: "RTF", right: true}, column{title: "MODEL"})
	for _, m := range c.Models {
		average, p95, factor := "-", "-", "-"
		if m.CompletedGenerations > 0 {
			average = humanSeconds(m.AverageGenerationTimeSeconds)
			p95 = humanSeconds(m.P95GenerationTimeSeconds)
			factor = fmt.Sprintf("%.2f", m.RealTimeFactor)
		}
		g.add(humanize.Comma(m.TotalGenerations), humanize.Comma(m.CompletedGenerations),
			humanize.Comma(m.FailedGenerations), fmt.Sprintf("%.1f%%", m.FailureRate*100),
			average, p95, factor, m.ModelName+optionalWord(m.ModelVersion))
	}
	a.printGrid(g, "")
	a.printf("\nRATE is the failed share of all completed and failed generations.\n" +
		"AVERAGE and P95 are generation times.\n" +
		"RTF is the real-time factor: generation time divided by audio length.\n")
}
