package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// onEveryEngine runs a test on each engine, with DATABASE_URL set to a migrated, empty database.
func onEveryEngine(t *testing.T, test func(t *testing.T, url string)) {
	engines := map[string]func(testing.TB) string{"sqlite": storetest.URL, "postgres": storetest.PostgresURL}
	for name, newURL := range engines {
		t.Run(name, func(t *testing.T) {
			url := newURL(t)
			t.Setenv("DATABASE_URL", url)
			t.Setenv("OUTPUTS", filepath.Join(t.TempDir(), "outputs"))
			test(t, url)
		})
	}
}

func open(t *testing.T, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// job returns a job of another program. Its priority puts it before all others.
func job(model, filePath string) store.CreateGenerationParams {
	return store.CreateGenerationParams{
		Prompt: "trap beat at 140 BPM", ModelName: model, Priority: -1,
		DurationSeconds: 1, SampleRate: 8000, Channels: 1, FilePath: filepath.ToSlash(filePath),
		Metadata: store.Metadata(`{"source": "examples/workflow"}`),
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	is := is.New(t)
	is.Helper()
	is.NoErr(os.MkdirAll(filepath.Dir(path), 0o755))
	is.NoErr(os.WriteFile(path, []byte(content), 0o600))
}

func checkFile(t *testing.T, path, content string) {
	t.Helper()
	is := is.New(t)
	is.Helper()
	got, err := os.ReadFile(path)
	is.NoErr(err)
	is.Equal(string(got), content)
}

const fewPrompts = "one at 100 BPM\ntwo at 100 BPM\n"

func TestWorkflow(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := open(t, store.Options{URL: url})
		for round := range int64(2) { // the second run uses the same database
			is.NoErr(run(t.Context(), promptsFile))
			stats, err := s.Stats(t.Context())
			is.NoErr(err)
			is.True(stats.AverageGenerationTimeSeconds > 0)
			stats.AverageGenerationTimeSeconds = 0
			is.Equal(stats, store.Stats{
				TotalGenerations: 40 * (round + 1), CompletedGenerations: 37 * (round + 1), FailedGenerations: 3 * (round + 1),
				TotalPrompts: 32,
			})
			page, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{Status: store.StatusCompleted})
			is.NoErr(err)
			for _, g := range page.Generations {
				info, err := os.Stat(filepath.FromSlash(g.FilePath))
				is.NoErr(err)
				is.Equal(info.Size(), *g.FileSizeBytes)
			}
		}
	})
}

// A run changes neither the jobs of other programs nor the files that they name, wherever these are.
func TestForeignJobs(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s, outside := open(t, store.Options{URL: url}), t.TempDir()
		var files []string
		var foreign []store.Generation
		for i, model := range []string{"musicgen-small", "example-synthesizer"} {
			for _, dir := range []string{outside, os.Getenv("OUTPUTS")} {
				file := filepath.Join(dir, "precious", fmt.Sprintf("%d.wav", i))
				writeFile(t, file, "precious")
				g, err := s.CreateGeneration(t.Context(), job(model, file))
				is.NoErr(err)
				files, foreign = append(files, file), append(foreign, g)
			}
		}

		is.NoErr(run(t.Context(), fewPrompts)) // does not wait for the foreign jobs
		for i, g := range foreign {
			now, err := s.GetGeneration(t.Context(), g.ID)
			is.NoErr(err)
			is.Equal(now, g)
			checkFile(t, files[i], "precious")
		}
		stats, err := s.Stats(t.Context())
		is.NoErr(err)
		is.Equal(stats.CompletedGenerations, int64(2))
		is.Equal(stats.PendingGenerations, int64(len(foreign)))
	})
}

// A run finishes what a killed run left, and refuses file paths that were changed meanwhile.
func TestKilledRun(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		out, err := openOutputs(os.Getenv("OUTPUTS"))
		is.NoErr(err)
		defer out.close()
		batch, err := out.newBatch()
		is.NoErr(err)
		past := open(t, store.Options{URL: url, Now: func() time.Time { return time.Now().Add(-time.Hour) }})
		is.NoErr(request(t.Context(), past, fewPrompts, batch, out))
		_, err = past.ClaimGenerations(t.Context(), store.ClaimParams{
			Worker: "killed", Limit: 1, Lease: time.Minute, ModelNames: []string{modelName(batch)},
		})
		is.NoErr(err)

		dir, outside := filepath.Join(os.Getenv("OUTPUTS"), batch.String()), t.TempDir()
		absolute, above := filepath.Join(outside, "absolute.wav"), filepath.Join(outside, "above.wav")
		linked, inLinked := filepath.Join(outside, "linked.wav"), filepath.Join(outside, "in-linked.wav")
		sibling := filepath.Join(os.Getenv("OUTPUTS"), "sibling.wav")
		files := []string{absolute, above, linked, inLinked, sibling}
		for _, file := range files {
			writeFile(t, file, "precious")
		}
		is.NoErr(os.Symlink(linked, filepath.Join(dir, "link.wav")))
		is.NoErr(os.Symlink(outside, filepath.Join(dir, "dir")))
		working, err := os.Getwd()
		is.NoErr(err)
		up, err := filepath.Rel(working, above)
		is.NoErr(err)
		link, throughLink := filepath.Join(dir, "link.wav"), filepath.Join(dir, "dir", "in-linked.wav")
		changed := []string{absolute, up, link, throughLink, sibling, dir}
		for _, path := range changed {
			params := job(modelName(batch), path)
			params.BatchID = batch
			_, err := past.CreateGeneration(t.Context(), params)
			is.NoErr(err)
		}

		is.NoErr(run(t.Context(), fewPrompts))
		stats, err := past.BatchStats(t.Context(), batch)
		is.NoErr(err)
		is.Equal(stats.CompletedGenerations, int64(2))
		is.Equal(stats.FailedGenerations, int64(len(changed)))
		page, err := past.ListGenerations(t.Context(), store.ListGenerationsParams{BatchID: batch})
		is.NoErr(err)
		for _, g := range page.Generations {
			if g.IsFailed() {
				is.True(strings.HasPrefix(*g.ErrorMessage, errRefused.Error()))
			} else {
				info, err := os.Stat(filepath.FromSlash(g.FilePath))
				is.NoErr(err)
				is.Equal(info.Size(), *g.FileSizeBytes)
			}
		}
		for _, file := range files {
			checkFile(t, file, "precious")
		}
	})
}

// A symbolic link in place of a batch's directory is refused, too.
func TestLinkedDirectory(t *testing.T) {
	is := is.New(t)
	out, err := openOutputs(filepath.Join(t.TempDir(), "outputs"))
	is.NoErr(err)
	defer out.close()
	batch, outside := uuid.New(), t.TempDir()
	writeFile(t, filepath.Join(outside, "a.wav"), "precious")
	is.NoErr(os.Symlink(outside, filepath.Join(out.absolute, batch.String())))
	g := store.Generation{BatchID: &batch, FilePath: out.path + "/" + batch.String() + "/a.wav"}
	_, err = out.write(g, func(*os.File) error { return nil })
	is.True(errors.Is(err, errRefused))
	checkFile(t, filepath.Join(outside, "a.wav"), "precious")
	batches, err := out.batches()
	is.NoErr(err)
	is.Equal(len(batches), 0)
}

// A job of another program with the model name of an earlier run is released, and the run ends.
func TestSameModelAnotherBatch(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := open(t, store.Options{URL: url})
		out, err := openOutputs(os.Getenv("OUTPUTS"))
		is.NoErr(err)
		defer out.close()
		batch, err := out.newBatch()
		is.NoErr(err)
		is.NoErr(request(t.Context(), s, "one at 100 BPM\n", batch, out))
		file := filepath.Join(os.Getenv("OUTPUTS"), batch.String(), "theirs.wav")
		writeFile(t, file, "precious")
		g, err := s.CreateGeneration(t.Context(), job(modelName(batch), file))
		is.NoErr(err)

		err = run(t.Context(), fewPrompts)
		is.True(err != nil && strings.Contains(err.Error(), g.ID.String()))
		g, err = s.GetGeneration(t.Context(), g.ID)
		is.NoErr(err)
		is.True(g.IsPending())
		checkFile(t, file, "precious")
	})
}

func TestParsePrompt(t *testing.T) {
	is := is.New(t)
	genre, bpm, err := parsePrompt("hip hop beat at 90 BPM with vinyl crackle")
	is.NoErr(err)
	is.Equal(genre, "hip hop beat")
	is.Equal(bpm, 90.0)
	genre, bpm, err = parsePrompt("something calm")
	is.NoErr(err)
	is.Equal(genre, "something calm")
	is.Equal(bpm, 120.0)
	for _, bad := range []string{"drone at 0 BPM", "gabber at 100000 BPM"} {
		_, _, err = parsePrompt(bad)
		is.True(err != nil)
	}
}
