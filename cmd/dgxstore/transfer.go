package main

import (
	"context"
	"fmt"
	"os"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) transferCommand() *cobra.Command {
	var from, to, fromEnv, toEnv string
	var batchSize int
	cmd := &cobra.Command{
		Use:   "transfer (--from URL | --from-env NAME) (--to URL | --to-env NAME)",
		Short: "Copy a database to another one, on either engine, and compare the two",
		Long: `Transfer copies a whole database to another one, on the same or the other engine. Then
it compares the two row by row.

Stop the service first: nothing may write to either database meanwhile. The destination
must be empty. If the transfer is interrupted, run the same command again to continue.

All users of this machine can read the arguments of a command. If a URL has a password,
put it into an environment variable, and name that with --from-env or --to-env.`,
		Example: `  read -rs NEW_DATABASE_URL && export NEW_DATABASE_URL   # postgres://user:password@host/music
  dgxstore transfer --from sqlite:data/generations.db --to-env NEW_DATABASE_URL`,
		Args: noArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			if a.database != "" {
				return usageError("transfer does not take --database; give --from and --to")
			}
			for _, end := range []struct {
				url       *string
				flag, env string
			}{{&from, "--from", fromEnv}, {&to, "--to", toEnv}} {
				if end.env != "" {
					*end.url = os.Getenv(end.env)
				}
				switch {
				case *end.url != "":
				case end.env != "":
					return usageError(fmt.Sprintf("the environment variable %s is not set or empty", end.env))
				default:
					return usageError(end.flag + " must not be empty")
				}
			}
			bars := &transferBars{app: a}
			report, err := store.Transfer(ctx, from, to,
				store.TransferOptions{BatchSize: batchSize, Progress: bars.update})
			bars.finish()
			if err != nil {
				return resumable(ctx, forOperators(err), "run the same command again to continue")
			}
			if a.json {
				return a.printJSON(report)
			}
			g := newGrid(column{title: "TABLE"}, column{title: "ROWS", right: true}, column{title: "SHA-256"})
			for _, table := range report.Tables {
				g.add(table.Name, humanize.Comma(table.Rows), table.SHA256[:min(16, len(table.SHA256))])
			}
			a.printGrid(g, "")
			resumed := ""
			if report.Resumed {
				resumed = "; this run continued an earlier one"
			}
			a.printf("\ntransferred to %s and compared%s\n", safe(displayURL(to)), resumed)
			return nil
		}),
	}
	cmd.Flags().StringVar(&from, "from", "", "`URL` of the database to read")
	cmd.Flags().StringVar(&fromEnv, "from-env", "", "`name` of an environment variable with that URL")
	cmd.Flags().StringVar(&to, "to", "", "`URL` of the database to write; its schema is created")
	cmd.Flags().StringVar(&toEnv, "to-env", "", "`name` of an environment variable with that URL")
	cmd.Flags().IntVar(&batchSize, "batch-size", 0, "generations per batch (default 5,000)")
	for _, end := range []string{"from", "to"} {
		cmd.MarkFlagsOneRequired(end, end+"-env")
		cmd.MarkFlagsMutuallyExclusive(end, end+"-env")
	}
	return cmd
}

// transferBars shows a bar for each table that is read, copied or compared.
type transferBars struct {
	app     *app
	current *progress
	label   string // of the current bar
	copying bool   // whether copying has begun
}

// update shows the progress. The store counts the first reading of the source as the first half of a comparison; update
// shows both halves with bars of their own.
func (b *transferBars) update(p store.TransferProgress) {
	label, done, total := "copying "+p.Table, p.Done, p.Total
	switch half := p.Total / 2; {
	case !p.Comparing:
		b.copying = true
	case b.copying:
		label, done, total = "comparing "+p.Table, max(p.Done-half, 0), p.Total-half
	default:
		label, done, total = "reading "+p.Table, min(p.Done, half), half
	}
	if label != b.label {
		b.finish()
		b.current, b.label = b.app.startBar(label, "rows", total), label
	}
	b.current.update(done, total)
}

func (b *transferBars) finish() {
	if b.current != nil {
		b.current.finish()
	}
}
