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

// app is the state that all commands share: streams, global flags and terminal properties.
type app struct {
	out *output // stdout

	database    string
	busyTimeout time.Duration
	json        bool
	quiet       bool

	yes bool // set by --yes of the commands that ask

	started         bool // the command itself has begun; every earlier error is a usage error
	width           int  // columns of the terminal on stdout; 0 if stdout is not a terminal
	asksOnTerminal  bool // stdin and stderr are terminals
	barsOnTerminal  bool // stderr is a terminal
	chartOnTerminal bool // stdout is a terminal
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

// coloured reports whether stdout may have colours. It honours https://no-color.org.
func (a *app) coloured() bool {
	return a.chartOnTerminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// run returns a RunE that calls do.
func (a *app) run(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		a.started = true
		if err := do(cmd.Context(), args); err != nil {
			return err
		}
		return a.out.err
	}
}

// runOnStore returns a RunE that opens the store and calls do with it.
func (a *app) runOnStore(
	do func(ctx context.Context, s *store.Store, args []string) error,
) func(*cobra.Command, []string) error {
	return a.run(func(ctx context.Context, args []string) error {
		s, err := a.open(ctx)
		if err != nil {
			return err
		}
		defer s.Close()
		return do(ctx, s, args)
	})
}

// open opens the store. If migrate would help, the error says so. For a Python service's database the store's own error
// already does.
func (a *app) open(ctx context.Context) (*store.Store, error) {
	s, err := store.Open(ctx, store.Options{URL: a.database, BusyTimeout: a.busyTimeout})
	if errors.Is(err, store.ErrSchemaOutdated) && !errors.Is(err, store.ErrPythonDatabase) && a.canMigrate(ctx) {
		return nil, fmt.Errorf("%w; run dgxstore migrate", err)
	}
	return s, err
}

// canMigrate reports whether migrations are pending or the database does not exist. It is false if a newer program has
// migrated the database.
func (a *app) canMigrate(ctx context.Context) bool {
	migrations, err := store.MigrationStatus(ctx, a.database)
	return err == nil && !slices.ContainsFunc(migrations, func(m store.Migration) bool { return m.Name == "" })
}

// report writes err to stderr and returns the exit code.
func (a *app) report(ctx context.Context, args []string, command *cobra.Command, err error) int {
	code := exitCode(err)
	_, hasCode := errors.AsType[*codedError](err)
	message := strings.TrimPrefix(err.Error(), "store: ")
	title, problems := problemsOf(err)
	switch {
	case ctx.Err() != nil && !hasCode: // drivers report the end of their context in many ways
		code, message = exitInterrupted, "interrupted"
	case !a.started:
		code = exitUsage
	case len(problems) > 0:
		message = title
	}
	message = withoutPasswords(message)
	if a.json || slices.Contains(args, "--json") { // flags after an unknown one are not parsed
		text, _ := json.Marshal(struct { // strings and an int never fail
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
