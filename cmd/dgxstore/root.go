package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const rootHelp = `dgxstore manages a DGX Music database on SQLite or PostgreSQL. The database holds
the jobs that generate music, called generations, and the prompts that people use.

--database names the database. Without it, $DATABASE_URL does. If that is empty too,
the database is sqlite:data/generations.db. Only migrate, restore and transfer create
a database that does not exist.

Output:
  - Tables are for people, and their format may change.
  - --json is for programs. It writes one JSON document to stdout, and errors to
    stderr as {"error", "code"}. If rows of the database cause the error, "problems"
    lists them.
  - Progress goes to stderr, as a bar on a terminal and as lines elsewhere. --quiet
    and --json turn it off.

A command that deletes or changes many rows asks first. Without a terminal it changes
nothing, unless --yes is given.

` + timesHelp + `

` + exitCodesHelp

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "dgxstore",
		Short:         "Manage a DGX Music database",
		Long:          rootHelp,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          requireSubcommand,
		RunE:          func(*cobra.Command, []string) error { return nil }, // never called: Args always fails
	}
	root.SuggestionsMinimumDistance = 2
	root.SetOut(a.out)
	root.SetErr(os.Stderr)
	root.SetVersionTemplate("dgxstore {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVar(&a.database, "database", "",
		"`URL` of the database (default $DATABASE_URL, then sqlite:data/generations.db)")
	flags.DurationVar(&a.busyTimeout, "busy-timeout", 10*time.Second, "how long to wait for a lock or a connection")
	flags.BoolVar(&a.json, "json", false, "write one JSON document to stdout, and errors as JSON to stderr")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "show no progress")

	const inspect, queue, maintain = "inspect", "queue", "maintain"
	root.AddGroup(
		&cobra.Group{ID: inspect, Title: "Inspect:"},
		&cobra.Group{ID: queue, Title: "Manage the queue:"},
		&cobra.Group{ID: maintain, Title: "Maintain the database:"},
	)
	add := func(group string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = group
			c.DisableFlagsInUseLine = true
			takesFile := c.Name() == "backup" || c.Name() == "restore"
			if c.ValidArgsFunction == nil && !takesFile {
				c.ValidArgsFunction = cobra.NoFileCompletions
			}
			root.AddCommand(c)
		}
	}
	add(inspect, a.statusCommand(), a.listCommand(), a.showCommand(), a.searchCommand(), a.statsCommand(),
		a.usageCommand())
	add(queue, a.cancelCommand(), a.retryCommand(), a.pauseCommand(), a.resumeCommand())
	add(maintain, a.migrateCommand(), a.backupCommand(), a.restoreCommand(), a.transferCommand(), a.pruneCommand(),
		a.checkCommand(), a.optimizeCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" { // by default, cobra answers an unknown shell with the help text
			c.Args, c.RunE = requireSubcommand, root.RunE
		}
	}
	return root
}

// requireSubcommand is the Args of a command that only groups other commands. It always fails.
func requireSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError("no command given")
	}
	message := "unknown command " + args[0]
	if similar := cmd.SuggestionsFor(args[0]); len(similar) > 0 {
		message += "; did you mean " + strings.Join(similar, " or ") + "?"
	}
	return usageError(message)
}

// noArgs is the Args of a command that takes no arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError(fmt.Sprintf("%s takes no arguments, got %q", cmd.Name(), args[0]))
	}
	return nil
}

// oneArg returns the Args of a command that takes exactly one argument. The error calls it what.
func oneArg(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usageError(fmt.Sprintf("expected %s, got %d", what, len(args)))
		}
		return nil
	}
}

// version returns the version of the module, if the program was built from a release.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}
