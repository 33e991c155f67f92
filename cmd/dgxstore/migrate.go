package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) migrateCommand() *cobra.Command {
	var status, rollback bool
	cmd := &cobra.Command{
		Use:   "migrate [--status | --rollback]",
		Short: "Bring the database's schema up to date; creates a SQLite file that does not exist",
		Long: `Migrate applies all migrations that are pending. It creates a SQLite file that does not exist; a PostgreSQL database must
exist. Any number of processes may do so at once: one migrates, the others wait.

A SQLite file that the Python service made is adopted: stop the service first. A copy of it stays beside it, with .before-v2
behind its name. Where it holds what cannot be carried, the error names the rows, and nothing is changed.

--rollback takes the latest migration back, with all data that only it could hold, and asks first.`,
		Args: cobra.NoArgs,
		RunE: a.run(func(ctx context.Context, _ []string) error {
			switch {
			case status:
				return a.migrationStatus(ctx)
			case rollback:
				return a.rollback(ctx)
			}
			return a.migrate(ctx)
		}),
	}
	cmd.Flags().BoolVar(&status, "status", false, "only list the migrations")
	cmd.Flags().BoolVar(&rollback, "rollback", false, "take the latest migration back")
	cmd.MarkFlagsMutuallyExclusive("status", "rollback")
	a.addYes(cmd)
	return cmd
}

// migrated is the JSON of migrate.
type migrated struct {
	Applied []store.Migration `json:"applied"`
	Version string            `json:"version"`
	Adopted *adopted          `json:"adopted"` // null where it was no database of the Python service
}

type adopted struct {
	CopyPath    string `json:"copy_path"` // the database as it was
	Generations int64  `json:"generations"`
	Prompts     int64  `json:"prompts"`
}

func (a *app) migrate(ctx context.Context) error {
	isPython, err := a.isPython(ctx)
	if err != nil {
		return err
	}
	before, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	waiting := a.wait("migrating " + shownURL(a.chosenURL()))
	err = store.Migrate(ctx, a.database)
	waiting.finish()
	if err != nil {
		return err
	}
	after, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	applied := []store.Migration{}
	for _, m := range after {
		if m.Applied && !slices.Contains(before, m) {
			applied = append(applied, m)
		}
	}
	result := migrated{Applied: applied, Version: latest(after)}
	if isPython {
		if result.Adopted, err = a.adopted(ctx); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(result)
	}
	if result.Adopted != nil {
		a.printf("adopted a database of the Python service: %s, %s\n", plural(result.Adopted.Generations, "generation", "generations"),
			plural(result.Adopted.Prompts, "prompt", "prompts"))
		a.printf("the database as it was is in %s\n", safe(result.Adopted.CopyPath))
	}
	for _, m := range applied {
		a.printf("applied %s %s\n", m.Version, safe(m.Name))
	}
	a.printf("%s is at version %s\n", safe(shownURL(a.chosenURL())), latest(after))
	return nil
}

func (a *app) rollback(ctx context.Context) error {
	before, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	if latest(before) != "" {
		if err := a.ask(ctx, fmt.Sprintf("Take migration %s of %s back, with all data that only it could hold", latest(before), shownURL(a.chosenURL()))); err != nil {
			return err
		}
	}
	waiting := a.wait("rolling back")
	err = store.Rollback(ctx, a.database)
	waiting.finish()
	if err != nil {
		return err
	}
	after, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	rolledBack := []store.Migration{}
	for _, m := range after {
		if !m.Applied && !slices.Contains(before, m) {
			rolledBack = append(rolledBack, m)
		}
	}
	if a.json {
		return a.printJSON(struct {
			RolledBack []store.Migration `json:"rolled_back"`
			Version    string            `json:"version"`
		}{rolledBack, latest(after)})
	}
	for _, m := range rolledBack {
		a.printf("took back %s %s\n", m.Version, safe(m.Name))
	}
	return nil
}

func (a *app) migrationStatus(ctx context.Context) error {
	migrations, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(struct {
			Migrations []store.Migration `json:"migrations"`
			Version    string            `json:"version"`
			Pending    int               `json:"pending"`
		}{migrations, latest(migrations), pending(migrations)})
	}
	g := newGrid(column{title: "VERSION"}, column{title: "STATE"}, column{title: "NAME"})
	for _, m := range migrations {
		state, name := "pending", m.Name
		if m.Applied {
			state = "applied"
		}
		if name == "" {
			name = "(of a newer program)"
		}
		g.add(m.Version, state, name)
	}
	a.printGrid(g, "")
	return nil
}

// latest is the version that the database is at; "": none.
func latest(migrations []store.Migration) (version string) {
	for _, m := range migrations {
		if m.Applied {
			version = m.Version
		}
	}
	return version
}

func pending(migrations []store.Migration) (count int) {
	for _, m := range migrations {
		if !m.Applied {
			count++
		}
	}
	return count
}
