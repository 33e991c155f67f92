package maintain_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// audio writes a file of so many bytes, as if long before any check.
func audio(t testing.TB, size int, path ...string) string {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name, old, old); err != nil {
		t.Fatal(err)
	}
	return name
}

// link makes a symbolic link. If the system has none, it skips the test.
func link(t testing.TB, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		if runtime.GOOS == "windows" {
			t.Skip("symbolic links are for administrators here")
		}
		t.Fatal(err)
	}
}

// withFile creates a generation with a file path. If size is not negative, it completes the generation with that size.
func withFile(t testing.TB, s *store.Store, path string, size int64) store.Generation {
	t.Helper()
	params := testkit.Beat("melancholic")
	params.FilePath = path
	g, err := s.CreateGeneration(t.Context(), params)
	if err == nil && size >= 0 {
		g, err = s.CompleteGeneration(t.Context(), g.ID, store.CompleteGenerationParams{FileSizeBytes: size})
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, s *store.Store, root string) (id string, kind store.FindingKind){
		"as it should be": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 10, root, "outputs", "a.wav")
			withFile(t, s, "outputs/a.wav", 10)
			withFile(t, s, "./outputs//a.wav", 10)
			withFile(t, s, filepath.Join(root, "outputs", "a.wav"), 10)
			return "", ""
		},
		"of no known size": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 10, root, "a.wav")
			g := withFile(t, s, "a.wav", 10)
			testkit.Exec(t, s, "UPDATE generations SET file_size_bytes = NULL WHERE id = $1", g.ID)
			return "", ""
		},
		"missing": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			return withFile(t, s, "outputs/a.wav", 10).ID.String(), store.FindingMissingFile
		},
		"of another size": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 9, root, "a.wav")
			return withFile(t, s, "a.wav", 10).ID.String(), store.FindingFileSize
		},
		"a folder in its place": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			is.New(t).NoErr(os.MkdirAll(filepath.Join(root, "a.wav"), 0o755))
			return withFile(t, s, "a.wav", 10).ID.String(), store.FindingMissingFile
		},
		"a file in place of its folder": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 9, root, "outputs")
			withFile(t, s, "outputs", 9)
			return withFile(t, s, "outputs/a.wav", 10).ID.String(), store.FindingMissingFile
		},
		"the root itself": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			return withFile(t, s, ".", 10).ID.String(), store.FindingMissingFile
		},
		"out of the root": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 10, filepath.Dir(root), "a.wav")
			return withFile(t, s, "../a.wav", 10).ID.String(), store.FindingFilePath
		},
		"out of the root and back": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 10, root, "a.wav")
			withFile(t, s, "b/../a.wav", 10)
			return withFile(t, s, "../"+filepath.Base(root)+"/a.wav", 10).ID.String(), store.FindingFilePath
		},
		"absolute and elsewhere": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			return withFile(t, s, audio(t, 10, t.TempDir(), "a.wav"), 10).ID.String(), store.FindingFilePath
		},
		"absolute and elsewhere, of a pending generation": func(t *testing.T, s *store.Store, root string) (string,
			store.FindingKind) {
			return withFile(t, s, filepath.Join(t.TempDir(), "a.wav"), -1).ID.String(), store.FindingFilePath
		},
		"absolute and elsewhere by a name that begins as the root": func(t *testing.T, s *store.Store, root string) (string,
			store.FindingKind) {
			return withFile(t, s, audio(t, 10, root+"-other", "a.wav"), 10).ID.String(), store.FindingFilePath
		},
		"another path of a named file": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			file := audio(t, 10, root, "real", "a.wav")
			is.New(t).NoErr(os.Link(file, filepath.Join(root, "hard link.wav")))
			link(t, filepath.Join(root, "real"), filepath.Join(root, "absolute link"))
			withFile(t, s, "hard link.wav", 10)
			return withFile(t, s, "absolute link/a.wav", 10).ID.String(), store.FindingMissingFile
		},
		"of a pending generation": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 3, root, "half.wav")
			withFile(t, s, "half.wav", -1)
			withFile(t, s, "not yet.wav", -1)
			return "", ""
		},
		"of the lowest and the highest ID": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			for i, id := range []uuid.UUID{uuid.Nil, uuid.Max} {
				name := fmt.Sprint(i, ".wav")
				g := withFile(t, s, name, 10)
				audio(t, 10, root, name)
				testkit.Exec(t, s, "UPDATE generations SET id = $1 WHERE id = $2", id, g.ID)
			}
			return "", ""
		},
		"of nobody": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 3, root, "deep", "below", "nobody's.wav")
			return "deep/below/nobody's.wav", store.FindingOrphanFile
		},
		"written since": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			soon := time.Now().Add(time.Minute)
			is.New(t).NoErr(os.Chtimes(audio(t, 3, root, "new.wav"), soon, soon))
			return "", ""
		},
		"behind a link within the root": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			audio(t, 10, root, "real", "a.wav")
			audio(t, 10, root, "real", "b.wav")
			audio(t, 10, root, "real", "c.wav")
			link(t, "real", filepath.Join(root, "linked"))
			link(t, filepath.Join("real", "b.wav"), filepath.Join(root, "b.wav"))
			link(t, filepath.Join(root, "real", "c.wav"), filepath.Join(root, "c.wav")) // os.Root follows no absolute one
			withFile(t, s, "linked/a.wav", 10)
			withFile(t, s, "b.wav", 10)
			return withFile(t, s, "c.wav", 10).ID.String(), store.FindingMissingFile
		},
		"behind a link out of the root": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			link(t, audio(t, 10, t.TempDir(), "a.wav"), filepath.Join(root, "a.wav"))
			return withFile(t, s, "a.wav", 10).ID.String(), store.FindingMissingFile
		},
		"behind a folder that leads out of the root": func(t *testing.T, s *store.Store, root string) (string,
			store.FindingKind) {
			elsewhere := t.TempDir()
			audio(t, 10, elsewhere, "a.wav")
			audio(t, 10, elsewhere, "nobody's.wav")
			link(t, elsewhere, filepath.Join(root, "out"))
			return withFile(t, s, "out/a.wav", 10).ID.String(), store.FindingMissingFile
		},
		"behind links in a circle": func(t *testing.T, s *store.Store, root string) (string, store.FindingKind) {
			link(t, "b", filepath.Join(root, "a"))
			link(t, "a", filepath.Join(root, "b"))
			link(t, ".", filepath.Join(root, "self"))
			return withFile(t, s, "a", 10).ID.String(), store.FindingMissingFile
		},
	}
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		for name, test := range cases {
			t.Run(name, func(t *testing.T) {
				is := is.New(t)
				root := filepath.Join(t.TempDir(), "root")
				is.NoErr(os.Mkdir(root, 0o755))
				id, kind := test(t, s, root)
				want := []store.Finding{}
				if kind != "" {
					want = append(want, store.Finding{Kind: kind, ID: id})
				}
				is.Equal(checked(t, s, root), want)
				is.Equal(checked(t, s, ""), []store.Finding{})
				is.Equal(repaired(t, s), []store.Finding{}) // of files nothing is mended
				is.Equal(checked(t, s, root), want)
				testkit.Exec(t, s, "DELETE FROM generations")
			})
		}
	})
}

// Of a file outside the root Check tells nothing: neither whether it is there, nor how large it is.
func TestCheckTellsNothingOfFilesOutsideTheRoot(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		parent := t.TempDir()
		root := filepath.Join(parent, "root")
		is.NoErr(os.Mkdir(root, 0o755))
		there, missing := audio(t, 10, parent, "there"), filepath.Join(parent, "missing")
		details := func(path, target string) (details []string) {
			for i, size := range []int64{10, 11} {
				for _, out := range []string{target, filepath.Join("..", filepath.Base(target))} {
					name := filepath.Join(root, fmt.Sprint(path, i, len(out)))
					link(t, out, name)
					withFile(t, s, filepath.Base(name), size)
					withFile(t, s, out, size)
				}
			}
			report, err := s.Check(t.Context(), store.CheckParams{FilesRoot: root})
			is.NoErr(err)
			for _, finding := range report.Findings {
				details = append(details, string(finding.Kind)+": "+finding.Detail)
			}
			slices.Sort(details)
			testkit.Exec(t, s, "DELETE FROM generations")
			return details
		}
		ofThere := details("there", there)
		is.Equal(len(ofThere), 8)
		is.Equal(ofThere, details("missing", missing))
	})
}

// A root may be given by a link or relative to the working directory. Paths lead below it in either spelling.
func TestCheckFilesBelowALink(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		parent := t.TempDir()
		root, linked := filepath.Join(parent, "real"), filepath.Join(parent, "linked")
		audio(t, 10, root, "a.wav")
		audio(t, 10, root, "b.wav")
		link(t, "real", linked)
		withFile(t, s, filepath.Join(root, "a.wav"), 10)
		withFile(t, s, filepath.Join(linked, "b.wav"), 10)
		is.Equal(checked(t, s, linked), []store.Finding{})
		here, err := os.Getwd()
		is.NoErr(err)
		relative, err := filepath.Rel(here, linked)
		is.NoErr(err)
		is.Equal(checked(t, s, relative), []store.Finding{})
	})
}

func TestCheckPassesOverTheDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path, url := testkit.PythonFile(t)
	is.NoErr(store.Migrate(t.Context(), url)) // leaves a copy of what was there
	s := testkit.OpenURL(t, url)
	defer s.Close()
	testkit.Create(t, s, "in the log")
	old := time.Now().Add(-time.Hour)
	for _, name := range []string{path, path + "-wal", path + "-shm", path + ".before-v2"} {
		is.NoErr(os.Chtimes(name, old, old))
	}
	audio(t, 1, filepath.Dir(path), "generations.db.txt")
	var orphans []string
	for _, f := range checked(t, s, filepath.Dir(path)) {
		if f.Kind == store.FindingOrphanFile {
			orphans = append(orphans, f.ID)
		}
	}
	is.Equal(orphans, []string{"generations.db.txt"})
}

func TestCheckBoundsTheOrphansItReports(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		root := t.TempDir()
		for i := range 1200 {
			audio(t, 0, root, fmt.Sprint(i))
		}
		report, err := s.Check(t.Context(), store.CheckParams{FilesRoot: root})
		is.NoErr(err)
		is.Equal(len(report.Findings), 1000)
		is.Equal(report.Counts, map[store.FindingKind]int64{store.FindingOrphanFile: 1200})
		for i := range report.Findings[1:] {
			is.True(report.Findings[i].ID < report.Findings[i+1].ID)
		}
	})
}

func TestCheckRefusesARootThatIsNoFolder(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		file := audio(t, 1, t.TempDir(), "file")
		for _, root := range []string{file, filepath.Join(file, "below"), filepath.Join(t.TempDir(), "nowhere"), "a\x00b",
			strings.Repeat("x", 5000)} {
			_, err := s.Check(t.Context(), store.CheckParams{FilesRoot: root})
			testkit.WantInvalid(t, err, "files_root")
			_, err = s.Repair(t.Context(), store.CheckParams{FilesRoot: root})
			testkit.WantInvalid(t, err, "files_root")
		}
	})
}

// A generation is created after the walk over the generations, for a file that existed before.
func TestCheckBesideTheImportOfFiles(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		root := t.TempDir()
		const files = 300
		for i := range files {
			audio(t, 1, root, fmt.Sprint(i))
		}
		done := make(chan error, 1)
		go func() {
			for i := range files {
				params := testkit.Beat("melancholic")
				params.FilePath = fmt.Sprint(i)
				if _, err := s.CreateGeneration(t.Context(), params); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		for importing := true; importing; {
			select {
			case err := <-done:
				is.NoErr(err)
				importing = false
			default:
			}
			before := existing(t, s)
			for _, f := range checked(t, s, root) {
				if f.Kind != store.FindingOrphanFile || before[f.ID] {
					t.Errorf("%+v", f)
				}
			}
		}
		is.Equal(checked(t, s, root), []store.Finding{})
	})
}

// existing returns the file paths that generations name.
func existing(t testing.TB, s *store.Store) map[string]bool {
	t.Helper()
	paths := make(map[string]bool)
	for g, err := range s.Generations(t.Context(), store.ListGenerationsParams{}) {
		if err != nil {
			t.Fatal(err)
		}
		paths[g.FilePath] = true
	}
	return paths
}
