package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

// pruned is the JSON of prune.
type pruned struct {
	store.PruneReport
	DryRun       bool        `json:"dry_run"`
	DeletedFiles int64       `json:"deleted_files"` // with --delete-files, as the following
	MissingFiles int64       `json:"missing_files"` // that were gone already
	FileErrors   []fileError `json:"file_errors"`   // files that could not be deleted or were refused
}

func (a *app) pruneCommand() *cobra.Command {
	var olderThan duration
	var statuses []string
	var params store.PruneParams
	var deleteFiles bool
	var filesRoot string
	cmd := &cobra.Command{
		Use:   "prune --older-than DURATION [flags]",
		Short: "Delete generations that ended long ago; asks first",
		Long: `Prune deletes generations that ended longer ago than --older-than, and asks first. It prints the paths of their audio
files, which no generation names any more. --delete-files deletes these, too: regular files below --files-root that do
not belong to the database. It reports the others and leaves them alone.`,
		Example: `  dgxstore prune --older-than 30d --status failed,cancelled --dry-run
  dgxstore prune --older-than 365d --keep-favorites --delete-files --files-root /srv/music --yes`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			params.OlderThan = time.Duration(olderThan)
			for _, name := range statuses {
				status := store.Status(name)
				if !status.Finished() {
					return usageError(fmt.Sprintf("invalid status %q: prune deletes completed, failed and cancelled ones", name))
				}
				params.Statuses = append(params.Statuses, status)
			}
			if params.OlderThan <= 0 {
				return usageError("--older-than must be longer than 0")
			}
			if deleteFiles != (filesRoot != "") {
				return usageError("--delete-files and --files-root go together")
			}
			var files *fileDeleter
			if deleteFiles {
				var err error
				if files, err = newFileDeleter(filesRoot); err != nil {
					return err
				}
				defer files.close()
			}
			s, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer s.Close()
			if files != nil {
				if err := files.spare(ctx, s, a.chosenURL()); err != nil {
					return err
				}
			}
			return a.prune(ctx, s, params, files)
		}),
	}
	flags := cmd.Flags()
	flags.Var(&olderThan, "older-than", "ended longer ago than this, such as 30d")
	flags.StringSliceVar(&statuses, "status", nil, "in these `statuses` (default completed,failed,cancelled)")
	flags.BoolVar(&params.KeepFavorites, "keep-favorites", false, "leave favorites alone")
	flags.BoolVar(&params.DropUnusedPrompts, "drop-unused-prompts", false, "also prompts that are left without a generation and were last used before that")
	flags.BoolVar(&params.DryRun, "dry-run", false, "delete nothing, say what would be")
	flags.BoolVar(&deleteFiles, "delete-files", false, "also delete the audio files")
	flags.StringVar(&filesRoot, "files-root", "", "`folder` that file paths are relative to; nothing outside is deleted")
	_ = cmd.MarkFlagRequired("older-than") // an error is that there is no such flag
	_ = cmd.MarkFlagDirname("files-root")
	_ = cmd.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(
		[]string{string(store.StatusCompleted), string(store.StatusFailed), string(store.StatusCancelled)}, cobra.ShellCompDirectiveNoFileComp))
	a.addYes(cmd)
	return cmd
}

func (a *app) prune(ctx context.Context, s *store.Store, params store.PruneParams, files *fileDeleter) error {
	if !params.DryRun && !a.yes {
		counting := params
		counting.DryRun = true
		report, err := a.runPrune(ctx, s, counting, "counting what is old")
		if err != nil {
			return err
		}
		if report.Generations == 0 && report.Prompts == 0 {
			return a.printPruned(pruned{PruneReport: report, FileErrors: []fileError{}}, files)
		}
		if err := a.ask(ctx, a.pruneQuestion(report, params, files)); err != nil {
			return err
		}
	}
	report, err := a.runPrune(ctx, s, params, "pruning")
	result := pruned{PruneReport: report, DryRun: params.DryRun, FileErrors: []fileError{}}
	if files != nil && !params.DryRun {
		// Also where the rest went wrong: of what is deleted nobody else would know the files any more.
		files.delete(report.FilePaths, &result)
	}
	if err != nil {
		err = resumable(ctx, err, "what was deleted until then stays deleted; the same command goes on with the rest")
		if report.Generations == 0 && report.Prompts == 0 {
			return err
		}
	}
	if printErr := a.printPruned(result, files); err == nil {
		err = printErr
	}
	if err == nil && len(result.FileErrors) > 0 {
		err = fmt.Errorf("%s could not be deleted", plural(int64(len(result.FileErrors)), "file", "files"))
	}
	return err
}

func (a *app) runPrune(ctx context.Context, s *store.Store, params store.PruneParams, doing string) (store.PruneReport, error) {
	waiting := a.wait(doing)
	defer waiting.finish()
	report, err := s.Prune(ctx, params)
	if report.FilePaths == nil {
		report.FilePaths = []string{}
	}
	return report, err
}

func (a *app) pruneQuestion(report store.PruneReport, params store.PruneParams, files *fileDeleter) string {
	question := fmt.Sprintf("Delete %s that ended over %s ago", plural(report.Generations, "generation", "generations"), longAge(params.OlderThan))
	if params.DropUnusedPrompts {
		question += ", " + plural(report.Prompts, "unused prompt", "unused prompts")
	}
	if files != nil {
		question += ", " + plural(int64(len(report.FilePaths)), "audio file", "audio files") + " below " + files.folder
	}
	return question + " from " + shownURL(a.chosenURL())
}

func longAge(d time.Duration) string {
	if days := d / (24 * time.Hour); days > 0 && d%(24*time.Hour) == 0 {
		return plural(int64(days), "day", "days")
	}
	return human(d)
}

func (a *app) printPruned(result pruned, files *fileDeleter) error {
	if a.json {
		return a.printJSON(result)
	}
	prompts := ""
	if result.Prompts > 0 {
		prompts = " and " + plural(result.Prompts, "prompt", "prompts")
	}
	a.printf("%s%s %s\n", plural(result.Generations, "generation", "generations"), prompts, doneOrWould(result.DryRun, "deleted"))
	if files != nil && !result.DryRun {
		a.printf("%s deleted, %s gone already\n", plural(result.DeletedFiles, "file", "files"), humanize.Comma(result.MissingFiles))
		for _, failed := range result.FileErrors {
			a.printf("%s: %s\n", safe(failed.Path), safe(failed.Error))
		}
		return nil
	}
	if len(result.FilePaths) > 0 {
		a.printf("\nfiles that no generation %s any more:\n", map[bool]string{true: "would name", false: "names"}[result.DryRun])
		for _, path := range result.FilePaths {
			a.printf("%s\n", safe(path))
		}
	}
	return nil
}
