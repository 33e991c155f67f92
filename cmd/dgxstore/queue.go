package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pause",
		Short: "Pause the queue: workers claim nothing until resume",
		Long: `Pause stops all workers from claiming generations until resume. Generations that are
processing continue.`,
		Args: noArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			if err := s.PauseQueue(ctx); err != nil {
				return err
			}
			return a.printQueue(ctx, s)
		}),
	}
}

func (a *app) resumeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "resume",
		Short: "Resume the queue: workers claim generations again",
		Args:  noArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			if err := s.ResumeQueue(ctx); err != nil {
				return err
			}
			return a.printQueue(ctx, s)
		}),
	}
}

func (a *app) printQueue(ctx context.Context, s *store.Store) error {
	pausedAt, err := s.QueuePausedAt(ctx)
	if err != nil {
		return err
	}
	state := newQueueState(pausedAt)
	if a.json {
		return a.printJSON(state)
	}
	a.printf("the queue is %s\n", state)
	return nil
}
