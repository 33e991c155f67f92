package main

import (
	"context"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) transferCommand() *cobra.Command {
	var from, to string
	var batchSize int
	cmd := &cobra.Command{
		Use:   "transfer --from URL --to URL",
		Short: "Copy a database into another, also of the other engine, and compare the two",
		Long: `Transfer copies all of a database into another, also of the other engine, and compares the two row by row. Nothing may
write to either meanwhile: stop the service first. When it is cut off, the same command goes on where it stopped.`,
		Example: `  dgxstore transfer --from sqlite:data/generations.db --to postgres://user@host/music`,
		Args:    cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			if a.database != "" {
				return usageError("--database is not for transfer, which has --from and --to")
			}
			if from == "" || to == "" {
				return usageError("--from and --to must name a database each")
			}
			bars := &transferBars{app: a}
			report, err := store.Transfer(ctx, from, to, store.TransferOptions{BatchSize: batchSize, Progress: bars.at})
			bars.finish()
			if err != nil {
				return resumable(ctx, forOperators(err), "the same command goes on where this one stopped")
			}
			if a.json {
				return a.printJSON(report)
			}
			g := newGrid(column{title: "TABLE"}, column{title: "ROWS", right: true}, column{title: "SHA-256"})
			for _, table := range report.Tables {
				g.add(table.Name, humanize.Comma(table.Rows), table.SHA256[:min(16, len(table.SHA256))])
			}
			a.printGrid(g, "")
			again := ""
			if report.Resumed {
				again = ", going on where an earlier one had stopped"
			}
			a.printf("\ntransferred to %s and compared%s\n", safe(shownURL(to)), again)
			return nil
		}),
	}
	cmd.Flags().StringVar(&from, "from", "", "`URL` of the database to read")
	cmd.Flags().StringVar(&to, "to", "", "`URL` of the database to write; its schema is made")
	cmd.Flags().IntVar(&batchSize, "batch-size", 0, "generations per batch (default 5,000)")
	_ = cmd.MarkFlagRequired("from") // an error is that there is no such flag
	_ = cmd.MarkFlagRequired("to")
	return cmd
}

// transferBars shows a bar for each table that is read, copied or compared.
type transferBars struct {
	app     *app
	current *progress
	doing   string
	copying bool // has begun
}

// at divides what the store counts as one comparison, of which the source is read before anything is copied.
func (b *transferBars) at(p store.TransferProgress) {
	doing, done, total := "copying "+p.Table, p.Done, p.Total
	switch half := p.Total / 2; {
	case !p.Comparing:
		b.copying = true
	case b.copying:
		doing, done, total = "comparing "+p.Table, max(p.Done-half, 0), p.Total-half
	default:
		doing, done, total = "reading "+p.Table, min(p.Done, half), half
	}
	if doing != b.doing {
		b.finish()
		b.current, b.doing = b.app.count(doing, "rows", total), doing
	}
	b.current.at(done, total)
}

func (b *transferBars) finish() {
	if b.current != nil {
		b.current.finish()
	}
}
