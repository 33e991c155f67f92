package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

// checked is the JSON of check.
type checked struct {
	store.CheckReport                    // what is left, with --repair
	Repaired          *store.CheckReport `json:"repaired,omitempty"` // with --repair
}

func (a *app) checkCommand() *cobra.Command {
	var params store.CheckParams
	var repair bool
	cmd := &cobra.Command{
		Use:   "check [--files-root DIR] [--repair]",
		Short: "Look for damage: in the database, its counters and leases, and between it and the audio files",
		Long: `Check looks at every row: whether the database is intact, whether counters say what there is, whether leases are stuck; with
--files-root also whether the audio files are there, have the size that the database says, and belong to a generation.

The exit code is 4 where something was found. --repair mends what can be mended without a loss, and asks first; the exit
code is then 4 where something is left.`,
		Args: cobra.NoArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			report, err := a.runCheck("checking", func() (store.CheckReport, error) { return s.Check(ctx, params) })
			if err != nil {
				return err
			}
			result := checked{CheckReport: report}
			if repair && hasRepairable(report) {
				if !a.json && !a.yes { // or what was mended says the same
					a.printFindings(report, "found")
				}
				if err := a.ask(ctx, "Mend what can be mended of it in "+shownURL(a.chosenURL())); err != nil {
					return err
				}
				mended, err := a.runCheck("mending", func() (store.CheckReport, error) { return s.Repair(ctx, params) })
				if err != nil {
					return err
				}
				result.Repaired = &mended
				if result.CheckReport, err = a.runCheck("checking again", func() (store.CheckReport, error) { return s.Check(ctx, params) }); err != nil {
					return err
				}
			}
			return a.printChecked(result)
		}),
	}
	cmd.Flags().StringVar(&params.FilesRoot, "files-root", "", "`folder` that file paths are relative to (default: files are not looked at)")
	cmd.Flags().BoolVar(&repair, "repair", false, "mend what can be mended")
	_ = cmd.MarkFlagDirname("files-root") // an error is that there is no such flag
	a.addYes(cmd)
	return cmd
}

func (a *app) runCheck(doing string, do func() (store.CheckReport, error)) (store.CheckReport, error) {
	waiting := a.wait(doing)
	defer waiting.finish()
	report, err := do()
	if report.Findings == nil {
		report.Findings = []store.Finding{}
	}
	if report.Counts == nil {
		report.Counts = map[store.FindingKind]int64{}
	}
	return report, err
}

func hasRepairable(report store.CheckReport) bool {
	return slices.ContainsFunc(report.Findings, func(f store.Finding) bool { return f.Repairable })
}

func (a *app) printChecked(result checked) error {
	found := total(result.CheckReport)
	if a.json {
		if err := a.printJSON(result); err != nil {
			return err
		}
	} else {
		if result.Repaired != nil {
			a.printFindings(*result.Repaired, "mended")
		}
		if found > 0 {
			word := "found"
			if result.Repaired != nil {
				word = "left"
			}
			a.printFindings(result.CheckReport, word)
		} else {
			a.printf("%s\n", good.Sprint("all is well"))
		}
	}
	if found > 0 {
		return &codedError{exitAttention, plural(found, "finding", "findings")}
	}
	return nil
}

func total(report store.CheckReport) (n int64) {
	for _, count := range report.Counts {
		n += count
	}
	return n
}

// printFindings writes a table for each kind, and behind them how many there are of each.
func (a *app) printFindings(report store.CheckReport, word string) {
	kinds := slices.Sorted(maps.Keys(report.Counts))
	for _, kind := range kinds {
		listed := newGrid(column{title: "KIND"}, column{title: "REPAIRABLE", optional: true}, column{title: "ID"}, column{title: "DETAIL", wrap: true})
		for _, f := range report.Findings {
			if f.Kind == kind {
				listed.add(string(f.Kind), map[bool]string{true: "yes", false: "no"}[f.Repairable], f.ID, f.Detail)
			}
		}
		if more := report.Counts[kind] - int64(len(listed.rows)); more > 0 {
			listed.add(string(kind), "", "", fmt.Sprintf("and %s more", humanize.Comma(more)))
		}
		a.printGrid(listed, "")
		a.printf("\n")
	}
	for _, kind := range kinds {
		a.printf("%s: %s %s\n", safe(string(kind)), humanize.Comma(report.Counts[kind]), word)
	}
	a.printf("\n")
}
