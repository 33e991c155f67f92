package peers

import (
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/store"
)

type storeClient struct{ *store.Store }

func openStore(ctx context.Context, url string) (Client, error) {
	s, err := store.Open(ctx, store.Options{URL: url})
	return storeClient{s}, err
}

func (job Job) params() store.CreateGenerationParams {
	return store.CreateGenerationParams{
		ID: uuid.MustParse(job.ID), Prompt: job.Prompt, ModelName: modelName, DurationSeconds: duration,
		SampleRate: sampleRate, Channels: channels, FilePath: job.FilePath, Metadata: store.Metadata(job.Metadata),
	}
}

func (s storeClient) Create(ctx context.Context, job Job) error {
	_, err := s.CreateGeneration(ctx, job.params())
	return err
}

func (s storeClient) CreateAll(ctx context.Context, jobs []Job) error {
	params := make([]store.CreateGenerationParams, len(jobs))
	for i, job := range jobs {
		params[i] = job.params()
	}
	_, err := s.CreateGenerations(ctx, params)
	return err
}

func (s storeClient) Get(ctx context.Context, id uuid.UUID) (string, error) {
	g, err := s.GetGeneration(ctx, id)
	return g.Prompt, err
}

func (s storeClient) List(ctx context.Context, limit int) (uuid.UUID, int, error) {
	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{Limit: limit})
	if err != nil || len(page.Generations) == 0 {
		return uuid.UUID{}, 0, err
	}
	return page.Generations[0].ID, len(page.Generations), nil
}

// History creates generations to read, with the store, a hundred at a time. Generations of one call have the same time,
// and differ in their IDs.
func History(ctx context.Context, url string, generations int) ([]Job, error) {
	s, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	jobs := NewJobs(generations)
	for chunk := range slices.Chunk(jobs, 100) {
		if err := (storeClient{s}).CreateAll(ctx, chunk); err != nil {
			return nil, err
		}
	}
	if !strings.HasPrefix(url, "sqlite") {
		_, err = s.DB().Exec(ctx, "ANALYZE") // otherwise autovacuum would run it during a round
	}
	return jobs, err
}
