package maintain_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// closedFile is the content of a database that nobody has open, of 1,000 generations.
func closedFile(t *testing.T) []byte {
	t.Helper()
	is := is.New(t)
	url := storetest.URL(t)
	testkit.FillMany(t, url, 1000)
	s := testkit.OpenURL(t, url)
	is.NoErr(s.Optimize(t.Context(), store.OptimizeParams{Vacuum: true})) // no page is free
	is.NoErr(s.Close())
	data, err := os.ReadFile(strings.TrimPrefix(url, "sqlite://"))
	is.NoErr(err)
	return data
}

// checkedBroken opens a broken file and checks it. A file whose schema cannot be read is not opened.
func checkedBroken(t *testing.T, data []byte) (findings []store.Finding, opened bool) {
	t.Helper()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), "broken.db")
	is.NoErr(os.WriteFile(path, data, 0o600))
	s, err := store.Open(t.Context(), store.Options{URL: "sqlite://" + path})
	if err != nil {
		return nil, false
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	report, err := s.Check(ctx, store.CheckParams{FilesRoot: t.TempDir()})
	if err != nil {
		t.Errorf("Check of a broken file: %v", err)
	}
	// What Repair can do with it nobody knows, but it comes back, and does not say what is not so.
	mended, err := s.Repair(ctx, store.CheckParams{})
	if errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Repair of a broken file hangs")
	}
	again, err := s.Check(ctx, store.CheckParams{})
	if err != nil {
		t.Errorf("Check behind a Repair of a broken file: %v", err)
	}
	left := make(map[store.Finding]bool)
	for _, f := range again.Findings {
		left[f] = true
	}
	for _, f := range mended.Findings {
		if left[f] {
			t.Errorf("said to be mended, and is not: %+v", f)
		}
	}
	return report.Findings, true
}

func TestCheckOfABrokenFile(t *testing.T) {
	if testing.Short() {
		t.Skip("reads many broken files")
	}
	t.Parallel()
	whole := closedFile(t)
	const page = 4096
	const runs = 20
	for name, breakIt := range map[string]func(random *rand.Rand, data []byte) (must bool){
		"a page that is noise": func(random *rand.Rand, data []byte) bool {
			at := page * (1 + random.IntN(len(data)/page-1))
			for i := range page {
				data[at+i] = byte(random.Uint32())
			}
			return true
		},
		"pages that are empty": func(random *rand.Rand, data []byte) bool {
			for range 5 {
				at := page * (1 + random.IntN(len(data)/page-1))
				clear(data[at : at+page])
			}
			return true
		},
		"a page in place of another": func(random *rand.Rand, data []byte) bool {
			pages := len(data) / page
			from, to := 1+random.IntN(pages-1), 1+random.IntN(pages-1)
			copy(data[page*to:page*(to+1)], data[page*from:page*(from+1)])
			return from != to
		},
		"some bytes": func(random *rand.Rand, data []byte) bool { // they may stand where nothing is
			for range 50 {
				data[page+random.IntN(len(data)-page)] = byte(random.Uint32())
			}
			return false
		},
		"text that is other text": func(random *rand.Rand,
			data []byte) bool { // pages stay pages, and values do not stay values
			for i := page; i < len(data); i++ {
				if data[i] == '-' && random.IntN(300) == 0 || data[i] == '{' && random.IntN(300) == 0 {
					data[i] = 'z'
				}
			}
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opened := 0
			for run := range runs {
				random := rand.New(rand.NewPCG(uint64(run), 7))
				data := append([]byte{}, whole...)
				must := breakIt(random, data)
				findings, could := checkedBroken(t, data)
				if !could {
					continue
				}
				opened++
				found := false
				for _, f := range findings {
					found = found || f.Kind == store.FindingIntegrity
				}
				if must && !found {
					t.Errorf("run %d: nothing was found in a broken file: %+v", run, findings)
				}
			}
			is.New(t).True(opened > runs/4)
		})
	}
}
