package queues

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/bench/peers"
	"github.com/dgx-music/storage/store"
)

type storeQueue struct{ *store.Store }

func (s storeQueue) Enqueue(ctx context.Context, job peers.Job) error {
	_, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
		ID: uuid.MustParse(job.ID), Prompt: job.Prompt, ModelName: modelName, DurationSeconds: duration,
		SampleRate: sampleRate, Channels: channels, FilePath: job.FilePath, Metadata: store.Metadata(job.Metadata),
	})
	return err
}

func open(ctx context.Context, url string) (storeQueue, error) {
	s, err := store.Open(ctx, store.Options{URL: url, MaxConns: connections()})
	return storeQueue{s}, err
}

// workQueue is the store's own worker.
type workQueue struct{ storeQueue }

func openWork(ctx context.Context, url string) (Queue, error) {
	s, err := open(ctx, url)
	return workQueue{s}, err
}

// workers is the number of jobs that Work runs at once. It was the fastest; River's benchmark uses the same.
const workers = 2000

// WorkOff stops the worker at the last job. Work returns after it has stored all results.
func (s workQueue) WorkOff(ctx context.Context, n int) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var handled atomic.Int64
	handle := func(context.Context, store.Generation) (store.CompleteGenerationParams, error) {
		if handled.Add(1) == int64(n) {
			stop()
		}
		return store.CompleteGenerationParams{}, nil
	}
	return s.Work(ctx, store.WorkOptions{Concurrency: workers}, handle)
}

// manyQueue claims many jobs and completes them together, as a worker with short jobs would.
type manyQueue struct{ storeQueue }

func openMany(ctx context.Context, url string) (Queue, error) {
	s, err := open(ctx, url)
	return manyQueue{s}, err
}

// Larger values were no faster.
const (
	claimers = 4
	perClaim = 500
)

func (s manyQueue) WorkOff(ctx context.Context, n int) error {
	var group sync.WaitGroup
	errs := make([]error, claimers)
	for i := range claimers {
		group.Go(func() { errs[i] = s.workOff(ctx) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// workOff works until nothing is left to claim.
func (s manyQueue) workOff(ctx context.Context) error {
	for {
		generations, err := s.ClaimGenerations(ctx, store.ClaimParams{
			Worker: "bench", Limit: perClaim, Lease: time.Minute,
		})
		if err != nil || len(generations) == 0 {
			return err
		}
		completions := make([]store.Completion, len(generations))
		for i, g := range generations {
			completions[i].ID, completions[i].Attempt = g.ID, g.Attempt
		}
		if _, err := s.CompleteGenerations(ctx, completions); err != nil {
			return err
		}
	}
}
