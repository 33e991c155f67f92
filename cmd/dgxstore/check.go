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
	store.CheckReport                    // with --repair, the findings that remain
	Repaired          *store.CheckReport `json:"repaired,omitempty"` // set by --repair
}

func (a *app) checkCommand() *cobra.Command {
	var params store.CheckParams
	var repair bool
	cmd := &cobra.Command{
		Use:   "check [--files-root DIR] [--repair]",
		Short: "Check the database and the audio files for damage",
		Long: `Check reads every row. It checks that the database is intact, that the counters are
right, and that no lease is stuck. With --files-root it also checks that each audio
file exists, has the stored size, and belongs to a generation.

The exit code is 4 if there are findings. --repair repairs what it can without losing
data, and asks first. The exit code is then 4 if findings remain.`,
		Args: noArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			check := func() (store.CheckReport, error) { return s.Check(ctx, params) }
			report, err := a.runCheck("checking", check)
			if err != nil {
				return err
			}
			result := checked{CheckReport: report}
			if repair && hasRepairable(report) {
				if !a.json && !a.yes { // with --yes, the list of repairs says the same
					a.printFindings(report, "found")
				}
				if err := a.confirm(ctx, "Repair the repairable findings in "+displayURL(a.chosenURL())); err != nil {
					return err
				}
				repaired, err := a.runCheck("repairing", func() (store.CheckReport, error) { return s.Repair(ctx, params) })
				if err != nil {
					return err
				}
				result.Repaired = &repaired
				if result.CheckReport, err = a.runCheck("checking again", check); err != nil {
					return err
				}
			}
			return a.printChecked(result)
		}),
	}
	cmd.Flags().StringVar(&params.FilesRoot, "files-root", "",
		"`directory` that file paths are relative to (default: do not check files)")
	cmd.Flags().BoolVar(&repair, "repair", false, "repair what can be repaired without losing data")
	_ = cmd.MarkFlagDirname("files-root") // fails only if the flag does not exist
	a.addYesFlag(cmd)
	return cmd
}

// runCheck calls do and shows a spinner until do returns. The report's collections are never nil, so that JSON has no
// null.
func (a *app) runCheck(label string, do func() (store.CheckReport, error)) (store.CheckReport, error) {
	spinner := a.startSpinner(label)
	defer spinner.finish()
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
			a.printFindings(*result.Repaired, "repaired")
		}
		if found > 0 {
			verb := "found"
			if result.Repaired != nil {
				verb = "left"
			}
			a.printFindings(result.CheckReport, verb)
		} else {
			a.printf("%s\n", good.Sprint("no findings"))
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

// printFindings writes a table for each kind of finding, then the count of each kind with the verb.
func (a *app) printFindings(report store.CheckReport, verb string) {
	kinds := slices.Sorted(maps.Keys(report.Counts))
	for _, kind := range kinds {
		listed := newGrid(column{title: "KIND"}, column{title: "REPAIRABLE", optional: true}, column{title: "ID"},
			column{title: "DETAIL", wrap: true})
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
		a.printf("%s: %s %s\n", safe(string(kind)), humanize.Comma(report.Counts[kind]), verb)
	}
	a.printf("\n")
}
