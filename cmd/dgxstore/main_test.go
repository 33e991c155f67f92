package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// The tests run the program itself, as an operator would. It is built once.
var (
	program    string
	buildFlags []string
)

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "dgxstore")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "dgxstore")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	build := exec.Command("go", slices.Concat([]string{"build"}, buildFlags, []string{"-o", program, "."})...)
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// result is the result of a run of the program.
type result struct {
	code           int
	stdout, stderr string
}

// command prepares a run of the program. It runs in a directory of its own, and has no database unless args name one.
func command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir = t.TempDir()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); name != "DATABASE_URL" && name != "NO_COLOR" && name != "TERM" {
			cmd.Env = append(cmd.Env, variable)
		}
	}
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	return cmd
}

// dgxstore runs the program without a terminal. It checks what holds for every such run: no colours, one document or
// one error with --json, and a message with every error.
func dgxstore(t testing.TB, args ...string) result {
	t.Helper()
	return runCommand(t, command(t, args...))
}

func runCommand(t testing.TB, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	r := result{code: exitStatus(t, cmd.Run()), stdout: stdout.String(), stderr: stderr.String()}
	if strings.ContainsRune(r.stdout+r.stderr, '\x1b') {
		t.Errorf("%v writes escape sequences without a terminal: %q", cmd.Args[1:], r.stdout+r.stderr)
	}
	if r.code != exitDone && r.stderr == "" {
		t.Errorf("%v exits with %d and no message", cmd.Args[1:], r.code)
	}
	if slices.Contains(cmd.Args, "--json") {
		r.checkJSON(t, cmd.Args[1:])
	}
	return r
}

func (r result) checkJSON(t testing.TB, args []string) {
	t.Helper()
	if r.stdout != "" && !json.Valid([]byte(r.stdout)) {
		t.Errorf("%v writes invalid JSON: %q", args, r.stdout)
	}
	if r.code == exitDone {
		if r.stdout == "" || r.stderr != "" {
			t.Errorf("%v writes %q to stdout and %q to stderr", args, r.stdout, r.stderr)
		}
		return
	}
	var failure struct {
		Error    string    `json:"error"`
		Code     int       `json:"code"`
		Problems []problem `json:"problems"`
	}
	decodeText(t, r.stderr, &failure)
	if failure.Code != r.code || failure.Error == "" || strings.Count(r.stderr, "\n") != 1 {
		t.Errorf("%v exits with %d and %q", args, r.code, r.stderr)
	}
}

func exitStatus(t testing.TB, err error) int {
	t.Helper()
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok {
		t.Fatal(err)
	}
	return exit.ExitCode()
}

// decode parses stdout, which must be exactly one document without unknown fields.
func (r result) decode(t testing.TB, into any) {
	t.Helper()
	if r.code != exitDone && r.code != exitAttention && r.stdout == "" {
		t.Fatalf("exit code %d: %s", r.code, r.stderr)
	}
	decodeText(t, r.stdout, into)
}

func decodeText(t testing.TB, text string, into any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		t.Fatalf("more than one document in %q", text)
	}
}

// onEveryEngine runs a test on each engine, with a migrated, empty database.
func onEveryEngine(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for name, url := range map[string]func(testing.TB) string{"sqlite": storetest.URL, "postgres": storetest.PostgresURL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, url(t))
		})
	}
}

// openAt opens the store with a clock that always shows now.
func openAt(t testing.TB, url string, now time.Time) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{URL: url, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func beat(prompt string) store.CreateGenerationParams {
	return store.CreateGenerationParams{
		Prompt: prompt, ModelName: "musicgen-small", DurationSeconds: 16, SampleRate: 32000, Channels: 2,
		FilePath: "outputs/" + uuid.NewString() + ".wav",
	}
}

func create(t testing.TB, s *store.Store, params store.CreateGenerationParams) store.Generation {
	t.Helper()
	g, err := s.CreateGeneration(t.Context(), params)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func createCompleted(t testing.TB, s *store.Store, params store.CreateGenerationParams) store.Generation {
	t.Helper()
	g, err := s.CompleteGeneration(t.Context(), create(t, s, params).ID,
		store.CompleteGenerationParams{GenerationTimeSeconds: 18.5, FileSizeBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func createFailed(t testing.TB, s *store.Store, params store.CreateGenerationParams, message string) store.Generation {
	t.Helper()
	g, err := s.FailGeneration(t.Context(), create(t, s, params).ID, store.FailGenerationParams{ErrorMessage: message})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func claim(t testing.TB, s *store.Store, worker string, lease time.Duration) store.Generation {
	t.Helper()
	claimed, err := s.ClaimGenerations(t.Context(), store.ClaimParams{Worker: worker, Limit: 1, Lease: lease})
	if err != nil || len(claimed) != 1 {
		t.Fatal(claimed, err)
	}
	return claimed[0]
}

func statusOf(t testing.TB, s *store.Store, id uuid.UUID) store.Status {
	t.Helper()
	g, err := s.GetGeneration(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return g.Status
}

// holdWriter holds SQLite's write lock until the test ends.
func holdWriter(t testing.TB, url string) {
	t.Helper()
	s := openAt(t, url, time.Now())
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.InTx(context.WithoutCancel(t.Context()), func(*store.Tx) error {
			close(held)
			<-release
			return nil
		})
	}()
	<-held
	t.Cleanup(func() {
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// missingURL returns the URL and the path of a SQLite file that does not exist.
func missingURL(t testing.TB) (url, path string) {
	path = filepath.Join(t.TempDir(), "none.db")
	return "sqlite:" + filepath.ToSlash(path), path
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

const noSuchID = "01890000-0000-7000-8000-000000000000"

// hostile is a prompt that attacks a terminal: with colours, a window title, a carriage return, the C1 control CSI and
// a change of the writing direction.
const hostile = "trap \x1b[31mred\x1b]0;title\x07 \r over \u009b1m \u202e drow"

func checkHarmless(t testing.TB, output string) {
	t.Helper()
	is := is.New(t)
	is.Helper()
	for _, r := range "\x1b\x07\r\u009b\u202e" {
		is.True(!strings.ContainsRune(output, r)) // a terminal would interpret this character
	}
}
