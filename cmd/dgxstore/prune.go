package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

// pruned is the JSON of prune.
type pruned struct {
	store.PruneReport
	DryRun     bool        `json:"dry_run"`
	FileErrors []fileError `json:"file_errors"` // with --delete-files, the kept files that no generation names
}

type fileError struct {
	Path  string `json:"path"`
	Error string `json:"error"`
}

func (a *app) pruneCommand() *cobra.Command {
	var olderThan durationFlag
	var statuses []string
	var params store.PruneParams
	cmd := &cobra.Command{
		Use:   "prune --older-than DURATION [flags]",
		Short: "Delete generations that ended long ago",
		Long: `Prune deletes generations that ended longer ago than --older-than. It asks first, and
may run while the service runs.

It prints the audio files that no generation names any more. With --files-root it looks
at each file: only WAV, MP3, FLAC and Ogg files below that directory count, and none
that a remaining generation names by another path or link. --delete-files deletes
them, too. All other files stay, and are listed with the reason.`,
		Example: `  dgxstore prune --older-than 30d --status failed,cancelled --dry-run
  dgxstore prune --older-than 365d --keep-favorites --delete-files --files-root /srv/music --yes`,
		Args: noArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			params.OlderThan = time.Duration(olderThan)
			for _, name := range statuses {
				status := store.Status(name)
				if !status.Finished() {
					return usageError(fmt.Sprintf("invalid status %q: must be completed, failed or cancelled", name))
				}
				params.Statuses = append(params.Statuses, status)
			}
			if params.OlderThan <= 0 {
				return usageError("--older-than must be longer than 0")
			}
			if params.DeleteFiles && params.FilesRoot == "" {
				return usageError("--delete-files needs --files-root")
			}
			s, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer s.Close()
			return a.prune(ctx, s, params)
		}),
	}
	flags := cmd.Flags()
	flags.Var(&olderThan, "older-than", "only generations that ended longer ago, such as 30d (required)")
	flags.StringSliceVar(&statuses, "status", nil, "only these `statuses` (default completed,failed,cancelled)")
	flags.BoolVar(&params.KeepFavorites, "keep-favorites", false, "do not delete favorites")
	flags.BoolVar(&params.DropUnusedPrompts, "drop-unused-prompts", false,
		"also delete prompts without a generation that were last used longer ago")
	flags.BoolVar(&params.DryRun, "dry-run", false, "delete nothing; show what would be deleted")
	flags.BoolVar(&params.DeleteFiles, "delete-files", false, "also delete the audio files; needs --files-root")
	flags.StringVar(&params.FilesRoot, "files-root", "",
		"`directory` that file paths are relative to; no file outside is deleted or listed")
	_ = cmd.MarkFlagRequired("older-than") // here and below, it fails only if the flag does not exist
	_ = cmd.MarkFlagDirname("files-root")
	finished := []string{string(store.StatusCompleted), string(store.StatusFailed), string(store.StatusCancelled)}
	_ = cmd.RegisterFlagCompletionFunc("status",
		cobra.FixedCompletions(finished, cobra.ShellCompDirectiveNoFileComp))
	a.addYesFlag(cmd)
	return cmd
}

func (a *app) prune(ctx context.Context, s *store.Store, params store.PruneParams) error {
	if !params.DryRun && !a.yes {
		counting := params
		counting.DryRun = true
		report, err := a.runPrune(ctx, s, counting, "counting old generations")
		if err != nil {
			return err
		}
		if report.Generations == 0 && report.Prompts == 0 {
			return a.printPruned(pruned{PruneReport: report, FileErrors: []fileError{}}, params)
		}
		if err := a.confirm(ctx, a.pruneQuestion(report, params)); err != nil {
			return err
		}
	}
	report, err := a.runPrune(ctx, s, params, "pruning")
	result := pruned{PruneReport: report, DryRun: params.DryRun, FileErrors: []fileError{}}
	if params.DeleteFiles && !params.DryRun {
		for _, file := range report.KeptFiles {
			if !file.InUse {
				result.FileErrors = append(result.FileErrors, fileError{file.Path, "not deleted: " + file.Reason})
			}
		}
	}
	if err != nil {
		err = resumable(ctx, err, "deleted generations stay deleted; run the same command again for the rest")
		if report.Generations == 0 && report.Prompts == 0 {
			return err
		}
	}
	if printErr := a.printPruned(result, params); err == nil {
		err = printErr
	}
	if err == nil && len(result.FileErrors) > 0 {
		err = fmt.Errorf("%s not deleted", plural(int64(len(result.FileErrors)), "file was", "files were"))
	}
	return err
}

func (a *app) runPrune(
	ctx context.Context, s *store.Store, params store.PruneParams, label string,
) (store.PruneReport, error) {
	spinner := a.startSpinner(label)
	defer spinner.finish()
	report, err := s.Prune(ctx, params)
	if report.FilePaths == nil {
		report.FilePaths = []string{}
	}
	if report.KeptFiles == nil {
		report.KeptFiles = []store.KeptFile{}
	}
	return report, err
}

func (a *app) pruneQuestion(report store.PruneReport, params store.PruneParams) string {
	question := fmt.Sprintf("Delete %s that ended over %s ago",
		plural(report.Generations, "generation", "generations"), longAge(params.OlderThan))
	if params.DropUnusedPrompts {
		question += ", " + plural(report.Prompts, "unused prompt", "unused prompts")
	}
	if params.DeleteFiles {
		root, err := filepath.Abs(params.FilesRoot)
		if err != nil {
			root = params.FilesRoot
		}
		question += ", " + plural(int64(len(report.FilePaths)), "audio file", "audio files") + " below " + root
	}
	return question + " from " + displayURL(a.chosenURL())
}

// longAge formats a duration in days, if it is whole days.
func longAge(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return plural(int64(days), "day", "days")
	}
	return humanDuration(d)
}

func (a *app) printPruned(result pruned, params store.PruneParams) error {
	if a.json {
		return a.printJSON(result)
	}
	prompts := ""
	if result.Prompts > 0 {
		prompts = " and " + plural(result.Prompts, "prompt", "prompts")
	}
	a.printf("%s%s %s\n",
		plural(result.Generations, "generation", "generations"), prompts, doneOrWould(result.DryRun, "deleted"))
	if params.DeleteFiles && !result.DryRun {
		a.printf("%s deleted, %s did not exist\n",
			plural(result.DeletedFiles, "file", "files"), humanize.Comma(result.MissingFiles))
	} else if len(result.FilePaths) > 0 {
		verb := "names"
		if result.DryRun {
			verb = "would name"
		}
		a.printf("\naudio files that no generation %s any more:\n", verb)
		for _, path := range result.FilePaths {
			a.printf("%s\n", safe(path))
		}
	}
	if len(result.KeptFiles) > 0 {
		a.printf("\nfiles that stay:\n")
		for _, file := range result.KeptFiles {
			a.printf("%s: %s\n", safe(file.Path), safe(file.Reason))
		}
	}
	return nil
}
