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

// stuckAfter is the time after which an expired lease is stuck. Workers rescue expired leases every 15 seconds.
const stuckAfter = time.Minute

// overview is the JSON of status. If migrations are pending, status cannot read databaseFacts and the fields from Queue
// to StuckLeases. Pointers are null then, and StuckLeases is empty.
type overview struct {
	Database string `json:"database"` // URL without its password
	databaseFacts
	SchemaVersion     string       `json:"schema_version"`
	PendingMigrations int          `json:"pending_migrations"`
	Queue             *queueState  `json:"queue"`
	Stats             *store.Stats `json:"stats"`
	LastDay           *lastDay     `json:"last_day"`
	LastCompleted     *lastEnd     `json:"last_completed"` // also null if no generation has completed
	LastFailed        *lastEnd     `json:"last_failed"`    // also null if no generation has failed
	StuckLeases       []stuckLease `json:"stuck_leases"`
	Attention         []string     `json:"attention"` // if not empty, the exit code is 4
}

type queueState struct {
	Paused   bool       `json:"paused"`
	PausedAt *time.Time `json:"paused_at"`
}

// lastDay counts the last 24 hours.
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

// stuckLease is a lease that expired and that no worker has rescued.
type stuckLease struct {
	ID             uuid.UUID `json:"id"`
	Worker         string    `json:"worker"`
	LeaseExpiresAt time.Time `json:"lease_expires_at"`
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the database and the queue; exit code 4 if they need attention",
		Long: `Status shows the database and the queue on one screen.

The exit code is 4 if something needs attention: migrations are pending, the queue is
paused while generations are pending, or a lease expired over a minute ago and no
worker has rescued its generation.`,
		Args: noArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			o, err := a.readOverview(ctx)
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

func (a *app) readOverview(ctx context.Context) (overview, error) {
	o := overview{Database: displayURL(a.chosenURL()), StuckLeases: []stuckLease{}, Attention: []string{}}
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
		if o.SchemaVersion == "" || o.PendingMigrations == 0 { // no database, or one of a newer program
			return o, openErr
		}
		o.Attention = append(o.Attention, fmt.Sprintf("%s: run dgxstore migrate",
			plural(int64(o.PendingMigrations), "migration is pending", "migrations are pending")))
		return o, nil
	}
	return o, a.readDatabase(ctx, s, &o)
}

func (a *app) readDatabase(ctx context.Context, s *store.Store, o *overview) (err error) {
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
	// These are few: each belongs to a worker.
	processing := store.ListGenerationsParams{Status: store.StatusProcessing, OldestFirst: true}
	for g, err := range s.Generations(ctx, processing) {
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
		o.Attention = append(o.Attention, fmt.Sprintf("the queue is paused while %s pending: run dgxstore resume",
			plural(stats.PendingGenerations, "generation is", "generations are")))
	}
	if n := len(o.StuckLeases); n > 0 {
		o.Attention = append(o.Attention, fmt.Sprintf("%s and no worker rescues: run dgxstore check --repair",
			plural(int64(n), "lease expired", "leases expired")))
	}
	return nil
}

func newQueueState(pausedAt time.Time) *queueState {
	if pausedAt.IsZero() {
		return &queueState{}
	}
	return &queueState{Paused: true, PausedAt: &pausedAt}
}

// last returns the generation that ended last, of the hundred newest of the status. No index serves the time of the
// end.
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
		schema = fmt.Sprintf("version %s, %s", o.SchemaVersion,
			plural(int64(o.PendingMigrations), "migration pending", "migrations pending"))
	}
	f.add("Schema", schema)
	if o.Stats != nil {
		f.add("Engine", o.name()+", "+size(o.SizeBytes))
		f.add("Queue", o.Queue.String())
		oldest := ""
		if o.Stats.PendingGenerations > 0 {
			oldest = ", the oldest created " + humanSeconds(o.Stats.OldestPendingAgeSeconds) + " ago"
		}
		f.add("Pending", humanize.Comma(o.Stats.PendingGenerations)+oldest)
		stuck := ""
		if n := len(o.StuckLeases); n > 0 {
			stuck = fmt.Sprintf(", %d of them stuck", n)
		}
		f.add("Processing", humanize.Comma(o.Stats.ProcessingGenerations)+stuck)
		f.add("Completed", humanize.Comma(o.Stats.CompletedGenerations)+o.LastCompleted.String())
		f.add("Failed", humanize.Comma(o.Stats.FailedGenerations)+o.LastFailed.String())
		f.add("Cancelled", humanize.Comma(o.Stats.CancelledGenerations))
		f.add("Prompts", humanize.Comma(o.Stats.TotalPrompts))
		f.add("Last 24 h", fmt.Sprintf("%s created, %s completed, %s failed", humanize.Comma(o.LastDay.Created),
			humanize.Comma(o.LastDay.Completed), humanize.Comma(o.LastDay.Failed)))
	}
	a.printFields(&f)
	if len(o.StuckLeases) > 0 {
		a.printf("\n")
		g := newGrid(column{title: "STUCK"}, column{title: "LEASE EXPIRED"}, column{title: "WORKER"})
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
	return ", the latest " + ago(*l.EndedAt)
}

// plural returns the count with the singular or the plural.
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(n) + " " + many
}
