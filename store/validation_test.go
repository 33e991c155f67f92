package store_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// badCreations are all kinds of bad input for a creation, and the field that each error names.
func badCreations() map[string]struct {
	field  string
	change func(*store.CreateGenerationParams)
} {
	type bad = struct {
		field  string
		change func(*store.CreateGenerationParams)
	}
	metadata := func(text string) bad {
		return bad{"metadata", func(p *store.CreateGenerationParams) { p.Metadata = store.Metadata(text) }}
	}
	return map[string]bad{
		"empty prompt":            {"prompt", func(p *store.CreateGenerationParams) { p.Prompt = "" }},
		"invalid UTF-8 in prompt": {"prompt", func(p *store.CreateGenerationParams) { p.Prompt = "a\xffb" }},
		"NUL in prompt":           {"prompt", func(p *store.CreateGenerationParams) { p.Prompt = "a\x00b" }},
		"prompt too long":         {"prompt", func(p *store.CreateGenerationParams) { p.Prompt = strings.Repeat("p", 2001) }},
		"prompt too long in bytes": {"prompt", func(p *store.CreateGenerationParams) {
			p.Prompt = strings.Repeat("é", 1001)
		}},
		"empty model name": {"model_name", func(p *store.CreateGenerationParams) { p.ModelName = "" }},
		"model name too long": {"model_name",
			func(p *store.CreateGenerationParams) { p.ModelName = strings.Repeat("m", 256) }},
		"invalid model name": {"model_name", func(p *store.CreateGenerationParams) { p.ModelName = "\xc3\x28" }},
		"NUL in model version": {"model_version",
			func(p *store.CreateGenerationParams) { p.ModelVersion = new("1\x00") }},
		"model version too long": {"model_version",
			func(p *store.CreateGenerationParams) { p.ModelVersion = new(strings.Repeat("v", 256)) }},
		"duration zero":     {"duration_seconds", func(p *store.CreateGenerationParams) { p.DurationSeconds = 0 }},
		"duration negative": {"duration_seconds", func(p *store.CreateGenerationParams) { p.DurationSeconds = -1 }},
		"duration NaN": {"duration_seconds",
			func(p *store.CreateGenerationParams) { p.DurationSeconds = math.NaN() }},
		"duration infinite": {"duration_seconds",
			func(p *store.CreateGenerationParams) { p.DurationSeconds = math.Inf(1) }},
		"sample rate zero": {"sample_rate", func(p *store.CreateGenerationParams) { p.SampleRate = 0 }},
		"channels zero":    {"channels", func(p *store.CreateGenerationParams) { p.Channels = 0 }},
		"channels three":   {"channels", func(p *store.CreateGenerationParams) { p.Channels = 3 }},
		"empty file path":  {"file_path", func(p *store.CreateGenerationParams) { p.FilePath = "" }},
		"file path too long": {"file_path",
			func(p *store.CreateGenerationParams) { p.FilePath = strings.Repeat("f", 4097) }},
		"NUL in file path":         {"file_path", func(p *store.CreateGenerationParams) { p.FilePath = "a\x00.wav" }},
		"metadata array":           metadata(`[1]`),
		"metadata scalar":          metadata(`1`),
		"metadata null":            metadata(`null`),
		"metadata blank":           metadata(` `),
		"metadata broken":          metadata(`{"a":`),
		"metadata with more":       metadata(`{} {}`),
		"metadata too long":        metadata(`{"a":"` + strings.Repeat("x", 1<<20) + `"}`),
		"metadata long with space": metadata(`{}` + strings.Repeat(" ", 1<<20)),
		"metadata invalid UTF-8":   metadata("{\"a\":\"\xff\"}"),
		"metadata NUL":             metadata(`{"a":"\u0000"}`),
		"metadata NUL in key":      metadata(`{"a\u0000":1}`),
		"metadata lone high":       metadata(`{"a":"\ud800"}`),
		"metadata lone low":        metadata(`{"a":"\udc00x"}`),
		"metadata wrong pair":      metadata(`{"a":"\ud83d\u0041"}`),
		"metadata too deep":        metadata(strings.Repeat(`{"a":`, 129) + "1" + strings.Repeat("}", 129)),
		"metadata exponent":        metadata(`{"a":1e1001}`),
		"metadata small exponent":  metadata(`{"a":1e-1001}`),
		"metadata huge exponent":   metadata(`{"a":1e99999999999999999999}`),
		"metadata that expands":    metadata(`{"a":[` + strings.Repeat("1e1000,", 17000) + `1]}`),
		"metadata digits":          metadata(`{"a":0.` + strings.Repeat("1", 16384) + `}`),
		"metadata integer digits":  metadata(`{"a":` + strings.Repeat("1", 131073) + `}`),
	}
}

func TestBadInputIsRefusedAndTheDatabaseUntouched(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, _ *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		g := testkit.Create(t, s, "good")
		before, err := s.Stats(ctx)
		is.NoErr(err)

		for name, bad := range badCreations() {
			given := testkit.Beat("good")
			bad.change(&given)
			t.Run(name, func(t *testing.T) {
				_, err := s.CreateGeneration(ctx, given)
				testkit.WantInvalid(t, err, bad.field)
				_, err = s.CreateGenerations(ctx, []store.CreateGenerationParams{testkit.Beat("good"), given})
				testkit.WantInvalid(t, err, bad.field)
				if bad.field == "metadata" {
					_, err := s.MergeMetadata(ctx, g.ID, given.Metadata)
					testkit.WantInvalid(t, err, "metadata")
					_, err = s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Metadata: given.Metadata})
					testkit.WantInvalid(t, err, "metadata")
				}
				if bad.field == "prompt" {
					_, err := s.TrackPrompt(ctx, given.Prompt)
					testkit.WantInvalid(t, err, "text")
				}
				if quoted := given.Prompt; given.Prompt != "good" && given.Prompt != "" && strings.Contains(err.Error(), quoted) {
					t.Errorf("the error quotes the prompt: %v", err)
				}
			})
		}

		others := []struct {
			field string
			call  func() error
		}{
			{"status", func() error { _, err := s.UpdateGenerationStatus(ctx, g.ID, "done", ""); return err }},
			{"status", func() error { _, err := s.UpdateGenerationStatus(ctx, g.ID, "", ""); return err }},
			{"error_message", func() error {
				_, err := s.UpdateGenerationStatus(ctx, g.ID, store.StatusFailed,
					"\xff")
				return err
			}},
			{"error_message", func() error {
				_, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{ErrorMessage: "a\x00"})
				return err
			}},
			{"error_message", func() error {
				_, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{ErrorMessage: strings.Repeat("e", 1<<20+1)})
				return err
			}},
			{"attempt", func() error {
				_, err := s.FailGeneration(ctx, g.ID, store.FailGenerationParams{Attempt: -1})
				return err
			}},
			{"attempt", func() error {
				_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{Attempt: -1})
				return err
			}},
			{"generation_time_seconds", func() error {
				_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{GenerationTimeSeconds: math.NaN()})
				return err
			}},
			{"generation_time_seconds", func() error {
				_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{GenerationTimeSeconds: math.Inf(1)})
				return err
			}},
			{"generation_time_seconds", func() error {
				_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{GenerationTimeSeconds: -1})
				return err
			}},
			{"file_size_bytes", func() error {
				_, err := s.CompleteGeneration(ctx, g.ID, store.CompleteGenerationParams{FileSizeBytes: -1})
				return err
			}},
			{"limit", func() error { _, err := s.ListGenerations(ctx, store.ListGenerationsParams{Limit: -1}); return err }},
			{"offset", func() error { _, err := s.ListGenerations(ctx, store.ListGenerationsParams{Offset: -1}); return err }},
			{"status", func() error { _, err := s.ListGenerations(ctx, store.ListGenerationsParams{Status: "x"}); return err }},
			{"model_name", func() error {
				_, err := s.ListGenerations(ctx, store.ListGenerationsParams{ModelName: "\x00"})
				return err
			}},
			{"limit", func() error { _, err := s.PendingGenerations(ctx, -1); return err }},
			{"status", func() error { _, err := s.CountGenerations(ctx, "x"); return err }},
			{"limit", func() error { _, err := s.ListPrompts(ctx, store.ListPromptsParams{Limit: -1}); return err }},
			{"offset", func() error { _, err := s.ListPrompts(ctx, store.ListPromptsParams{Offset: -1}); return err }},
			{"limit", func() error { _, err := s.MostUsedPrompts(ctx, -1); return err }},
			{"text", func() error { _, err := s.GetPromptByText(ctx, ""); return err }},
			{"text", func() error { _, err := s.GetPromptByText(ctx, "\x00"); return err }},
		}
		for _, other := range others {
			testkit.WantInvalid(t, other.call(), other.field)
		}

		after, err := s.Stats(ctx)
		is.NoErr(err)
		is.Equal(after, before)
		unchanged, err := s.GetGeneration(ctx, g.ID)
		is.NoErr(err)
		is.Equal(unchanged, g)
		p, err := s.GetPrompt(ctx, g.PromptID)
		is.NoErr(err)
		is.Equal(p.UsedCount, int64(1))
	})
}

func TestWhatIsJustWithinTheLimitsIsAccepted(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 128) + "1" + strings.Repeat("}", 128)
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		changes := []func(*store.CreateGenerationParams){
			func(p *store.CreateGenerationParams) { p.Prompt = randomText(2000) }, // random, so that no index compresses it
			func(p *store.CreateGenerationParams) { p.Prompt = " " },
			func(p *store.CreateGenerationParams) { p.ModelName = strings.Repeat("m", 255) },
			func(p *store.CreateGenerationParams) { p.ModelVersion = new(strings.Repeat("v", 255)) },
			func(p *store.CreateGenerationParams) { p.FilePath = strings.Repeat("f", 4096) },
			func(p *store.CreateGenerationParams) { p.DurationSeconds = math.SmallestNonzeroFloat64 },
			func(p *store.CreateGenerationParams) { p.DurationSeconds = math.MaxFloat64 },
			func(p *store.CreateGenerationParams) { p.SampleRate = math.MaxInt64 },
			func(p *store.CreateGenerationParams) { p.Channels = 1 },
			func(p *store.CreateGenerationParams) { p.Metadata = store.Metadata(deep) },
			func(p *store.CreateGenerationParams) { p.Metadata = store.Metadata(`{"a":1e1000,"b":-1e-1000}`) },
			func(p *store.CreateGenerationParams) {
				p.Metadata = store.Metadata(`{"a":0.` + strings.Repeat("1", 16383) + `,"b":` + strings.Repeat("1", 131072) + `}`)
			},
			func(p *store.CreateGenerationParams) { p.Metadata = store.Metadata(`{"😀":"\ud83d\ude00\uffff"}`) },
			func(p *store.CreateGenerationParams) {
				p.Metadata = store.Metadata(`{"a":"` + strings.Repeat("x", 1<<20-8) + `"}`)
			},
			// The worst that 1 MiB of text becomes in JSONB: it must still fit into the schema's own bound.
			func(p *store.CreateGenerationParams) {
				p.Metadata = store.Metadata(`{"a":[` + strings.Repeat("1,", 1<<19-10) + `1]}`)
			},
			func(p *store.CreateGenerationParams) {
				p.Metadata = store.Metadata(`{"a":[` + strings.Repeat("1e1000,", 16000) + `1]}`)
			},
		}
		for i, change := range changes {
			given := testkit.Beat("x")
			change(&given)
			g, err := s.CreateGeneration(t.Context(), given)
			if err != nil {
				t.Errorf("number %d: %v", i, err)
				continue
			}
			got, err := s.GetGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.Equal(got.Prompt, given.Prompt)
			is.Equal(got.DurationSeconds, given.DurationSeconds)
		}
	})
}

func TestMergedMetadataIsBounded(t *testing.T) {
	t.Parallel()
	fill := map[string]string{ // nearly 16 MiB, past the store: merging that much would take a while
		"sqlite":   "UPDATE generations SET metadata = json_object('long', hex(zeroblob(8000000)))",
		"postgres": "UPDATE generations SET metadata = jsonb_build_object('long', repeat('0', 16000000))",
	}
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			is := is.New(t)
			s := engine.Open(t)
			g := testkit.Create(t, s, "x")
			_, err := s.DB().Exec(t.Context(), fill[engine.Name])
			is.NoErr(err)
			_, err = s.MergeMetadata(t.Context(), g.ID, store.Metadata(`{"short":1}`))
			is.NoErr(err)
			long := store.Metadata(`{"more":"` + strings.Repeat("x", 1<<20-100) + `"}`)
			_, err = s.MergeMetadata(t.Context(), g.ID, long)
			testkit.WantInvalid(t, err, "metadata")
			_, err = s.CompleteGeneration(t.Context(), g.ID, store.CompleteGenerationParams{Metadata: long})
			testkit.WantInvalid(t, err, "metadata")
		})
	}
}

// The schema refuses what the store refuses, from programs that go past the store.
func TestSchemaRefusesBadInputAgain(t *testing.T) {
	t.Parallel()
	statements := map[string]string{
		"generations_prompt_check":                  "UPDATE generations SET prompt = ''",
		"generations_model_name_check":              "UPDATE generations SET model_name = ''",
		"generations_model_version_check":           "UPDATE generations SET model_version = " + long(256),
		"generations_duration_seconds_check":        "UPDATE generations SET duration_seconds = 0",
		"generations_sample_rate_check":             "UPDATE generations SET sample_rate = 0",
		"generations_channels_check":                "UPDATE generations SET channels = 6",
		"generations_file_path_check":               "UPDATE generations SET file_path = " + long(4097),
		"generations_file_size_bytes_check":         "UPDATE generations SET file_size_bytes = -1",
		"generations_status_check":                  "UPDATE generations SET status = 'done'",
		"generations_generation_time_seconds_check": "UPDATE generations SET generation_time_seconds = -1",
		"generations_metadata_check":                "UPDATE generations SET metadata = '[1]'",
		"generations_attempt_check":                 "UPDATE generations SET attempt = -1",
		"generations_max_attempts_check":            "UPDATE generations SET max_attempts = 0",
		"generations_worker_check":                  "UPDATE generations SET worker = ''",
		"generations_progress_step_check":           "UPDATE generations SET progress_step = ''",
		"generations_progress_fraction_check":       "UPDATE generations SET progress_fraction = 1.01",
		"generation_errors_attempt_check":           "INSERT INTO generation_errors SELECT id, 0, 'w', 'e', created_at FROM generations",
		"generation_errors_worker_check":            "INSERT INTO generation_errors SELECT id, 1, '', 'e', created_at FROM generations",
		"generation_queue_id_check":                 "INSERT INTO generation_queue (id) VALUES (2)",
		"prompts_text_check":                        "UPDATE prompts SET text = ''",
		"prompts_used_count_check":                  "UPDATE prompts SET used_count = -1",
		"prompts_text_length":                       "INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES (" + long(2001) + ", 1, '2026-11-23 09:00:22.000000', '2026-11-23 09:00:22.000000')",
		"generations_prompt_id_fkey":                "UPDATE generations SET prompt_id = 999",
		"prompts_text_key":                          "INSERT INTO prompts (text, used_count, first_used_at, last_used_at) SELECT text, 1, first_used_at, last_used_at FROM prompts",
	}
	only := map[string]map[string]string{
		"sqlite": {
			"infinite duration":     "UPDATE generations SET duration_seconds = 1e999",
			"text in a number":      "UPDATE generations SET duration_seconds = 'long'",
			"broken metadata":       "UPDATE generations SET metadata = '{'",
			"NUL in a prompt":       "UPDATE generations SET prompt = 'a' || char(0)",
			"NUL in a file path":    "UPDATE generations SET file_path = 'a' || char(0)",
			"a time of other width": "UPDATE generations SET created_at = '2026-11-23 09:00:22'",
			"an ID that is none":    "UPDATE generations SET id = 'abc-123'",
			"a batch that is none":  "UPDATE generations SET batch_id = 'abc-123'",
			"an error of no size":   "INSERT INTO generation_errors SELECT id, 1, 'w', CAST(zeroblob(1048577) AS TEXT), created_at FROM generations",
		},
		"postgres": {
			"infinite duration": "UPDATE generations SET duration_seconds = 'Infinity'",
			"NaN duration":      "UPDATE generations SET duration_seconds = 'NaN'",
			"prompt too long":   "UPDATE generations SET prompt = " + long(2001),
		},
	}
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			s := engine.Open(t)
			testkit.Create(t, s, "x")
			for _, table := range []map[string]string{statements, only[engine.Name]} {
				for name, statement := range table {
					if _, err := s.DB().Exec(t.Context(), statement); err == nil {
						t.Errorf("%s: the schema accepts it", name)
					}
				}
			}
		})
	}
}

func long(bytes int) string { return "'" + strings.Repeat("x", bytes) + "'" }

func randomText(bytes int) string {
	text := make([]byte, bytes)
	state := uint32(2463534242)
	for i := range text {
		state ^= state << 13
		state ^= state >> 17
		state ^= state << 5
		text[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[state%64]
	}
	return string(text)
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, opts := range []store.Options{{MaxConns: -1}, {MaxConns: math.MaxInt}} {
		opts.URL = "sqlite::memory:"
		_, err := store.Open(context.Background(), opts)
		testkit.WantInvalid(t, err, "MaxConns")
	}
	_, err := store.Open(context.Background(), store.Options{URL: "sqlite::memory:", BusyTimeout: -1})
	testkit.WantInvalid(t, err, "BusyTimeout")
	_, err = store.Open(context.Background(), store.Options{URL: "sqlite::memory:",
		ReplicaURLs: []string{"postgres://localhost/x"}})
	testkit.WantInvalid(t, err, "ReplicaURLs")
}
