package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func TestCheckAndRepair(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		create(t, s, beat("trap beat"))
		r := dgxstore(t, "check", "--database", url)
		is.Equal(r.code, exitDone)
		is.Equal(r.stdout, "no findings\n")

		_, err := s.DB().Exec(t.Context(), "UPDATE generation_counters SET value = value + 1 WHERE name = 'pending'")
		is.NoErr(err)
		r = dgxstore(t, "check", "--database", url)
		is.Equal(r.code, exitAttention)
		is.True(strings.Contains(r.stdout, "counter"))
		is.True(strings.Contains(r.stdout, "counter: 1 found"))
		is.True(strings.Contains(r.stderr, "1 finding"))
		var report checked
		r = dgxstore(t, "check", "--json", "--database", url)
		is.Equal(r.code, exitAttention)
		r.decode(t, &report)
		is.Equal(len(report.Findings), 1)
		is.Equal(report.Counts["counter"], int64(1))
		is.True(report.Findings[0].Repairable)
		is.Equal(report.Repaired, nil)

		is.Equal(dgxstore(t, "check", "--repair", "--database", url).code, exitDeclined)
		is.Equal(dgxstore(t, "check", "--repair", "--json", "--database", url).code, exitDeclined)
		is.Equal(dgxstore(t, "check", "--database", url).code, exitAttention) // nothing was repaired

		r = dgxstore(t, "check", "--repair", "--yes", "--json", "--database", url)
		is.Equal(r.code, exitDone)
		report = checked{}
		r.decode(t, &report)
		is.Equal(len(report.Findings), 0)
		is.Equal(len(report.Repaired.Findings), 1)
		is.Equal(dgxstore(t, "check", "--database", url).code, exitDone)
		r = dgxstore(t, "check", "--repair", "--database", url) // nothing to ask about
		is.Equal(r.code, exitDone)
	})
}

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url, root := storetest.URL(t), t.TempDir()
	s := openNow(t, url)
	there, missing := beat("there"), beat("missing")
	is.NoErr(os.Mkdir(filepath.Join(root, "outputs"), 0o755))
	is.NoErr(os.WriteFile(filepath.Join(root, there.FilePath), make([]byte, 1000), 0o600))
	createCompleted(t, s, there)
	g := createCompleted(t, s, missing)
	r := dgxstore(t, "check", "--files-root", root, "--database", url)
	is.Equal(r.code, exitAttention)
	is.True(strings.Contains(r.stdout, "missing_file  no          "+g.ID.String()))
	var report checked
	dgxstore(t, "check", "--json", "--files-root", root, "--database", url).decode(t, &report)
	is.Equal(report.Counts, map[store.FindingKind]int64{"missing_file": 1})
	is.Equal(dgxstore(t, "check", "--database", url).code, exitDone)
	is.Equal(dgxstore(t, "check", "--files-root", filepath.Join(root, "none"), "--database", url).code, exitUsage)
}

func TestOptimize(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		r := dgxstore(t, "optimize", "--database", url)
		is.Equal(r.code, exitDone)
		is.True(strings.HasPrefix(r.stdout, "optimized: "))
		var done struct {
			Vacuum          bool  `json:"vacuum"`
			SizeBytesBefore int64 `json:"size_bytes_before"`
			SizeBytesAfter  int64 `json:"size_bytes_after"`
		}
		dgxstore(t, "optimize", "--vacuum", "--json", "--database", url).decode(t, &done)
		is.True(done.Vacuum)
		is.True(done.SizeBytesAfter > 0)
	})
}
