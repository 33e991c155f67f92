// Command workflow is the service's main job from end to end: people ask for music, a worker makes it, and the store
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
	if err := takeUp(ctx, s); err != nil {
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

// takeUp puts back in the queue what an earlier run was at when it was cut off. There is one worker here, so nobody
// else can be at it.
func takeUp(ctx context.Context, s *store.Store) error {
	for {
		page, err := s.ListGenerations(ctx, store.ListGenerationsParams{Status: store.StatusProcessing})
		if err != nil || len(page.Generations) == 0 {
			return err
		}
		for _, g := range page.Generations {
			if _, err := s.UpdateGenerationStatus(ctx, g.ID, store.StatusPending, ""); err != nil {
				return err
			}
			fmt.Printf("taking up again: %s\n", g.Prompt)
		}
	}
}

// workOff is the worker: it takes what is due, makes the audio and records how it went.
func workOff(ctx context.Context, s *store.Store) error {
	waiting, err := s.CountGenerations(ctx, store.StatusPending)
	if err != nil {
		return err
	}
	bar := newBar("generating", int(waiting))
	err = workOffAll(ctx, s, bar.step)
	bar.finish(err == nil)
	return err
}

func workOffAll(ctx context.Context, s *store.Store, done func()) error {
	for {
		due, err := s.PendingGenerations(ctx, 10)
		if err != nil || len(due) == 0 {
			return err
		}
		for _, g := range due {
			if err := generate(ctx, s, g); err != nil {
				return err
			}
			done()
		}
	}
}

// generate makes one piece. That the music cannot be made is the generation's failure, not the program's.
func generate(ctx context.Context, s *store.Store, g store.Generation) error {
	if _, err := s.UpdateGenerationStatus(ctx, g.ID, store.StatusProcessing, ""); err != nil {
		return err
	}
	start := time.Now()
	genre, bpm, err := understand(g.Prompt)
	if err != nil {
		_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{ErrorMessage: err.Error()})
		return err
	}
	fileSize, err := writeWAV(filepath.FromSlash(g.FilePath), g, bpm)
	if err != nil {
		_, err = s.FailGeneration(ctx, g.ID, store.FailGenerationParams{ErrorMessage: err.Error()})
		return err
	}
	metadata, err := store.NewMetadata(describe(genre, bpm))
	if err != nil {
		return err
	}
	_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{
		GenerationTimeSeconds: time.Since(start).Seconds(),
		FileSizeBytes:         fileSize,
		Metadata:              metadata,
	})
	return err
}
