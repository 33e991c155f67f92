package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/dgx-music/storage/store"
)

// app is what the commands share: the streams, the flags that all of them have, and what is known of the terminal.
type app struct {
	out *output // stdout

	database    string
	busyTimeout time.Duration
	json        bool
	quiet       bool

	yes bool // of the commands that ask

	started         bool // a command's own part has begun: what went wrong before that is wrong use
	width           int  // of the terminal on stdout, in columns; 0: it is none
	asksOnTerminal  bool // stdin and stderr are a terminal
	barsOnTerminal  bool // stderr is one
	chartOnTerminal bool // stdout is one
}

func newApp() *app {
	isTerminal := func(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }
	a := &app{
		out:             &output{file: os.Stdout},
		asksOnTerminal:  isTerminal(os.Stdin) && isTerminal(os.Stderr),
		barsOnTerminal:  isTerminal(os.Stderr),
		chartOnTerminal: isTerminal(os.Stdout),
	}
	if a.chartOnTerminal {
		a.width = 80
		if width, _, err := term.GetSize(int(os.Stdout.Fd())); err == nil && width > 0 {
			a.width = width
		}
	}
	text.DisableColors()
	if a.coloured() {
		text.EnableColors()
	}
	return a
}

// coloured is by https://no-color.org.
func (a *app) coloured() bool {
	return a.chartOnTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// run makes a command's RunE of what it does.
func (a *app) run(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		if err := do(cmd.Context(), args); err != nil {
			return err
		}
		return a.out.err
	}
}

// runOnStore is run with the store open.
func (a *app) runOnStore(do func(ctx context.Context, s *store.Store, args []string) error) func(*cobra.Command, []string) error {
	return a.run(func(ctx context.Context, args []string) error {
		s, err := a.open(ctx)
		if err != nil {
			return err
		}
		defer s.Close()
		return do(ctx, s, args)
	})
}

// open opens the store, or says how to migrate: of a database of the Python service the store does so itself.
func (a *app) open(ctx context.Context) (*store.Store, error) {
	s, err := store.Open(ctx, store.Options{URL: a.database, BusyTimeout: a.busyTimeout})
	if errors.Is(err, store.ErrSchemaOutdated) && !errors.Is(err, store.ErrPythonDatabase) && a.canMigrate(ctx) {
		return nil, fmt.Errorf("%w; from a shell: dgxstore migrate", err)
	}
	return s, err
}

// canMigrate tells a database that is behind, or not there, from one that a newer program has migrated.
func (a *app) canMigrate(ctx context.Context) bool {
	migrations, err := store.MigrationStatus(ctx, a.database)
	return err == nil && !slices.ContainsFunc(migrations, func(m store.Migration) bool { return m.Name == "" })
}

// report writes err to stderr, and returns the exit code.
func (a *app) report(ctx context.Context, args []string, command *cobra.Command, err error) int {
	code := exitCode(err)
	_, isExplained := errors.AsType[*codedError](err)
	message := strings.TrimPrefix(err.Error(), "store: ")
	title, problems := problemsOf(err)
	switch {
	case ctx.Err() != nil && !isExplained: // whatever a driver makes of the end of its context
		code, message = exitInterrupted, "interrupted"
	case !a.started:
		code = exitUsage
	case len(problems) > 0:
		message = title
	}
	if a.json || slices.Contains(args, "--json") { // the flags behind a wrong one were not read
		text, _ := json.Marshal(struct { // strings and an int always have a JSON
			Error    string    `json:"error"`
			Code     int       `json:"code"`
			Problems []problem `json:"problems,omitempty"`
		}{message, code, problems})
		fmt.Fprintln(os.Stderr, escapedJSON(string(text)))
		return code
	}
	if len(problems) > 0 {
		message += ":"
	}
	fmt.Fprintln(os.Stderr, "dgxstore: "+strings.Join(safeLines(message), "\n"))
	for _, p := range problems {
		fmt.Fprintln(os.Stderr, "- "+safe(p.String()))
	}
	if code == exitUsage {
		fmt.Fprintf(os.Stderr, "Try: %s --help\n", command.CommandPath())
	}
	return code
}
