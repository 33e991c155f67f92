// Command workflow is the service's main job from end to end: people ask for music, workers make it, and the store
// knows everything about it.
//
// It runs on $DATABASE_URL; if that is not set, on SQLite in data/generations.db. Each run asks for music as a batch of
// its own, under a model name of its own, and writes the audio to a directory of its own below $OUTPUTS, or outputs. So
// it never works on the jobs of others, or writes to their files. Running it again uses the same database and finishes
// what earlier runs left. Like every worker it also rescues jobs whose workers have died, whoever they belong to.
package main

import (
	"bufio"
	"cmp"
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
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
	err := run(ctx, promptsFile)
	if ctx.Err() != nil {
		log.Fatal("interrupted; run it again to go on")
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, prompts string) error {
	s, err := store.Open(ctx, store.Options{Migrate: true})
	if err != nil {
		return err
	}
	defer s.Close()
	out, err := openOutputs(cmp.Or(os.Getenv("OUTPUTS"), "outputs"))
	if err != nil {
		return err
	}
	defer out.close()
	left, err := unfinishedBatches(ctx, s, out)
	if err != nil {
		return err
	}
	batch, err := out.newBatch()
	if err != nil {
		return err
	}
	if err := askFor(ctx, s, prompts, batch, out); err != nil {
		return err
	}
	if err := rollBack(ctx, s); err != nil {
		return err
	}
	if err := workOff(ctx, s, append(left, batch), out); err != nil {
		return err
	}
	return show(ctx, s, batch)
}

// modelOf is the model name of a batch. Workers claim by model, so a name of its own keeps other people's jobs away.
func modelOf(batch uuid.UUID) string {
	return "example-synthesizer-" + hex.EncodeToString(batch[10:]) // the random end of the ID
}

// unfinishedBatches are those of earlier runs that were interrupted or killed.
func unfinishedBatches(ctx context.Context, s *store.Store, out *outputs) (left []uuid.UUID, err error) {
	batches, err := out.batches()
	if err != nil {
		return nil, err
	}
	for _, batch := range batches {
		count, err := unfinished(ctx, s, batch)
		if err != nil {
			return nil, err
		}
		if count > 0 {
			fmt.Printf("an earlier run left %d pieces unfinished\n", count)
			left = append(left, batch)
		}
	}
	return left, nil
}

// askFor creates a generation for each prompt, as the API server does for each request.
func askFor(ctx context.Context, s *store.Store, prompts string, batch uuid.UUID, out *outputs) error {
	lines, asked := bufio.NewScanner(strings.NewReader(prompts)), 0
	for ; lines.Scan(); asked++ {
		id, err := uuid.NewV7() // drawn here, because the file is named by it
		if err != nil {
			return err
		}
		if _, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
			ID:              id,
			BatchID:         batch,
			Prompt:          lines.Text(),
			ModelName:       modelOf(batch),
			ModelVersion:    new("1.0"),
			DurationSeconds: 2,
			SampleRate:      32000,
			Channels:        int64(1 + asked%2),
			FilePath:        out.pathOf(batch, id),
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

// workOff runs the workers until the batches are finished. A job whose worker was killed is worked on again after its
// lease has run out.
func workOff(ctx context.Context, s *store.Store, batches []uuid.UUID, out *outputs) error {
	var models []string
	for _, batch := range batches {
		models = append(models, modelOf(batch))
	}
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	for i := range workers {
		opts := store.WorkOptions{Worker: fmt.Sprintf("worker %d", i+1), Lease: 5 * time.Second, ModelNames: models}
		running.Go(func() {
			err := s.Work(working, opts, func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
				if g.BatchID == nil || !slices.Contains(batches, *g.BatchID) {
					stop(fmt.Errorf("generation %s uses the model name of this program, but is of another batch", g.ID))
					return store.CompleteGenerationParams{}, giveBack(ctx, s, g)
				}
				return generate(ctx, s, g, out)
			})
			if err != nil {
				stop(err)
			}
		})
	}
	err := watch(working, s, batches)
	if working.Err() != nil {
		err = context.Cause(working)
	}
	stop(nil)
	running.Wait()
	return err
}

// errDone tells Work that the handler has stored the outcome itself.
var errDone = errors.New("the outcome is stored")

// giveBack puts a job back in the queue, for whoever it belongs to.
func giveBack(ctx context.Context, s *store.Store, g store.Generation) error {
	_, err := s.ReleaseGeneration(ctx, g.ID, g.Attempt)
	return errors.Join(err, errDone)
}

// giveUp fails a job for good: trying it again would not help.
func giveUp(ctx context.Context, s *store.Store, g store.Generation, reason error) error {
	_, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{
		Attempt: g.Attempt, ErrorMessage: reason.Error(), NoRetry: true,
	})
	return errors.Join(err, errDone)
}

// watch shows how far the workers are, until the batches are finished.
func watch(ctx context.Context, s *store.Store, batches []uuid.UUID) error {
	left, err := unfinished(ctx, s, batches...)
	if err != nil {
		return err
	}
	total := left
	bar := newBar("generating", total)
	for left > 0 && err == nil {
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(50 * time.Millisecond):
			if left, err = unfinished(ctx, s, batches...); err == nil {
				bar.reach(total - left)
			}
		}
	}
	bar.finish(err == nil)
	return err
}

// unfinished counts the jobs of the batches that are still to be done.
func unfinished(ctx context.Context, s *store.Store, batches ...uuid.UUID) (count int, err error) {
	for _, batch := range batches {
		stats, err := s.BatchStats(ctx, batch)
		if err != nil {
			return 0, err
		}
		count += int(stats.PendingGenerations + stats.ProcessingGenerations)
	}
	return count, nil
}

// generate makes one piece. An error fails the attempt, not the program: the store has the job tried again.
func generate(
	ctx context.Context, s *store.Store, g store.Generation, out *outputs,
) (store.CompleteGenerationParams, error) {
	none, start := store.CompleteGenerationParams{}, time.Now()
	genre, bpm, err := understand(g.Prompt)
	if err != nil {
		return none, giveUp(ctx, s, g, err)
	}
	progress := store.Progress{Step: store.StepGenerating, Fraction: 0.1}
	if err := s.ReportProgress(ctx, g.ID, g.Attempt, progress); err != nil {
		return none, err
	}
	fileSize, err := out.write(g, func(file *os.File) error { return writeWAV(file, g, bpm) })
	if errors.Is(err, errRefused) {
		return none, giveUp(ctx, s, g, err)
	}
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
