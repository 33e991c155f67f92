// Command workflow shows the service's main job from end to end: users request music, workers generate it, and the
// store records everything.
//
// It uses the database of $DATABASE_URL, or SQLite in data/generations.db if that is not set. Each run is a batch with
// a model name of its own. It writes the audio to a directory of its own below $OUTPUTS, or below outputs if that is
// not set. So it claims no jobs of other programs, and writes to none of their files. Like every worker, it also
// rescues jobs whose workers have died, whoever created them. The next run on the same database finishes what an
// interrupted run left.
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
		log.Fatal("interrupted; the next run continues")
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
	if err := request(ctx, s, prompts, batch, out); err != nil {
		return err
	}
	if err := showRollback(ctx, s); err != nil {
		return err
	}
	if err := runWorkers(ctx, s, append(left, batch), out); err != nil {
		return err
	}
	return show(ctx, s, batch)
}

// modelName returns the model name of a batch. Workers claim by model, so they get no jobs of other programs.
func modelName(batch uuid.UUID) string {
	return "example-synthesizer-" + hex.EncodeToString(batch[10:]) // the random end of the ID
}

// unfinishedBatches returns the batches of earlier runs that were interrupted or killed.
func unfinishedBatches(ctx context.Context, s *store.Store, out *outputs) (left []uuid.UUID, err error) {
	batches, err := out.batches()
	if err != nil {
		return nil, err
	}
	for _, batch := range batches {
		count, err := countUnfinished(ctx, s, batch)
		if err != nil {
			return nil, err
		}
		if count > 0 {
			fmt.Printf("an earlier run left %d jobs unfinished\n", count)
			left = append(left, batch)
		}
	}
	return left, nil
}

// request creates a generation for each prompt, as the API server does for each request.
func request(ctx context.Context, s *store.Store, prompts string, batch uuid.UUID, out *outputs) error {
	lines, count := bufio.NewScanner(strings.NewReader(prompts)), 0
	for ; lines.Scan(); count++ {
		id, err := uuid.NewV7() // made here, because the file name contains it
		if err != nil {
			return err
		}
		if _, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
			ID:              id,
			BatchID:         batch,
			Prompt:          lines.Text(),
			ModelName:       modelName(batch),
			ModelVersion:    new("1.0"),
			DurationSeconds: 2,
			SampleRate:      32000,
			Channels:        int64(1 + count%2),
			FilePath:        out.pathOf(batch, id),
			Metadata:        store.Metadata(`{"source": "examples/workflow"}`),
		}); err != nil {
			return err
		}
	}
	fmt.Printf("requested %d pieces of music\n", count)
	return lines.Err()
}

// workers is the number of workers. Each has its own name, claims and leases, like a process with its own GPU.
const workers = 3

var errDeliberate = errors.New("a deliberate error")

// showRollback shows that a failed transaction changes nothing.
func showRollback(ctx context.Context, s *store.Store) error {
	var id uuid.UUID
	err := s.InTx(ctx, func(tx *store.Tx) error {
		g, err := tx.CreateGeneration(ctx, store.CreateGenerationParams{
			Prompt: "a piece that is rolled back", ModelName: "example-synthesizer",
			DurationSeconds: 2, SampleRate: 32000, Channels: 2, FilePath: "never.wav",
		})
		if err != nil {
			return err
		}
		id = g.ID
		return errDeliberate
	})
	if !errors.Is(err, errDeliberate) {
		return err
	}
	if _, err := s.GetGeneration(ctx, id); !errors.Is(err, store.ErrNotFound) {
		return fmt.Errorf("the transaction was not rolled back: %w", err)
	}
	fmt.Printf("a transaction failed with %q and was rolled back\n", err)
	return nil
}

// runWorkers runs the workers until the batches are finished. If a worker was killed, another one takes over its job
// after the lease has expired.
func runWorkers(ctx context.Context, s *store.Store, batches []uuid.UUID, out *outputs) error {
	var models []string
	for _, batch := range batches {
		models = append(models, modelName(batch))
	}
	working, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var running sync.WaitGroup
	for i := range workers {
		opts := store.WorkOptions{Worker: fmt.Sprintf("worker %d", i+1), Lease: 5 * time.Second, ModelNames: models}
		running.Go(func() {
			err := s.Work(working, opts, func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
				if g.BatchID == nil || !slices.Contains(batches, *g.BatchID) {
					stop(fmt.Errorf("generation %s has a model name of this program, but belongs to another batch", g.ID))
					return store.CompleteGenerationParams{}, release(ctx, s, g)
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

// errOutcomeStored is a handler's error after it has stored the outcome itself. Work then has nothing more to store.
var errOutcomeStored = errors.New("the outcome is stored")

// release puts a job of another program back in the queue.
func release(ctx context.Context, s *store.Store, g store.Generation) error {
	_, err := s.ReleaseGeneration(ctx, g.ID, g.Attempt)
	return errors.Join(err, errOutcomeStored)
}

// failForGood fails a job without a retry, because another attempt would fail, too.
func failForGood(ctx context.Context, s *store.Store, g store.Generation, reason error) error {
	_, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{
		Attempt: g.Attempt, ErrorMessage: reason.Error(), NoRetry: true,
	})
	return errors.Join(err, errOutcomeStored)
}

// watch shows the progress until the batches are finished.
func watch(ctx context.Context, s *store.Store, batches []uuid.UUID) error {
	left, err := countUnfinished(ctx, s, batches...)
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
			if left, err = countUnfinished(ctx, s, batches...); err == nil {
				bar.update(total - left)
			}
		}
	}
	bar.finish(err == nil)
	return err
}

// unfinished counts the jobs of the batches that are still to be done.
func countUnfinished(ctx context.Context, s *store.Store, batches ...uuid.UUID) (count int, err error) {
	for _, batch := range batches {
		stats, err := s.BatchStats(ctx, batch)
		if err != nil {
			return 0, err
		}
		count += int(stats.PendingGenerations + stats.ProcessingGenerations)
	}
	return count, nil
}

// generate makes one piece of music. An error fails the attempt, not the program: the store retries the job.
func generate(
	ctx context.Context, s *store.Store, g store.Generation, out *outputs,
) (store.CompleteGenerationParams, error) {
	none, start := store.CompleteGenerationParams{}, time.Now()
	genre, bpm, err := parsePrompt(g.Prompt)
	if err != nil {
		return none, failForGood(ctx, s, g, err)
	}
	progress := store.Progress{Step: store.StepGenerating, Fraction: 0.1}
	if err := s.ReportProgress(ctx, g.ID, g.Attempt, progress); err != nil {
		return none, err
	}
	fileSize, err := out.write(g, func(file *os.File) error { return writeWAV(file, g, bpm) })
	if errors.Is(err, errRefused) {
		return none, failForGood(ctx, s, g, err)
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
