// Command compare lets the store and its peers do the same work side by side, in turns, on databases of each engine, and
// prints tables in Markdown. What counts are the ratios of one run: the machines are shared, and a figure of another run says
// nothing.
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
	flag.DurationVar(&c.lasting, "for", 2*time.Second, "how long each peer reads in a round")
	flag.IntVar(&c.creating, "creations", 8000, "how many generations each peer creates in a round; a quarter of it with one caller")
	flag.IntVar(&c.rounds, "rounds", 5, "how many rounds; the medians count")
	flag.IntVar(&c.jobs, "jobs", 20_000, "how many jobs each queue takes and works off in a round")
	flag.DurationVar(&c.heapFor, "heap-for", time.Minute, "how long the store creates while its heap is watched")
	out := flag.String("out", "", "the file to write the tables to, besides")
	flag.Func("only", "a regular expression: make the tables alone whose titles match", func(text string) (err error) {
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
	// A server that is started for this must not lie about the disk, as one for tests may.
	if err := os.Setenv("TEST_POSTGRES_DURABLE", "1"); err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(c.to, "# The store beside others\n\n%s\n\n", c.circumstances())
	for _, engine := range []engine{{"sqlite", storetest.URL}, {"postgres", durablePostgresURL}} {
		c.createTables(engine)
		c.readTables(engine)
		c.bulkTable(engine)
		c.queueTable(engine)
		c.heapTable(engine)
	}
	fmt.Fprint(c.to, limits)
}

// limits are what profiles said of what the tables show.
//
//go:embed limits.md
var limits string

type comparison struct {
	lasting  time.Duration
	creating int
	rounds   int
	heapFor  time.Duration
	jobs     int
	only     *regexp.Regexp
	to       io.Writer
}

type engine struct {
	name string
	url  func(testing.TB) string // of a new, migrated database, which goes with what it is for
}

// table has fill print the table below its title, if it is wanted.
func (c comparison) table(title string, fill func(b *testing.B) error) {
	if !c.only.MatchString(title) {
		return
	}
	fmt.Fprintf(c.to, "## %s\n\n", title)
	filled := false
	testing.Benchmark(func(b *testing.B) { // storetest's databases go with the test that they are for
		if err := fill(b); err != nil {
			log.Fatalf("%s: %v", title, err)
		}
		filled = true
		b.SkipNow() // once is enough
	})
	if !filled {
		fmt.Fprintln(c.to, "The engine is not installed.")
	}
	fmt.Fprintln(c.to)
}

// durablePostgresURL does without a server that would win by not waiting for the disk.
func durablePostgresURL(t testing.TB) string {
	url := storetest.PostgresURL(t)
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(context.Background())
	var settings string
	if err := conn.QueryRow(context.Background(), "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')").Scan(&settings); err != nil {
		log.Fatal(err)
	}
	if settings != "fsync=on full_page_writes=on synchronous_commit=on" {
		log.Fatalf("PostgreSQL is not durable as by default: %s", settings)
	}
	return url
}

// circumstances are what a figure depends on.
func (c comparison) circumstances() string {
	versions := []string{runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			switch module.Path {
			case "modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/jackc/pgx/v5", "gorm.io/gorm", "github.com/uptrace/bun", "entgo.io/ent",
				"github.com/riverqueue/river", "maragu.dev/goqite":
				versions = append(versions, module.Path+" "+module.Version)
			}
		}
	}
	if version, err := exec.Command("postgres", "--version").Output(); err == nil {
		versions = append(versions, strings.TrimSpace(string(version)))
	}
	return fmt.Sprintf("%s, %s/%s, %d processors. %s. Each figure is the median of %d rounds, in turns, of %d creations each, or of %s of reads, on one schema and "+
		"equally durable: SQLite in WAL mode with synchronous=FULL, PostgreSQL with its defaults. What was created is counted in the end, "+
		"and what was read is looked at. Allocations are Go's; C has its own.",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), strings.Join(versions, ", "), c.rounds, c.creating, c.lasting)
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
