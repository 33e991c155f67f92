// Command workflow is the service's main job from end to end: people ask for music, workers make it, and the store
// knows everything about it. It runs on $DATABASE_URL, SQLite in data/generations.db where that is not set, and writes
// the audio to the folder $OUTPUTS, or outputs. Running it again goes on with the same database.
package main

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/store"
)

//go:embed prompts.txt
var promptsFile string

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx)
	if ctx.Err() != nil {
		log.Fatal("interrupted; run it again to go on")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	s, err := store.Open(ctx, store.Options{Migrate: true})
	if err != nil {
		return err
	}
	defer s.Close()
	if err := askFor(ctx, s, promptsFile); err != nil {
		return err
	}
	if err := rollBack(ctx, s); err != nil {
		return err
	}
	if err := workOff(ctx, s); err != nil {
		return err
	}
	return show(ctx, s)
}

// askFor creates a generation for each prompt, as the API server does for each request.
func askFor(ctx context.Context, s *store.Store, prompts string) error {
	outputs := cmp.Or(os.Getenv("OUTPUTS"), "outputs")
	lines, asked := bufio.NewScanner(strings.NewReader(prompts)), 0
	for ; lines.Scan(); asked++ {
		id, err := uuid.NewV7() // drawn here, because the file is named by it
		if err != nil {
			return err
		}
		now := time.Now().UTC()
		if _, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
			ID:              id,
			Prompt:          lines.Text(),
			ModelName:       "example-synthesizer",
			ModelVersion:    new("1.0"),
			DurationSeconds: 2,
			SampleRate:      32000,
			Channels:        int64(1 + asked%2),
			FilePath:        path.Join(filepath.ToSlash(outputs), now.Format("2006/01/02"), id.String()+".wav"),
			Metadata:        store.Metadata(`{"source": "examples/workflow"}`),
		}); err != nil {
			return err
		}
	}
	fmt.Printf("asked for %d pieces of music\n", asked)
	return lines.Err()
}

// workers is how many there are: each has its own name, claims and leases, as if it were a process on a GPU of its own.
const workers = 3

var errGivenUp = errors.New("given up")

var errSomethingWentWrong = errors.New("something went wrong")

// rollBack shows that a transaction that fails leaves nothing behind.
func rollBack(ctx context.Context, s *store.Store) error {
	var id uuid.UUID
	err := s.InTx(ctx, func(tx *store.Tx) error {
		g, err := tx.CreateGeneration(ctx, store.CreateGenerationParams{
			Prompt: "a piece that never was", ModelName: "example-synthesizer",
			DurationSeconds: 2, SampleRate: 32000, Channels: 2, FilePath: "never.wav",
		})
		if err != nil {
			return err
		}
		id = g.ID
		return errSomethingWentWrong
	})
	if !errors.Is(err, errSomethingWentWrong) {
		return err
	}
	if _, err := s.GetGeneration(ctx, id); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("the transaction was not rolled back: %w", err)
	}
	fmt.Printf("a transaction failed (%v) and left nothing behind\n", err)
	return nil
}

// workOff runs the workers until nothing is left to do. What an earlier run was at when it was killed is worked on
// again as soon as its lease has run out.
func workOff(ctx context.Context, s *store.Store) error {
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	for i := range workers {
		running.Go(func() {
			err := s.Work(working, store.WorkOptions{Worker: fmt.Sprintf("worker %d", i+1), Lease: 5 * time.Second},
				func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
					return generate(ctx, s, g)
				})
			if err != nil {
				stop(err)
			}
		})
	}
	err := watch(working, s)
	stop(nil)
	running.Wait()
	return err
}

// watch shows how far the workers are, until nothing is left.
func watch(ctx context.Context, s *store.Store) error {
	left, err := unfinished(ctx, s)
	if err != nil {
		return err
	}
	total := left
	bar := newBar("generating", total)
	for left > 0 && err == nil {
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
			if left, err = unfinished(ctx, s); err == nil {
				bar.reach(total - left)
			}
		}
	}
	bar.finish(err == nil)
	return err
}

func unfinished(ctx context.Context, s *store.Store) (int, error) {
	stats, err := s.Stats(ctx)
	return int(stats.PendingGenerations + stats.ProcessingGenerations), err
}

// generate makes one piece. An error is the attempt's failure, not the program's: the store has it tried again.
func generate(ctx context.Context, s *store.Store, g store.Generation) (store.CompleteGenerationParams, error) {
	none, start := store.CompleteGenerationParams{}, time.Now()
	genre, bpm, err := understand(g.Prompt)
	if err != nil { // the prompt will not become another one
		_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{
			Attempt: g.Attempt, ErrorMessage: err.Error(), NoRetry: true,
		})
		return none, errors.Join(err, errGivenUp)
	}
	progress := store.Progress{Step: store.StepGenerating, Fraction: 0.1}
	if err := s.ReportProgress(ctx, g.ID, g.Attempt, progress); err != nil {
		return none, err
	}
	fileSize, err := writeWAV(filepath.FromSlash(g.FilePath), g, bpm)
	if err != nil {
		return none, err
	}
	metadata, err := store.NewMetadata(describe(genre, bpm))
	return store.CompleteGenerationParams{
		GenerationTimeSeconds: time.Since(start).Seconds(),
		FileSizeBytes:         fileSize,
		Metadata:              metadata,
	}, err
}
