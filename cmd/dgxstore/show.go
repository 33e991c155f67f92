package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

// details is everything that the store knows about a generation.
type details struct {
	Generation    store.Generation        `json:"generation"`
	Errors        []store.GenerationError `json:"errors"`
	QueuePosition *int64                  `json:"queue_position"` // 1 if next, 0 if processing, null if finished
}

func (a *app) showCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show one generation: status, progress, metadata and the error of each attempt",
		Args:  oneArg("one ID"),
		RunE: a.run(func(ctx context.Context, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			s, err := a.open(ctx)
			if err != nil {
				return err
			}
			defer s.Close()
			all, err := loadDetails(ctx, s, id)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(all)
			}
			return a.printDetails(all)
		}),
	}
	a.completeIDs(cmd, "")
	return cmd
}

func loadDetails(ctx context.Context, s *store.Store, id uuid.UUID) (all details, err error) {
	if all.Generation, err = s.GetGeneration(ctx, id); err != nil {
		return all, err
	}
	if all.Errors, err = s.GenerationErrors(ctx, id); err != nil {
		return all, err
	}
	if all.Errors == nil {
		all.Errors = []store.GenerationError{}
	}
	position, err := s.QueuePosition(ctx, id)
	switch {
	case err == nil:
		all.QueuePosition = &position
	case !errors.Is(err, store.ErrNotFound): // a finished generation has no position
		return all, err
	}
	return all, nil
}

func (a *app) printDetails(all details) error {
	g := all.Generation
	var f fields
	f.add("ID", g.ID.String())
	f.add("Prompt", g.Prompt)
	f.addPainted("Status", statusCell(g), paintStatus)
	if g.IsProcessing() {
		f.add("Step", g.ProgressStep)
	}
	if g.IsPending() && all.QueuePosition != nil {
		f.add("Queue", fmt.Sprintf("position %s, priority %d", humanize.Comma(*all.QueuePosition), g.Priority))
	}
	if g.ErrorMessage != nil {
		f.addPainted("Error", *g.ErrorMessage, func(line string) string { return bad.Sprint(line) })
	}
	f.add("Model", g.ModelName+optionalWord(g.ModelVersion))
	f.add("Audio", fmt.Sprintf("%s, %d Hz, %s", humanSeconds(g.DurationSeconds), g.SampleRate, channels(g.Channels)))
	f.add("File", g.FilePath)
	if g.FileSizeBytes != nil {
		f.add("Size", size(*g.FileSizeBytes))
	}
	f.add("Created", utcAndAge(g.CreatedAt))
	if g.IsPending() && g.ScheduledAt.After(g.CreatedAt) {
		f.add("Scheduled", utcAndAge(g.ScheduledAt))
	}
	f.add("Started", optionalTime(g.StartedAt))
	f.add("Ended", optionalTime(g.CompletedAt))
	if g.GenerationTimeSeconds != nil {
		f.add("Took", humanSeconds(*g.GenerationTimeSeconds))
	}
	f.add("Attempt", fmt.Sprintf("%d of %d", g.Attempt, g.MaxAttempts))
	if g.Worker != nil {
		f.add("Worker", *g.Worker)
	}
	f.add("Lease until", optionalTime(g.LeaseExpiresAt))
	f.add("Asked to stop", optionalTime(g.CancelRequestedAt))
	if g.BatchID != nil {
		f.add("Batch", g.BatchID.String())
	}
	if g.Favorite {
		f.add("Favorite", "yes")
	}
	if metadata := g.Metadata.String(); metadata != "{}" {
		var indented bytes.Buffer
		if err := json.Indent(&indented, []byte(metadata), "", "  "); err == nil {
			metadata = indented.String() // the Python service may have stored text that is not JSON
		}
		f.add("Metadata", metadata)
	}
	a.printFields(&f)
	if len(all.Errors) == 0 {
		return nil
	}
	a.printf("\n")
	for _, attempt := range all.Errors {
		var f fields
		f.addPainted("Attempt "+strconv.FormatInt(attempt.Attempt, 10),
			"failed "+utcAndAge(attempt.FailedAt)+" on "+attempt.Worker, nil)
		f.addPainted("", attempt.Error, func(line string) string { return bad.Sprint(line) })
		a.printFields(&f)
	}
	return nil
}

// optionalWord returns text after a space, or nothing if there is none.
func optionalWord(text *string) string {
	if text == nil {
		return ""
	}
	return " " + *text
}

func channels(n int64) string {
	switch n {
	case 1:
		return "mono"
	case 2:
		return "stereo"
	}
	return fmt.Sprintf("%d channels", n)
}

func size(bytes int64) string {
	if bytes < 0 { // the Python service checked no sizes
		return strconv.FormatInt(bytes, 10) + " B"
	}
	return humanize.IBytes(uint64(bytes))
}
