package queues

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"maragu.dev/goqite"

	"github.com/dgx-music/storage/bench/peers"
)

// goqiteQueue is goqite with a loop that receives and deletes. Its own job runner also receives one by one, and starts
// a goroutine for each.
type goqiteQueue struct {
	*goqite.Queue
	db *sql.DB
}

// openGoqiteSQLite uses one connection, and the driver that goqite's README uses.
func openGoqiteSQLite(ctx context.Context, url string) (Queue, error) {
	db, err := mattn.open(url, 1)
	if err != nil {
		return nil, err
	}
	return openGoqite(ctx, db, goqite.SQLFlavorSQLite, "schema_sqlite.sql")
}

func openGoqitePostgres(ctx context.Context, url string) (Queue, error) {
	db, err := pgx.open(url, connections())
	if err != nil {
		return nil, err
	}
	return openGoqite(ctx, db, goqite.SQLFlavorPostgreSQL, "schema_postgres.sql")
}

func openGoqite(ctx context.Context, db *sql.DB, flavor goqite.SQLFlavor, schemaFile string) (Queue, error) {
	schema, err := goqiteFile(ctx, schemaFile)
	if err != nil {
		return nil, err
	}
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, err
	}
	return goqiteQueue{goqite.New(goqite.NewOpts{DB: db, Name: "jobs", SQLFlavor: flavor}), db}, nil
}

// goqiteFile reads a file of goqite's module. The schemas are in none of its packages.
func goqiteFile(ctx context.Context, name string) (string, error) {
	dir, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "maragu.dev/goqite").Output()
	if err != nil {
		return "", fmt.Errorf("go list: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), name))
	return string(text), err
}

func (g goqiteQueue) Enqueue(ctx context.Context, job peers.Job) error {
	body, err := json.Marshal(payloadOf(job))
	if err != nil {
		return err
	}
	return g.Send(ctx, goqite.Message{Body: body})
}

// WorkOff receives with one goroutine, which was fastest on both engines. SQLite has one connection. On PostgreSQL all
// receivers take the same message in serializable transactions, and the server refuses all but one.
func (g goqiteQueue) WorkOff(ctx context.Context, n int) error {
	for range n {
		message, err := g.Receive(ctx)
		if err != nil {
			return err
		}
		if message == nil {
			return errors.New("nothing is left to receive")
		}
		if err := g.Delete(ctx, message.ID); err != nil {
			return err
		}
	}
	return nil
}

func (g goqiteQueue) Close() error { return g.db.Close() }
