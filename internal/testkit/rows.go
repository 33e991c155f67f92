package testkit

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// RowsToCopy returns n generations of an existing prompt.
func RowsToCopy(prompt store.Prompt, n int) []storagedb.CopyGenerationsParams {
	rows := make([]storagedb.CopyGenerationsParams, n)
	for i := range rows {
		at := NewClock().Now().Add(time.Duration(i) * time.Second)
		rows[i] = storagedb.CopyGenerationsParams{
			ID: uuid.Must(uuid.NewV7()), Prompt: prompt.Text, ModelName: "musicgen-small", DurationSeconds: 0.1, SampleRate: 32000, Channels: 2,
			FilePath: fmt.Sprintf("outputs/%d.wav", i), Status: store.StatusPending, CreatedAt: at, ScheduledAt: at,
			Metadata: store.Metadata(`{"bpm":140}`), PromptID: prompt.ID, MaxAttempts: 3, ProgressStep: store.StepQueued,
		}
	}
	return rows
}

// CreateMany creates n generations of a hundred prompts.
func CreateMany(t *testing.T, s *store.Store, n int) {
	t.Helper()
	params := make([]store.CreateGenerationParams, n)
	for i := range params {
		params[i] = Beat(fmt.Sprintf("prompt %d", i%100))
	}
	_, err := s.CreateGenerations(t.Context(), params)
	is.New(t).NoErr(err)
}

// FillMany copies n generations of a thousand prompts into the empty database of a URL. One in five has failed once.
func FillMany(t *testing.T, url string, generations int) {
	t.Helper()
	is := is.New(t)
	s := OpenURL(t, url)
	defer s.Close()
	const prompts = 1000
	is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error {
		for i := range prompts {
			if _, err := tx.TrackPrompt(t.Context(), fmt.Sprint("prompt ", i)); err != nil {
				return err
			}
		}
		return nil
	}))
	all, err := storagedb.New(s.DB()).PromptsBehind(t.Context(), storagedb.PromptsBehindParams{RowLimit: prompts})
	is.NoErr(err)
	is.Equal(len(all), prompts)
	rows := RowsToCopy(all[0], generations)
	var failed []storagedb.CopyGenerationErrorsParams
	for i := range rows {
		prompt := all[i%prompts]
		rows[i].PromptID, rows[i].Prompt = prompt.ID, prompt.Text
		rows[i].Metadata = store.Metadata(fmt.Sprintf(`{"bpm":%d,"seed":%d}`, 60+i%120, i))
		if i%5 == 0 {
			failed = append(failed, storagedb.CopyGenerationErrorsParams{GenerationID: rows[i].ID, Attempt: 1, Worker: "w",
				Error: "no GPU", FailedAt: rows[i].CreatedAt})
		}
	}
	_, err = storagedb.New(s.DB()).CopyGenerations(t.Context(), rows)
	is.NoErr(err)
	_, err = storagedb.New(s.DB()).CopyGenerationErrors(t.Context(), failed)
	is.NoErr(err)
}

// FillAllKinds fills an empty store with rows that have all that a row can have, and with n plain ones.
func FillAllKinds(t testing.TB, s *store.Store, n int) {
	t.Helper()
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	queries := storagedb.New(s.DB())
	at := time.Date(2026, 11, 23, 9, 0, 22, 123456000, time.UTC)
	early, late := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	prompts := []storagedb.CopyPromptsParams{
		{ID: -3, Text: "negative", FirstUsedAt: early, LastUsedAt: late},
		{ID: 7, Text: "日本の琴, \U0001F3B5 \"quoted\" \\ \ttab\nline", UsedCount: math.MaxInt64, FirstUsedAt: at,
			LastUsedAt: at},
		{ID: 1000, Text: strings.Repeat("é", store.MaxPromptBytes/2), UsedCount: 1, FirstUsedAt: at,
			LastUsedAt: at.Add(time.Microsecond)},
	}
	_, err := queries.CopyPrompts(ctx, prompts)
	must(err)

	rows := RowsToCopy(store.Prompt{ID: 7, Text: prompts[1].Text}, 20)
	rows[0].ID = uuid.Nil
	rows[1].ID = uuid.Max
	full := &rows[2]
	full.ModelVersion, full.FileSizeBytes, full.Status, full.CompletedAt = new(""), new(int64(math.MaxInt64)), store.StatusCompleted, &late
	full.GenerationTimeSeconds, full.ErrorMessage, full.Priority, full.StartedAt = new(0.1+
		0.2), new("it's\r\nok"), math.MinInt64, &early
	full.Attempt, full.MaxAttempts, full.Worker, full.LeaseExpiresAt, full.BatchID = 2, 5, new("wörker"), &at, &uuid.UUID{15: 1}
	full.ProgressStep, full.ProgressFraction, full.CancelRequestedAt, full.Favorite = "mixing", 1.0/3, &at, true
	rows[3].DurationSeconds, rows[3].GenerationTimeSeconds = math.SmallestNonzeroFloat64, new(0.0)
	rows[4].DurationSeconds, rows[4].Priority = math.MaxFloat64, math.MaxInt64
	for i, status := range storagedb.Statuses() {
		rows[5+i].Status = status
	}
	for i, metadata := range []string{
		``, `{"big":12345678901234567890123,"exp":1.50e3,"tiny":1e-1000,"huge":-1E1000,"zero":-0.0,"float":3.140}`,
		`{"":{"z":[1,"two",null,true,{"b":1,"a":[]}],"a":"\ud83c\udfb5 \u0001\"\\\/"}}`, `{"long":"` + strings.Repeat("x",
			1<<17) + `"}`,
		`{"日本":"語","A":1,"a":2}`,
	} {
		rows[10+i].Metadata = store.Metadata(metadata)
	}
	rows = append(rows, RowsToCopy(store.Prompt{ID: 1000, Text: prompts[2].Text}, n)...)
	_, err = queries.CopyGenerations(ctx, rows)
	must(err)
	_, err = queries.CopyGenerationErrors(ctx, []storagedb.CopyGenerationErrorsParams{
		{GenerationID: uuid.Nil, Attempt: 1, Worker: "w", Error: "", FailedAt: at},
		{GenerationID: uuid.Nil, Attempt: 2, Worker: "w", Error: "no GPU \U0001F525", FailedAt: early},
		{GenerationID: uuid.Max, Attempt: math.MaxInt64, Worker: "w", Error: strings.Repeat("e", 1<<16), FailedAt: late},
		{GenerationID: full.ID, Attempt: 1, Worker: "wörker", Error: "e", FailedAt: at},
	})
	must(err)
}
