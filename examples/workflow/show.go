package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/progress"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/dgx-music/storage/store"
)

// isTerminal reports whether stdout is a terminal.
func isTerminal() bool {
	info, err := os.Stdout.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// bar shows the progress: as a bar on a terminal, as a line after every ten jobs elsewhere.
type bar struct {
	total, done int
	tracker     *progress.Tracker
	writer      progress.Writer
	rendered    chan struct{}
}

func newBar(message string, total int) *bar {
	b := &bar{total: total}
	if !isTerminal() {
		return b
	}
	b.writer = progress.NewWriter()
	b.writer.SetOutputWriter(os.Stdout)
	b.writer.SetUpdateFrequency(50 * time.Millisecond)
	b.writer.SetTrackerPosition(progress.PositionRight)
	b.tracker = &progress.Tracker{Message: message, Total: int64(total)}
	b.writer.AppendTracker(b.tracker)
	b.rendered = make(chan struct{})
	go func() {
		b.writer.Render()
		close(b.rendered)
	}()
	return b
}

func (b *bar) update(done int) {
	before := b.done
	b.done = done
	switch {
	case b.tracker != nil:
		b.tracker.SetValue(int64(done))
	case done/10 > before/10 || done == b.total && done > before:
		fmt.Printf("finished %d of %d\n", done, b.total)
	}
}

func (b *bar) finish(succeeded bool) {
	if b.tracker == nil {
		return
	}
	if succeeded {
		b.tracker.MarkAsDone()
	} else {
		b.tracker.MarkAsErrored()
	}
	time.Sleep(2 * 50 * time.Millisecond) // draw the full bar once more
	b.writer.Stop()
	<-b.rendered
}

// show prints the newest generations of the batch, and the counts of the whole database.
func show(ctx context.Context, s *store.Store, batch uuid.UUID) error {
	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{BatchID: batch, Limit: 10})
	if err != nil {
		return err
	}
	newest := newTable("Newest generations", table.Row{"created", "prompt", "status", "worker", "audio", "file", "took"})
	for _, g := range page.Generations {
		newest.AppendRow(table.Row{
			g.CreatedAt.Format(time.DateTime), g.Prompt, colored(g.Status), worker(g.Worker),
			fmt.Sprintf("%gs, %d ch", g.DurationSeconds, g.Channels), size(g.FileSizeBytes), seconds(g.GenerationTimeSeconds),
		})
	}
	newest.Render()

	stats, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	counts := newTable("Stats",
		table.Row{"total", "pending", "processing", "completed", "failed", "cancelled", "prompts"})
	counts.AppendRow(table.Row{stats.TotalGenerations, stats.PendingGenerations, stats.ProcessingGenerations,
		stats.CompletedGenerations, stats.FailedGenerations, stats.CancelledGenerations, stats.TotalPrompts})
	counts.Render()

	prompts, err := s.MostUsedPrompts(ctx, 5)
	if err != nil {
		return err
	}
	popular := newTable("Most used prompts", table.Row{"prompt", "uses", "last used"})
	for _, p := range prompts {
		popular.AppendRow(table.Row{p.Text, p.UsedCount, p.LastUsedAt.Format(time.DateTime)})
	}
	popular.Render()

	completed, err := s.ListGenerations(ctx, store.ListGenerationsParams{
		BatchID: batch, Status: store.StatusCompleted, Limit: 1,
	})
	if err != nil || len(completed.Generations) == 0 {
		return err
	}
	one, err := json.MarshalIndent(completed.Generations[0], "", "  ")
	if err != nil {
		return err
	}
	fmt.Printf("\nThe newest completed generation as JSON\n%s\n", one)
	return nil
}

func newTable(title string, header table.Row) table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(os.Stdout)
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	fmt.Printf("\n%s\n", title)
	t.AppendHeader(header)
	return t
}

func colored(status store.Status) string {
	if !isTerminal() {
		return string(status)
	}
	switch status {
	case store.StatusCompleted:
		return text.FgGreen.Sprint(status)
	case store.StatusFailed:
		return text.FgRed.Sprint(status)
	}
	return string(status)
}

func worker(name *string) string {
	if name == nil {
		return ""
	}
	return *name
}

func size(bytes *int64) string {
	if bytes == nil {
		return ""
	}
	return fmt.Sprintf("%d KiB", *bytes/1024)
}

func seconds(s *float64) string {
	if s == nil {
		return ""
	}
	return fmt.Sprintf("%.3fs", *s)
}
