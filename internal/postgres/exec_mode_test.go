package postgres_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// With a connection pooler statements cannot be prepared, and the server answers in text. The values are the same.
func TestTextReadsAsBinaryDoes(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	url := storetest.PostgresURL(t)
	s := testkit.OpenURL(t, url)
	defer s.Close()
	params := testkit.Beat("full")
	params.ModelVersion, params.BatchID, params.Metadata = new("v2"), uuid.New(), store.Metadata(`{"bpm":140}`)
	full, err := s.CreateGeneration(ctx, params)
	is.NoErr(err)
	claims, err := s.ClaimGenerations(ctx, store.ClaimParams{Worker: "w", Limit: 1, Lease: time.Minute})
	is.NoErr(err)
	full, err = s.CompleteGeneration(ctx, full.ID, store.CompleteGenerationParams{Attempt: claims[0].Attempt,
		GenerationTimeSeconds: 2.5, FileSizeBytes: 7})
	is.NoErr(err)
	plain, err := s.CreateGeneration(ctx, testkit.Beat("plain"))
	is.NoErr(err)
	for _, mode := range []string{"exec", "simple_protocol"} {
		text := testkit.OpenURL(t, url+"&default_query_exec_mode="+mode)
		defer text.Close()
		page, err := text.ListGenerations(ctx, store.ListGenerationsParams{})
		is.NoErr(err)
		is.Equal(page.Generations, []store.Generation{plain, full})
		got, err := text.GetGeneration(ctx, full.ID)
		is.NoErr(err)
		is.Equal(got, full)
	}
}
