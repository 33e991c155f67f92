package peers

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

//go:embed c/create.c
var createC []byte

// cFlags are the flags that https://www.sqlite.org/compile.html recommends, except those that the schema does not work
// with.
var cFlags = []string{
	"-O2", "-DSQLITE_ENABLE_FTS5", "-DSQLITE_THREADSAFE=0", "-DSQLITE_DEFAULT_MEMSTATUS=0", "-DSQLITE_DQS=0",
	"-DSQLITE_LIKE_DOESNT_MATCH_BLOBS", "-DSQLITE_MAX_EXPR_DEPTH=0", "-DSQLITE_OMIT_DEPRECATED",
	"-DSQLITE_OMIT_PROGRESS_CALLBACK", "-DSQLITE_OMIT_SHARED_CACHE", "-DSQLITE_OMIT_LOAD_EXTENSION",
	"-DSQLITE_USE_ALLOCA",
}

// C is a program in C that creates generations on SQLite, in one thread.
type C struct{ path string }

// ErrNoC is returned if the program cannot be compiled, because gcc or SQLite's source is missing.
var ErrNoC = errors.New("gcc or mattn's SQLite source is missing")

// CompileC compiles the program with the SQLite that mattn ships. That takes a minute, so it caches the result.
func CompileC(ctx context.Context) (C, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "github.com/mattn/go-sqlite3").Output()
	sources := strings.TrimSpace(string(dir))
	if _, missing := exec.LookPath("gcc"); missing != nil || err != nil || sources == "" {
		return C{}, ErrNoC
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return C{}, err
	}
	cache = filepath.Join(cache, "dgx-music-storage-bench")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return C{}, err
	}
	sum := sha256.Sum256(fmt.Append(nil, sources, cFlags, string(createC)))
	program := filepath.Join(cache, fmt.Sprintf("create-%x", sum[:8]))
	if _, err := os.Stat(program); err == nil {
		return C{program}, nil
	}
	if err := os.WriteFile(program+".c", createC, 0o600); err != nil {
		return C{}, err
	}
	sqlite := filepath.Join(sources, "sqlite3-binding.c")
	args := append([]string{"-I", sources, "-o", program + ".new", program + ".c", sqlite, "-lm"}, cFlags...)
	if output, err := exec.CommandContext(ctx, "gcc", args...).CombinedOutput(); err != nil {
		return C{}, fmt.Errorf("gcc: %w: %s", err, output)
	}
	return C{program}, os.Rename(program+".new", program)
}

// CreateEach creates generations, and commits each.
func (c C) CreateEach(
	ctx context.Context, url string, creations int, first int64,
) (created int64, took, p99 time.Duration, err error) {
	return c.run(ctx, sqlitePath(url), "each", strconv.Itoa(creations), first)
}

// CreateAll creates generations in one transaction.
func (c C) CreateAll(
	ctx context.Context, url string, rows int, first int64,
) (created int64, took time.Duration, err error) {
	created, took, _, err = c.run(ctx, sqlitePath(url), "once", strconv.Itoa(rows), first)
	return created, took, err
}

func (c C) run(
	ctx context.Context, path, mode, rows string, first int64,
) (created int64, took, p99 time.Duration, err error) {
	output, err := exec.CommandContext(ctx, c.path, path, mode, rows, strconv.FormatInt(first, 10)).Output()
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, failed.Stderr)
	}
	if err != nil {
		return 0, 0, 0, err
	}
	var seconds, p99Seconds float64
	_, err = fmt.Sscan(string(output), &created, &seconds, &p99Seconds)
	took = time.Duration(seconds * float64(time.Second))
	return created, took, time.Duration(p99Seconds * float64(time.Second)), err
}
