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
		Short: "Bring the engine's statistics up to date; --vacuum gives room back to the disk, too",
		Args:  cobra.NoArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			before, err := a.facts(ctx, s)
			if err != nil {
				return err
			}
			waiting := a.wait("optimizing " + shownURL(a.chosenURL()))
			err = s.Optimize(ctx, params)
			waiting.finish()
			if err != nil {
				return resumable(ctx, err, "the database is as it was; run the same command again")
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
			a.printf("optimized; %s before, %s now\n", size(before.SizeBytes), size(after.SizeBytes))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&params.Vacuum, "vacuum", false, "also rewrite the database without what is unused; others wait meanwhile")
	return cmd
}
