package maintain_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// wav writes the beginning of a WAV file.
func wav(t testing.TB, path ...string) string {
	t.Helper()
	name := audio(t, 0, path...)
	is.New(t).NoErr(os.WriteFile(name, []byte("RIFF\x24\x00\x00\x00WAVE"), 0o600))
	return name
}

func isFile(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// reasons returns why files were kept.
func reasons(report store.PruneReport) map[string]string {
	kept := make(map[string]string)
	for _, file := range report.KeptFiles {
		kept[file.Path] = file.Reason
	}
	return kept
}

// pruneFiles prunes what is older than a minute with the root. The dry run must report the same.
func pruneFiles(t testing.TB, s *store.Store, root string) store.PruneReport {
	t.Helper()
	is := is.New(t)
	params := store.PruneParams{OlderThan: time.Minute, FilesRoot: root, DryRun: true, DeleteFiles: true}
	dry, err := s.Prune(t.Context(), params)
	is.NoErr(err)
	is.Equal(dry.DeletedFiles, int64(0))
	for _, path := range dry.FilePaths {
		if !filepath.IsAbs(path) {
			path = filepath.Join(root, path)
		}
		is.True(isFile(path)) // a dry run deletes nothing
	}
	params.DryRun = false
	report, err := s.Prune(t.Context(), params)
	is.NoErr(err)
	dry.DeletedFiles = report.DeletedFiles
	is.Equal(dry, report)
	return report
}

// Audio that a remaining generation names stays, whatever path the old generation has for it.
func TestPruneKeepsAudioInUse(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, root string) (old, remaining string){
		"relative and absolute": func(t *testing.T, root string) (string, string) {
			return "outputs/a.wav", filepath.Join(root, "outputs", "a.wav")
		},
		"absolute and relative": func(t *testing.T, root string) (string, string) {
			return filepath.Join(root, "outputs", "a.wav"), "outputs/a.wav"
		},
		"the remaining one a link": func(t *testing.T, root string) (string, string) {
			link(t, filepath.Join("outputs", "a.wav"), filepath.Join(root, "latest.wav"))
			return "outputs/a.wav", "latest.wav"
		},
		"the remaining one an absolute link": func(t *testing.T, root string) (string, string) {
			link(t, filepath.Join(root, "outputs", "a.wav"), filepath.Join(root, "latest.wav"))
			return "outputs/a.wav", "latest.wav"
		},
		"the old one a link": func(t *testing.T, root string) (string, string) {
			link(t, filepath.Join("outputs", "a.wav"), filepath.Join(root, "latest.wav"))
			return "latest.wav", "outputs/a.wav"
		},
		"the old one in a linked folder": func(t *testing.T, root string) (string, string) {
			link(t, "outputs", filepath.Join(root, "linked"))
			return "linked/a.wav", "outputs/a.wav"
		},
		"the remaining one in a linked folder": func(t *testing.T, root string) (string, string) {
			link(t, "outputs", filepath.Join(root, "linked"))
			return "outputs/a.wav", "linked/a.wav"
		},
		"the remaining one through a folder elsewhere": func(t *testing.T, root string) (string, string) {
			elsewhere := filepath.Join(t.TempDir(), "music")
			link(t, root, elsewhere)
			return "outputs/a.wav", filepath.Join(elsewhere, "outputs", "a.wav")
		},
		"the remaining one through the parent of a link": func(t *testing.T, root string) (string, string) {
			is.New(t).NoErr(os.Mkdir(filepath.Join(root, "outputs", "day"), 0o755))
			link(t, filepath.Join("outputs", "day"), filepath.Join(root, "linked"))
			return "outputs/a.wav", "linked/../a.wav"
		},
		"a hard link": func(t *testing.T, root string) (string, string) {
			is.New(t).NoErr(os.Link(filepath.Join(root, "outputs", "a.wav"), filepath.Join(root, "b.wav")))
			return "outputs/a.wav", "b.wav"
		},
		"another spelling": func(t *testing.T, root string) (string, string) {
			return "./outputs//a.wav", "outputs/x/../a.wav"
		},
	}
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		for name, names := range cases {
			t.Run(name, func(t *testing.T) {
				is := is.New(t)
				root := t.TempDir()
				file := wav(t, root, "outputs", "a.wav")
				old, remaining := names(t, root)
				ended(t, s, "old", old, store.StatusCompleted)
				clock.Advance(time.Hour)
				g := ended(t, s, "young", remaining, store.StatusCompleted)
				report := pruneFiles(t, s, root)
				is.Equal(report.Generations, int64(1))
				is.Equal(report.FilePaths, []string{})
				is.True(isFile(file))
				is.True(len(report.KeptFiles) == 1 || name == "another spelling")

				// The other generation takes the file along, unless its own path is a link.
				clock.Advance(time.Hour)
				report = pruneFiles(t, s, root)
				is.True(!isThere(t, s, g))
				is.Equal(int64(len(report.FilePaths)+len(report.KeptFiles))+report.MissingFiles, int64(1))
			})
		}
	})
}

// Prune deletes only audio below the root, and says why any other file stays.
func TestPruneDeletesOnlyAudio(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		parent := t.TempDir()
		root := filepath.Join(parent, "root")
		for name, start := range map[string]string{
			"a.wav": "RIFF", "b.WAV": "RF64", "c.mp3": "ID3\x04", "d.mp3": "\xff\xfb\x90\x00", "e.flac": "fLaC",
			"f.ogg": "OggS", "empty.wav": "",
		} {
			is.NoErr(os.WriteFile(audio(t, 0, root, "good", name), []byte(start), 0o600))
			ended(t, s, "old", "good/"+name, store.StatusCompleted)
		}
		outside := wav(t, parent, "outside.wav")
		wav(t, parent, "linked", "a.wav")
		link(t, filepath.Join(parent, "linked"), filepath.Join(root, "out"))
		link(t, outside, filepath.Join(root, "out.wav"))
		link(t, "good", filepath.Join(root, "good link"))
		is.NoErr(os.WriteFile(audio(t, 0, root, ".env"), []byte("PASSWORD=x"), 0o600))
		is.NoErr(os.WriteFile(audio(t, 0, root, "text.wav"), []byte("PASSWORD=x"), 0o600))
		is.NoErr(os.WriteFile(audio(t, 0, root, "utf16.mp3"), []byte("\xff\xfea\x00"), 0o600))
		wav(t, root, "unknown.xyz")
		wav(t, root, "no extension")
		is.NoErr(os.Mkdir(filepath.Join(root, "folder.wav"), 0o755))
		kept := map[string]string{
			".env": "its name", "text.wav": "its content", "utf16.mp3": "its content", "unknown.xyz": "its name",
			"no extension": "its name", "folder.wav": "it is not a regular file", ".": "it is not a regular file",
			"out.wav": "it is not a regular file", "out/a.wav": "it cannot be accessed",
			"a.wav/below": "", "good/a.wav/below.wav": "it cannot be accessed",
			outside: "it is not below", "../outside.wav": "it is not below", "good/../../root/good/a.wav": "it is not below",
			"/etc/shadow": "it is not below",
		}
		for path := range kept {
			ended(t, s, "old", path, store.StatusFailed)
		}
		delete(kept, "a.wav/below") // which does not exist
		ended(t, s, "old", "good link/a.wav", store.StatusFailed)
		ended(t, s, "old", "gone.wav", store.StatusFailed)
		clock.Advance(time.Hour)

		report := pruneFiles(t, s, root)
		is.Equal(report.DeletedFiles, int64(7)) // of which one has two paths
		is.Equal(report.MissingFiles, int64(2))
		is.Equal(len(report.FilePaths), 8)
		got := reasons(report)
		is.Equal(len(got), len(kept))
		for path, reason := range kept {
			if !strings.HasPrefix(got[path], reason) || got[path] == "" {
				t.Errorf("%s: kept since %q, want %q", path, got[path], reason)
			}
		}
		for _, name := range []string{".env", "text.wav", "utf16.mp3", "unknown.xyz", "no extension", "folder.wav", "out.wav",
			"../outside.wav", "../linked/a.wav"} {
			is.True(isFile(filepath.Join(root, name)))
		}
		left, err := os.ReadDir(filepath.Join(root, "good"))
		is.NoErr(err)
		is.Equal(len(left), 0)
	})
}

// Without a root nothing is known of files, so that only what reads as audio below it is listed.
func TestPruneWithoutRootListsOnlyAudioBelowIt(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		for _, path := range []string{"/etc/shadow", "/srv/music/old.wav", "../a.wav", "a/../../b.wav", ".env",
			"data/generations.db", "free.wav", "outputs/used.wav", "Letters.wav"} {
			ended(t, s, "old", path, store.StatusCompleted)
		}
		clock.Advance(time.Hour)
		ended(t, s, "young", "/srv/music/outputs/used.wav", store.StatusCompleted)
		ended(t, s, "young", "LETTERS.WAV", store.StatusCompleted)
		params := store.PruneParams{OlderThan: time.Minute}
		report, err := s.Prune(t.Context(), params)
		is.NoErr(err)
		is.Equal(report.FilePaths, []string{"free.wav"})
		is.Equal(len(report.KeptFiles), 6)
		is.Equal(reasons(report)["/etc/shadow"], "its path is absolute, and no files root is given")
		is.Equal(report.MissingFiles, int64(0))

		params.DeleteFiles = true
		_, err = s.Prune(t.Context(), params)
		testkit.WantInvalid(t, err, "files_root")
		for _, root := range []string{filepath.Join(t.TempDir(), "nowhere"), wav(t, t.TempDir(), "file.wav")} {
			params.FilesRoot = root
			_, err = s.Prune(t.Context(), params)
			testkit.WantInvalid(t, err, "files_root")
		}
	})
}

// Prune keeps the database's own files, whatever they are called, and leaves SQLite its locks.
func TestPruneKeepsTheDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	root := t.TempDir()
	path := filepath.Join(root, "generations.wav")
	clock := testkit.NewClock()
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite:" + path, Migrate: true, Now: clock.Now})
	is.NoErr(err)
	defer s.Close()
	link(t, "generations.wav", filepath.Join(root, "link.wav"))
	names := []string{"generations.wav", "generations.wav-wal", "generations.wav-shm", "link.wav", path}
	for _, name := range names {
		ended(t, s, "old", name, store.StatusCompleted)
	}
	clock.Advance(time.Hour)
	report := pruneFiles(t, s, root)
	is.Equal(report.FilePaths, []string{})
	is.Equal(len(report.KeptFiles), len(names))
	for _, name := range names[:3] {
		is.Equal(reasons(report)[name], "it belongs to the database")
		is.True(isFile(filepath.Join(root, name)))
	}
	testkit.Create(t, s, "still there")
	is.Equal(len(checked(t, s, "")), 0)
}

// A Prune that is cut off deletes the files of the generations that it has deleted.
func TestPruneDeletesFilesWhenItIsCutOff(t *testing.T) {
	t.Parallel()
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			clock, root := testkit.NewClock(), t.TempDir()
			logger := slog.New(&cancelAt{query: "PruneGenerations", times: 2, cancel: cancel})
			s := engine.Open(t, store.Options{Now: clock.Now, Logger: logger})
			const files = 500
			for i := range files {
				name := fmt.Sprint(i, ".wav")
				wav(t, root, name)
				ended(t, s, "old", name, store.StatusCompleted)
			}
			clock.Advance(time.Hour)
			params := store.PruneParams{OlderThan: time.Minute, FilesRoot: root, DeleteFiles: true}
			report, err := s.Prune(ctx, params)
			is.True(errors.Is(err, context.Canceled))
			is.True(report.Generations > 0 && report.Generations < files)
			is.Equal(report.DeletedFiles, report.Generations)
			left, err := os.ReadDir(root)
			is.NoErr(err)
			is.Equal(int64(len(left)), files-report.DeletedFiles)
			report, err = s.Prune(t.Context(), params)
			is.NoErr(err)
			is.Equal(report.DeletedFiles, int64(len(left)))
		})
	}
}
