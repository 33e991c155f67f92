// Command compare lets the store and its peers do the same work in turns, on each engine, and prints Markdown tables.
// Compare only the figures of one run with each other: the machines are shared, so figures of different runs differ.
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/store/storetest"
)

func main() {
	log.SetFlags(0)
	c := comparison{to: os.Stdout, only: regexp.MustCompile("")}
	flag.DurationVar(&c.readFor, "for", 2*time.Second, "how long each peer reads in a round")
	flag.IntVar(&c.creating, "creations", 8000, "creations of each peer in a round; with one caller, a quarter")
	flag.IntVar(&c.rounds, "rounds", 5, "number of rounds; the tables show the medians")
	flag.IntVar(&c.jobs, "jobs", 20_000, "jobs that each queue enqueues and works off in a round")
	flag.DurationVar(&c.heapFor, "heap-for", time.Minute, "how long the store creates while its heap is sampled")
	out := flag.String("out", "", "`file` to write the tables to, in addition to stdout")
	flag.Func("only", "make only the tables whose titles match this regular `expression`", func(text string) (err error) {
		c.only, err = regexp.Compile(text)
		return err
	})
	testing.Init()
	flag.Parse()
	if *out != "" {
		file, err := os.Create(*out)
		if err != nil {
			log.Fatal(err)
		}
		defer file.Close()
		c.to = io.MultiWriter(os.Stdout, file)
	}
	// If pgtest starts a server, it must be durable; for tests it need not be.
	if err := os.Setenv("TEST_POSTGRES_DURABLE", "1"); err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(c.to, "# The store and its peers\n\n%s\n\n", c.conditions())
	for _, engine := range []engine{{"sqlite", storetest.URL}, {"postgres", durablePostgresURL}} {
		c.createTables(engine)
		c.readTables(engine)
		c.bulkTable(engine)
		c.queueTable(engine)
		c.heapTable(engine)
	}
	fmt.Fprint(c.to, limits)
}

// limits is the section of the page that explains, from profiles, each target that the store misses.
//
//go:embed limits.md
var limits string

type comparison struct {
	readFor  time.Duration
	creating int
	rounds   int
	heapFor  time.Duration
	jobs     int
	only     *regexp.Regexp
	to       io.Writer
}

type engine struct {
	name string
	url  func(testing.TB) string // returns the URL of a new, migrated database, which is dropped after the test
}

// table prints the title and calls fill to print the table, unless -only excludes it.
func (c comparison) table(title string, fill func(b *testing.B) error) {
	if !c.only.MatchString(title) {
		return
	}
	fmt.Fprintf(c.to, "## %s\n\n", title)
	filled := false
	testing.Benchmark(func(b *testing.B) { // storetest needs a testing.TB
		if err := fill(b); err != nil {
			log.Fatalf("%s: %v", title, err)
		}
		filled = true
		b.SkipNow() // once is enough
	})
	if !filled {
		fmt.Fprintln(c.to, "Not measured: the engine is not installed.")
	}
	fmt.Fprintln(c.to)
}

// durablePostgresURL returns the URL of a new database, and refuses a server that does not wait for the disk.
func durablePostgresURL(t testing.TB) string {
	url := storetest.PostgresURL(t)
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(context.Background())
	var settings string
	const query = `SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings
		WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')`
	if err := conn.QueryRow(context.Background(), query).Scan(&settings); err != nil {
		log.Fatal(err)
	}
	if settings != "fsync=on full_page_writes=on synchronous_commit=on" {
		log.Fatalf("PostgreSQL is less durable than by default: %s", settings)
	}
	return url
}

// conditions describes what the figures depend on.
func (c comparison) conditions() string {
	versions := []string{runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			switch module.Path {
			case "modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/jackc/pgx/v5", "gorm.io/gorm",
				"github.com/uptrace/bun", "entgo.io/ent", "github.com/riverqueue/river", "maragu.dev/goqite":
				versions = append(versions, module.Path+" "+module.Version)
			}
		}
	}
	if version, err := exec.Command("postgres", "--version").Output(); err == nil {
		versions = append(versions, strings.TrimSpace(string(version)))
	}
	return fmt.Sprintf("%s, %s/%s, %d processors. %s. Each figure is the median of %d rounds. "+
		"In a round each peer in turn makes %d creations (with 1 caller, a quarter), or reads for %s. "+
		"All work on the same schema and are equally durable: SQLite in WAL mode with synchronous=FULL, "+
		"PostgreSQL with its defaults. The benchmark counts what was created, and checks what was read. "+
		"Allocations are Go's; C has its own.",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(),
		strings.Join(versions, ", "), c.rounds, c.creating, c.readFor)
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

func median[T ~int64 | ~float64](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
