//go:build unix

package main

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// onTerminal runs the program on a terminal, answers its question, and returns the terminal's output.
func onTerminal(t testing.TB, cmd *exec.Cmd, columns uint16, answer string) (code int, screen string) {
	t.Helper()
	return whileAsked(t, cmd, columns, answer, func() {})
}

// whileAsked is like onTerminal, and calls meanwhile between the question and the answer.
func whileAsked(
	t testing.TB, cmd *exec.Cmd, columns uint16, answer string, meanwhile func(),
) (code int, screen string) {
	t.Helper()
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 24, Cols: columns})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var got bytes.Buffer
	buffer := make([]byte, 4096)
	for {
		n, err := terminal.Read(buffer)
		got.Write(buffer[:n])
		if answer != "" && strings.Contains(got.String(), "[y/N]") {
			meanwhile()
			if _, err := terminal.WriteString(answer); err != nil {
				t.Fatal(err)
			}
			answer = ""
		}
		if err != nil { // on Linux it is EIO after the program has ended
			break
		}
	}
	return exitStatus(t, cmd.Wait()), strings.ReplaceAll(got.String(), "\r\n", "\n")
}

var colours = regexp.MustCompile("\x1b\\[[0-9;]*m")

func TestQuestionOnTerminal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	s := openNow(t, url)
	failed := createFailed(t, s, beat("trap beat"), "CUDA out of memory")
	question := "Put 1 failed generation back in the queue of " + url + "? [y/N] "
	for _, answer := range []string{"\n", "n\n", "no way\n", "\x04"} { // the last one is Ctrl-D
		code, screen := onTerminal(t, command(t, "retry", "--failed", "--database", url), 200, answer)
		is.Equal(code, exitDeclined)
		is.True(strings.Contains(screen, question))
		is.True(strings.Contains(screen, "dgxstore: nothing was changed"))
		is.Equal(statusOf(t, s, failed.ID), store.StatusFailed)
	}
	code, screen := onTerminal(t, command(t, "retry", "--failed", "--database", url), 200, "\x03") // Ctrl-C
	is.Equal(code, exitInterrupted)
	is.True(strings.Contains(screen, "dgxstore: interrupted"))
	is.Equal(statusOf(t, s, failed.ID), store.StatusFailed)

	// An answer counts only if stdin is a terminal.
	cmd := command(t, "retry", "--failed", "--database", url)
	cmd.Stdin = strings.NewReader("y\n")
	is.Equal(runCommand(t, cmd).code, exitDeclined)

	code, screen = onTerminal(t, command(t, "retry", "--failed", "--database", url), 200, "y\n")
	is.Equal(code, exitDone)
	is.True(strings.Contains(screen, "1 generation put back in the queue"))
	is.Equal(statusOf(t, s, failed.ID), store.StatusPending)
}

// Retry skips generations that another process changes before the answer.
func TestRetrySkipsChanged(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		retried := createFailed(t, s, beat("retried meanwhile"), "CUDA out of memory")
		deleted := createFailed(t, s, beat("deleted meanwhile"), "CUDA out of memory")
		other := createFailed(t, s, beat("trap beat"), "CUDA out of memory")
		code, screen := whileAsked(t, command(t, "retry", "--failed", "--database", url), 200, "y\n", func() {
			_, err := s.RetryGeneration(t.Context(), retried.ID)
			is.NoErr(err)
			is.NoErr(s.DeleteGeneration(t.Context(), deleted.ID))
		})
		is.Equal(code, exitDone)
		is.True(strings.Contains(screen, "1 generation put back in the queue\n"+
			"2 generations skipped: another process changed them meanwhile\n"))
		is.Equal(statusOf(t, s, other.ID), store.StatusPending)
	})
}

func TestBarOnTerminal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	s := openNow(t, url)
	fail := func() {
		for range 300 {
			createFailed(t, s, beat("trap beat"), "CUDA out of memory")
		}
	}
	fail()
	code, screen := onTerminal(t, command(t, "retry", "--failed", "--yes", "--database", url), 100, "")
	is.Equal(code, exitDone)
	is.True(strings.Contains(screen, "\rputting back   0% [ "))
	is.True(strings.Contains(screen, "(0/300"))
	is.True(strings.HasSuffix(screen, "\r300 generations put back in the queue\n")) // the bar is gone

	fail()
	for _, flag := range []string{"--quiet", "--json"} {
		code, screen = onTerminal(t, command(t, "retry", "--failed", "--yes", flag, "--database", url), 100, "")
		is.Equal(code, exitDone)
		is.True(!strings.Contains(screen, "putting back"))
	}

	// A migration has a spinner, since its length is unknown.
	empty, _ := missingURL(t)
	code, screen = onTerminal(t, command(t, "migrate", "--database", empty), 100, "")
	is.Equal(code, exitDone)
	is.True(strings.Contains(screen, "migrating "+empty))
}

func TestChartOnTerminal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	now := time.Now()
	for age := range 5 {
		s := openAt(t, url, now.AddDate(0, 0, -age))
		for range 2*age + 3 {
			createCompleted(t, s, beat("trap beat"))
		}
	}
	code, screen := onTerminal(t, command(t, "usage", "--days", "7", "--database", url), 80, "")
	is.Equal(code, exitDone)
	is.True(colours.MatchString(screen))
	plain := colours.ReplaceAllString(screen, "")
	is.True(strings.Contains(plain, "\n 10 ┤ ")) // the step between two lines is round
	is.True(strings.Contains(plain, "\n  8 ┤ "))
	is.True(!strings.Contains(plain, "\n  9 ┤"))
	firstDay, today := now.UTC().AddDate(0, 0, -6).Format(time.DateOnly), now.UTC().Format(time.DateOnly)
	is.True(strings.Contains(plain, "completed ─ and failed x per day, "+firstDay+" to "+today))
	for line := range strings.SplitSeq(plain, "\n") {
		is.True(text.StringWidth(line) <= 80) // fits the terminal
	}
	checkHarmless(t, plain)
}

func TestTableOnTerminal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	s := openNow(t, url)
	for _, prompt := range []string{
		"静かなピアノの夜想曲、雨の音と一緒に", "trap 🔥🔥🔥 beat", strings.Repeat("long ", 100), hostile,
	} {
		createFailed(t, s, beat(prompt), "CUDA out of memory")
	}
	for _, columns := range []uint16{80, 100, 120, 160} {
		code, screen := onTerminal(t, command(t, "list", "--database", url), columns, "")
		is.Equal(code, exitDone)
		is.True(colours.MatchString(screen))
		plain := colours.ReplaceAllString(screen, "")
		checkHarmless(t, plain)
		lines := strings.Split(strings.TrimSuffix(plain, "\n"), "\n")
		is.Equal(len(lines), 5)
		column := strings.Index(lines[0], "PROMPT")
		cut := false
		for _, line := range lines {
			is.True(text.StringWidth(line) <= int(columns)) // fits the terminal
			is.True(line[column-1] == ' ' && line[column] != ' ')
			cut = cut || strings.HasSuffix(line, "…")
		}
		is.True(cut)
		is.Equal(strings.Contains(lines[0], "MODEL"), columns >= 120)
	}

	cmd := command(t, "list", "--database", url)
	cmd.Env = append(cmd.Env, "NO_COLOR=1")
	code, screen := onTerminal(t, cmd, 80, "")
	is.Equal(code, exitDone)
	is.True(!strings.ContainsRune(screen, '\x1b'))

	// Without a terminal nothing is cut.
	is.True(strings.Contains(dgxstore(t, "list", "--database", url).stdout, strings.Repeat("long ", 99)+"long"))
}

func TestStatusOnTerminal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	s := openNow(t, url)
	create(t, s, beat("waits"))
	is.NoErr(s.PauseQueue(t.Context()))
	code, screen := onTerminal(t, command(t, "status", "--database", url), 80, "")
	is.Equal(code, exitAttention)
	is.True(strings.Contains(colours.ReplaceAllString(screen, ""), "Queue       paused since "))
	is.True(strings.Contains(screen, "dgxstore: attention: the queue is paused while 1 generation is pending"))
}

// A bar fits into one line. A longer one could not be erased.
func TestBarFitsTerminal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	path := filepath.Join(t.TempDir(), strings.Repeat("long", 40)+".db")
	url := "sqlite:" + path
	is.Equal(dgxstore(t, "migrate", "--database", url).code, exitDone)
	other, _ := missingURL(t)
	for _, args := range [][]string{{"optimize", "--database", url}, {"transfer", "--from", url, "--to", other}} {
		code, screen := onTerminal(t, command(t, args...), 80, "")
		is.Equal(code, exitDone)
		for drawn := range strings.FieldsFuncSeq(screen, func(r rune) bool { return r == '\r' || r == '\n' }) {
			is.True(text.StringWidth(drawn) <= 80 || strings.HasPrefix(drawn, "transferred to ")) // only a bar must fit
		}
	}
}
