package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) optimizeCommand() *cobra.Command {
	var params store.OptimizeParams
	cmd := &cobra.Command{
		Use:   "optimize [--vacuum]",
		Short: "Update the query planner's statistics; --vacuum also frees space",
		Long: `Optimize updates the statistics that the engine plans queries with. It may run while
the service runs.

--vacuum also frees the space of deleted rows. SQLite then rewrites its file, and
writers wait meanwhile.`,
		Args: noArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			before, err := a.facts(ctx, s)
			if err != nil {
				return err
			}
			spinner := a.startSpinner("optimizing " + displayURL(a.chosenURL()))
			err = s.Optimize(ctx, params)
			spinner.finish()
			if err != nil {
				return resumable(ctx, err, "the data is unchanged; run the same command again")
			}
			after, err := a.facts(ctx, s)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Vacuum          bool  `json:"vacuum"`
					SizeBytesBefore int64 `json:"size_bytes_before"`
					SizeBytesAfter  int64 `json:"size_bytes_after"`
				}{params.Vacuum, before.SizeBytes, after.SizeBytes})
			}
			a.printf("optimized: %s before, %s now\n", size(before.SizeBytes), size(after.SizeBytes))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&params.Vacuum, "vacuum", false, "also free the space of deleted rows; on SQLite, writers wait")
	return cmd
}
