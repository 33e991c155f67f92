package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const rootHelp = `dgxstore looks after a database of DGX Music: the jobs that generate music, and the prompts that people use, in SQLite or
PostgreSQL.

The database is that of --database, or of $DATABASE_URL, or sqlite:data/generations.db. Only migrate, restore and transfer
create one.

Tables are for people and may change; --json is for programs: one document on stdout, errors as {"error", "code"} on
stderr, with "problems" where rows are in the way. Progress goes to stderr: a bar on a terminal, lines otherwise, nothing with --quiet or --json. What deletes or
changes many rows asks first; without a terminal it does nothing unless --yes is given.

` + timesHelp + `

` + exitCodesHelp

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "dgxstore",
		Short:         "Look after a database of DGX Music",
		Long:          rootHelp,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noSuchCommand,
		RunE:          func(*cobra.Command, []string) error { return nil }, // Args lets nothing through
	}
	root.SuggestionsMinimumDistance = 2
	root.SetOut(a.out)
	root.SetErr(os.Stderr)
	root.SetVersionTemplate("dgxstore {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVar(&a.database, "database", "", "`URL` of the database (default $DATABASE_URL, then sqlite:data/generations.db)")
	flags.DurationVar(&a.busyTimeout, "busy-timeout", 10*time.Second, "how long to wait for a lock or a connection")
	flags.BoolVar(&a.json, "json", false, "write one JSON document to stdout, and errors as JSON to stderr")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "no progress")

	const look, work, keep = "look", "work", "keep"
	root.AddGroup(
		&cobra.Group{ID: look, Title: "Look:"},
		&cobra.Group{ID: work, Title: "Work on the queue:"},
		&cobra.Group{ID: keep, Title: "Look after the database:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			c.DisableFlagsInUseLine = true
			if takesFile := c.Name() == "backup" || c.Name() == "restore"; c.ValidArgsFunction == nil && !takesFile {
				c.ValidArgsFunction = cobra.NoFileCompletions
			}
			root.AddCommand(c)
		}
	}
	add(look, a.statusCommand(), a.listCommand(), a.showCommand(), a.searchCommand(), a.statsCommand(), a.usageCommand())
	add(work, a.cancelCommand(), a.retryCommand(), a.pauseCommand(), a.resumeCommand())
	add(keep, a.migrateCommand(), a.backupCommand(), a.restoreCommand(), a.transferCommand(), a.pruneCommand(), a.checkCommand(), a.optimizeCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // cobra's own would take a shell that it does not know for a call for help
			c.Args, c.RunE = noSuchCommand, root.RunE
		}
	}
	return root
}

// noSuchCommand is the Args of a command that has others below it, and does nothing itself.
func noSuchCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError("name a command of " + cmd.CommandPath())
	}
	message := "unknown command " + args[0]
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		message += "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return usageError(message)
}

// oneArg is the Args of a command that takes one.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError(fmt.Sprintf("give %s, and not %d", what, len(args)))
		}
		return nil
	}
}

// version is that of the module, where the program was built from a release.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
