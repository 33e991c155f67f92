package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) pauseCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "pause",
		Short: "Stop all workers' claims until resume; what is being worked on goes on",
		Args:  cobra.NoArgs,
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
		Short: "Let claims go on",
		Args:  cobra.NoArgs,
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
