package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

// stuckAfter is how long a lease may have run out before it is news: workers look for those of others every 15 seconds.
const stuckAfter = time.Minute

// overview is what status shows.
type overview struct {
	Database          string       `json:"database"` // the URL, without its password
	databaseFacts                  // empty where the schema is behind
	SchemaVersion     string       `json:"schema_version"`
	PendingMigrations int          `json:"pending_migrations"`
	Queue             *queueState  `json:"queue"`          // null where the schema is behind, as are the following
	Stats             *store.Stats `json:"stats"`          //
	LastDay           *lastDay     `json:"last_day"`       //
	LastCompleted     *lastEnd     `json:"last_completed"` // null also where there is none
	LastFailed        *lastEnd     `json:"last_failed"`
	StuckLeases       []stuckLease `json:"stuck_leases"`
	Attention         []string     `json:"attention"` // what somebody should look at; the exit code is 4 where there is something
}

type queueState struct {
	Paused   bool       `json:"paused"`
	PausedAt *time.Time `json:"paused_at"`
}

// lastDay is what happened in the last 24 hours.
type lastDay struct {
	Created   int64 `json:"created"`
	Completed int64 `json:"completed"`
	Failed    int64 `json:"failed"`
}

type lastEnd struct {
	ID           uuid.UUID  `json:"id"`
	EndedAt      *time.Time `json:"ended_at"`
	ErrorMessage *string    `json:"error_message"`
}

// stuckLease is a claim that ran out, and that nobody has ended since.
type stuckLease struct {
	ID             uuid.UUID `json:"id"`
	Worker         string    `json:"worker"`
	LeaseExpiresAt time.Time `json:"lease_expires_at"`
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show database and queue on one screen; exit code 4 where something needs attention",
		Long: `Status shows the database and the queue on one screen.

Its exit code is 4 where something needs attention: migrations are pending, the queue is paused while generations wait, or
leases ran out over a minute ago and no worker has taken them over.`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			o, err := a.lookAround(ctx)
			if err != nil {
				return err
			}
			if a.json {
				err = a.printJSON(o)
			} else {
				err = a.printOverview(o)
			}
			if err == nil && len(o.Attention) > 0 {
				return &codedError{exitAttention, "attention: " + o.Attention[0] + andMore(len(o.Attention)-1)}
			}
			return err
		}),
	}
}

func andMore(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; and %d more", n)
}

func (a *app) lookAround(ctx context.Context) (overview, error) {
	o := overview{Database: shownURL(a.chosenURL()), StuckLeases: []stuckLease{}, Attention: []string{}}
	s, openErr := a.open(ctx)
	if openErr != nil && !errors.Is(openErr, store.ErrSchemaOutdated) {
		return o, openErr
	}
	if openErr == nil {
		defer s.Close()
	}
	migrations, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return o, err
	}
	o.SchemaVersion, o.PendingMigrations = latest(migrations), pending(migrations)
	if openErr != nil {
		if o.SchemaVersion == "" || o.PendingMigrations == 0 { // there is no database, or a newer program's
			return o, openErr
		}
		o.Attention = append(o.Attention, fmt.Sprintf("%s: run dgxstore migrate", plural(int64(o.PendingMigrations), "migration is pending", "migrations are pending")))
		return o, nil
	}
	return o, a.lookInside(ctx, s, &o)
}

func (a *app) lookInside(ctx context.Context, s *store.Store, o *overview) (err error) {
	if o.databaseFacts, err = a.facts(ctx, s); err != nil {
		return err
	}
	pausedAt, err := s.QueuePausedAt(ctx)
	if err != nil {
		return err
	}
	o.Queue = newQueueState(pausedAt)
	stats, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	o.Stats = &stats
	now := time.Now()
	days, err := s.DailyUsage(ctx, now.Add(-24*time.Hour), now)
	if err != nil {
		return err
	}
	o.LastDay = &lastDay{}
	for _, day := range days {
		o.LastDay.Created += day.Created
		o.LastDay.Completed += day.Completed
		o.LastDay.Failed += day.Failed
	}
	if o.LastCompleted, err = last(ctx, s, store.StatusCompleted); err != nil {
		return err
	}
	if o.LastFailed, err = last(ctx, s, store.StatusFailed); err != nil {
		return err
	}
	// As many as there are workers: what is being worked on is never much.
	for g, err := range s.Generations(ctx, store.ListGenerationsParams{Status: store.StatusProcessing, OldestFirst: true}) {
		if err != nil {
			return err
		}
		if g.LeaseExpiresAt != nil && now.Sub(*g.LeaseExpiresAt) > stuckAfter {
			stuck := stuckLease{ID: g.ID, LeaseExpiresAt: *g.LeaseExpiresAt}
			if g.Worker != nil {
				stuck.Worker = *g.Worker
			}
			o.StuckLeases = append(o.StuckLeases, stuck)
		}
	}
	if o.Queue.Paused && stats.PendingGenerations > 0 {
		o.Attention = append(o.Attention, fmt.Sprintf("the queue is paused while %s: dgxstore resume lets claims go on", plural(stats.PendingGenerations, "generation waits", "generations wait")))
	}
	if n := len(o.StuckLeases); n > 0 {
		o.Attention = append(o.Attention, fmt.Sprintf("%s, and no worker has taken over: start one, or dgxstore check --repair", plural(int64(n), "lease ran out", "leases ran out")))
	}
	return nil
}

func newQueueState(pausedAt time.Time) *queueState {
	if pausedAt.IsZero() {
		return &queueState{}
	}
	return &queueState{Paused: true, PausedAt: &pausedAt}
}

// last is what ended last, of those of the status that were created last: an index serves that.
func last(ctx context.Context, s *store.Store, status store.Status) (*lastEnd, error) {
	page, err := s.ListGenerations(ctx, store.ListGenerationsParams{Status: status, Limit: 100})
	if err != nil {
		return nil, err
	}
	var found *lastEnd
	for _, g := range page.Generations {
		if found == nil || g.CompletedAt != nil && (found.EndedAt == nil || g.CompletedAt.After(*found.EndedAt)) {
			found = &lastEnd{ID: g.ID, EndedAt: g.CompletedAt, ErrorMessage: g.ErrorMessage}
		}
	}
	return found, nil
}

func (a *app) printOverview(o overview) error {
	var f fields
	f.add("Database", o.Database)
	schema := "version " + o.SchemaVersion + ", up to date"
	if o.PendingMigrations > 0 {
		schema = fmt.Sprintf("version %s, %s", o.SchemaVersion, plural(int64(o.PendingMigrations), "migration pending", "migrations pending"))
	}
	f.add("Schema", schema)
	if o.Stats != nil {
		f.add("Engine", o.name()+", "+size(o.SizeBytes))
		f.add("Queue", o.Queue.String())
		waiting := ""
		if o.Stats.PendingGenerations > 0 {
			waiting = ", the oldest for " + humanSeconds(o.Stats.OldestPendingAgeSeconds)
		}
		f.add("Pending", humanize.Comma(o.Stats.PendingGenerations)+waiting)
		stuck := ""
		if n := len(o.StuckLeases); n > 0 {
			stuck = fmt.Sprintf(", %d of them stuck", n)
		}
		f.add("Processing", humanize.Comma(o.Stats.ProcessingGenerations)+stuck)
		f.add("Completed", humanize.Comma(o.Stats.CompletedGenerations)+o.LastCompleted.String())
		f.add("Failed", humanize.Comma(o.Stats.FailedGenerations)+o.LastFailed.String())
		f.add("Cancelled", humanize.Comma(o.Stats.CancelledGenerations))
		f.add("Prompts", humanize.Comma(o.Stats.TotalPrompts))
		f.add("Last 24 h", fmt.Sprintf("%s created, %s completed, %s failed",
			humanize.Comma(o.LastDay.Created), humanize.Comma(o.LastDay.Completed), humanize.Comma(o.LastDay.Failed)))
	}
	a.printFields(&f)
	if len(o.StuckLeases) > 0 {
		a.printf("\n")
		g := newGrid(column{title: "STUCK"}, column{title: "LEASE RAN OUT"}, column{title: "WORKER"})
		for _, stuck := range o.StuckLeases {
			g.add(stuck.ID.String(), ago(stuck.LeaseExpiresAt), stuck.Worker)
		}
		a.printGrid(g, "")
	}
	return nil
}

func (q *queueState) String() string {
	if q.Paused {
		return "paused since " + utcAndAge(*q.PausedAt)
	}
	return "running"
}

func (l *lastEnd) String() string {
	if l == nil || l.EndedAt == nil {
		return ""
	}
	return ", the last " + ago(*l.EndedAt)
}

// plural is the count with the one form or the other.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(n) + " " + many
}
