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
		Short: "Create the database, or bring its schema up to date",
		Long: `Migrate applies all pending migrations. It creates a SQLite file that does not exist;
a PostgreSQL database must exist. If several processes migrate at once, one of them
does the work and the others wait.

Migrate adopts a SQLite file of the Python service. Stop that service first. A copy
stays beside the file, under its name with .before-v2 appended. If the file has rows
that the store cannot hold, the error names them and nothing is changed.

--rollback undoes the latest migration and deletes the data that depends on it. It
asks first.`,
		Args: noArgs,
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
	cmd.Flags().BoolVar(&rollback, "rollback", false, "undo the latest migration")
	cmd.MarkFlagsMutuallyExclusive("status", "rollback")
	a.addYesFlag(cmd)
	return cmd
}

// migrated is the JSON of migrate.
type migrated struct {
	Applied []store.Migration `json:"applied"`
	Version string            `json:"version"`
	Adopted *adopted          `json:"adopted"` // null unless a database of the Python service was adopted
}

type adopted struct {
	CopyPath    string `json:"copy_path"` // a copy from before the adoption
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
	spinner := a.startSpinner("migrating " + displayURL(a.chosenURL()))
	err = store.Migrate(ctx, a.database)
	spinner.finish()
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
		a.printf("adopted a database of the Python service: %s, %s\n",
			plural(result.Adopted.Generations, "generation", "generations"),
			plural(result.Adopted.Prompts, "prompt", "prompts"))
		a.printf("kept a copy of the original database: %s\n", safe(result.Adopted.CopyPath))
	}
	for _, m := range applied {
		a.printf("applied %s %s\n", m.Version, safe(m.Name))
	}
	a.printf("%s is at version %s\n", safe(displayURL(a.chosenURL())), latest(after))
	return nil
}

func (a *app) rollback(ctx context.Context) error {
	before, err := store.MigrationStatus(ctx, a.database)
	if err != nil {
		return err
	}
	if latest(before) != "" {
		question := fmt.Sprintf("Undo migration %s of %s and delete the data that depends on it",
			latest(before), displayURL(a.chosenURL()))
		if err := a.confirm(ctx, question); err != nil {
			return err
		}
	}
	spinner := a.startSpinner("rolling back")
	err = store.Rollback(ctx, a.database)
	spinner.finish()
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
		a.printf("rolled back %s %s\n", m.Version, safe(m.Name))
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
			name = "(from a newer program)"
		}
		g.add(m.Version, state, name)
	}
	a.printGrid(g, "")
	return nil
}

// latest returns the version of the database. It is empty if no migration is applied.
func latest(migrations []store.Migration) (version string) {
	for _, m := range migrations {
		if m.Applied {
			version = m.Version
		}
	}
	return version
}

// pending counts the migrations that are not applied.
func pending(migrations []store.Migration) (count int) {
	for _, m := range migrations {
		if !m.Applied {
			count++
		}
	}
	return count
}
