package store_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/dgx-music/storage/store"
)

func Example() {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Migrate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	g, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
		Prompt: "hip hop beat at 140 BPM", ModelName: "musicgen-small", DurationSeconds: 16, SampleRate: 32000,
		Channels: 2, FilePath: "outputs/gen_123.wav", Metadata: store.Metadata(`{"bpm": 140}`),
	})
	fmt.Println(g.Prompt, g.Status, err)
	// Output: hip hop beat at 140 BPM pending <nil>
}

// A job from its creation to its end, as the Python README's complete workflow.
func Example_workflow() {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: "sqlite::memory:", Migrate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	g, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
		Prompt: "trap beat 140 BPM", ModelName: "musicgen-small", DurationSeconds: 16,
		SampleRate: 32000, Channels: 2, FilePath: "outputs/test.wav",
	})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.UpdateGenerationStatus(ctx, g.ID, store.StatusProcessing, ""); err != nil {
		log.Fatal(err)
	}
	// … generate audio …
	metadata, err := store.NewMetadata(store.MusicMetadata{BPM: 140, Key: "Cm"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{
		GenerationTimeSeconds: 18.5, FileSizeBytes: 5242880, Metadata: metadata,
	}); err != nil {
		log.Fatal(err)
	}

	g, err = s.GetGeneration(ctx, g.ID)
	if err != nil {
		log.Fatal(err)
	}
	music, err := store.DecodeMetadata[store.MusicMetadata](g.Metadata)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s in %g s, %g BPM in %s\n", g.Status, *g.GenerationTimeSeconds, music.BPM, music.Key)
	// Output: completed in 18.5 s, 140 BPM in Cm
}

// A worker: it runs until its context ends, which here is when the one job is done.
func ExampleStore_Work() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	s, err := store.Open(ctx, store.Options{URL: "sqlite::memory:", Migrate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	g, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
		Prompt: "trap beat 140 BPM", ModelName: "musicgen-small", DurationSeconds: 16,
		SampleRate: 32000, Channels: 2, FilePath: "outputs/test.wav",
	})
	if err != nil {
		log.Fatal(err)
	}

	work := func(ctx context.Context, g store.Generation) (store.CompleteGenerationParams, error) {
		defer stop()
		progress := store.Progress{Step: store.StepGenerating, Fraction: 0.5}
		if err := s.ReportProgress(ctx, g.ID, g.Attempt, progress); err != nil {
			return store.CompleteGenerationParams{}, err
		}
		// … generate audio …
		return store.CompleteGenerationParams{GenerationTimeSeconds: 18.5, FileSizeBytes: 5242880}, nil
	}
	if err := s.Work(ctx, store.WorkOptions{}, work); err != nil {
		log.Fatal(err)
	}
	g, err = s.GetGeneration(context.Background(), g.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(g.Status, "at attempt", g.Attempt)
	// Output: completed at attempt 1
}

// A worker by hand: whatever it says, it says under the attempt of its claim.
func ExampleStore_ClaimGenerations() {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: "sqlite::memory:", Migrate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	if _, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
		Prompt: "trap beat 140 BPM", ModelName: "musicgen-small", DurationSeconds: 16,
		SampleRate: 32000, Channels: 2, FilePath: "outputs/test.wav",
	}); err != nil {
		log.Fatal(err)
	}
	claimed, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "gpu-0", Limit: 1, Lease: time.Minute})
	if err != nil {
		log.Fatal(err)
	}
	for _, g := range claimed {
		failed, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{
			Attempt: g.Attempt, ErrorMessage: "CUDA out of memory",
		})
		fmt.Println(failed.Status, failed.Attempt, "of", failed.MaxAttempts, err)
		_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: g.Attempt})
		fmt.Println(errors.Is(err, store.ErrLeaseLost))
	}
	// Output:
	// pending 1 of 3 <nil>
	// true
}

// What the function of a transaction returns decides whether anything of it stays.
func ExampleStore_InTx() {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: "sqlite::memory:", Migrate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	err = s.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.TrackPrompt(ctx, "trap beat"); err != nil {
			return err
		}
		return errors.New("something went wrong")
	})
	fmt.Println(err)
	_, err = s.GetPromptByText(ctx, "trap beat")
	fmt.Println(errors.Is(err, store.ErrNotFound))
	// Output:
	// something went wrong
	// true
}

// Pages follow each other by a cursor, which stays right whatever is created or deleted in between.
func ExampleStore_ListGenerations() {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: "sqlite::memory:", Migrate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for i := range 5 {
		if _, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
			Prompt: fmt.Sprintf("prompt %d", i), ModelName: "musicgen-small", DurationSeconds: 16,
			SampleRate: 32000, Channels: 2, FilePath: "outputs/test.wav",
		}); err != nil {
			log.Fatal(err)
		}
	}
	params := store.ListGenerationsParams{Status: store.StatusPending, Limit: 2}
	for {
		page, err := s.ListGenerations(ctx, params)
		if err != nil {
			log.Fatal(err)
		}
		for _, g := range page.Generations {
			fmt.Println(g.Prompt)
		}
		if page.Next == "" {
			break
		}
		params.After = page.Next
	}
	// Output:
	// prompt 4
	// prompt 3
	// prompt 2
	// prompt 1
	// prompt 0
}

// Filters may be combined: that trap beat around 140 BPM from last week.
func ExampleStore_ListGenerations_metadata() {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: "sqlite::memory:", Migrate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	for prompt, metadata := range map[string]string{
		"dark beat":  `{"genre": "trap", "bpm": 138}`,
		"slow beat":  `{"genre": "trap", "bpm": 70}`,
		"house beat": `{"genre": "house", "bpm": 140}`,
	} {
		if _, err := s.CreateGeneration(ctx, store.CreateGenerationParams{
			Prompt: prompt, ModelName: "musicgen-small", DurationSeconds: 16, SampleRate: 32000, Channels: 2,
			FilePath: "outputs/test.wav", Metadata: store.Metadata(metadata),
		}); err != nil {
			log.Fatal(err)
		}
	}
	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{
		Search:         "beat",
		Metadata:       map[string]any{"genre": "trap"},
		MetadataRanges: []store.MetadataRange{{Key: "bpm", Min: new(135.0), Max: new(145.0)}},
		CreatedFrom:    time.Now().AddDate(0, 0, -7),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, g := range page.Generations {
		fmt.Println(g.Prompt, g.Metadata)
	}
	// Output: dark beat {"genre":"trap","bpm":138}
}

// Bad input is refused before it reaches the database, by the name of its column.
func ExampleValidationError() {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: "sqlite::memory:", Migrate: true})
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()
	_, err = s.CreateGeneration(ctx, store.CreateGenerationParams{Prompt: "six channels", ModelName: "musicgen-small",
		DurationSeconds: 16, SampleRate: 32000, Channels: 6, FilePath: "outputs/test.wav"})
	var invalid *store.ValidationError
	if errors.As(err, &invalid) {
		fmt.Println(invalid.Field, invalid.Problem)
	}
	// Output: channels is neither 1 (mono) nor 2 (stereo)
}

func ExampleMigrate() {
	folder, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(folder)
	url := "sqlite://" + folder + "/generations.db"
	if err := store.Migrate(context.Background(), url); err != nil {
		log.Fatal(err)
	}
	migrations, err := store.MigrationStatus(context.Background(), url)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(migrations[0].Name, migrations[0].Applied)
	// Output: initial_schema true
}
