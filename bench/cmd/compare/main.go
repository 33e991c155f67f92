// Command compare lets the store and its peers create generations side by side, in turns, on new databases of each engine, and
// prints tables in Markdown. What counts are the ratios of one run: the machines are shared, and a figure of another run says
// nothing.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgx-music/storage/bench/peers"
	"github.com/dgx-music/storage/store/storetest"
)

func main() {
	log.SetFlags(0)
	var c comparison
	flag.DurationVar(&c.lasting, "for", 2*time.Second, "how long each peer creates in a round")
	flag.IntVar(&c.rounds, "rounds", 5, "how many rounds; the medians count")
	out := flag.String("out", "", "the file to write the tables to, besides")
	testing.Init()
	flag.Parse()
	c.to = os.Stdout
	if *out != "" {
		file, err := os.Create(*out)
		if err != nil {
			log.Fatal(err)
		}
		defer file.Close()
		c.to = io.MultiWriter(os.Stdout, file)
	}
	c.run()
}

type comparison struct {
	lasting time.Duration
	rounds  int
	to      io.Writer
}

func (c comparison) run() {
	fmt.Fprintf(c.to, "# Creating generations, beside others\n\n%s\n\n", c.circumstances())
	for _, engine := range []struct {
		name string
		url  func(testing.TB) string
	}{{"sqlite", storetest.URL}, {"postgres", storetest.PostgresURL}} {
		for _, callers := range []int{1, 64, 256} {
			if callers == 256 && engine.name == "sqlite" {
				continue
			}
			// storetest's databases go with the test that they are for.
			testing.Benchmark(func(b *testing.B) {
				if err := c.table(b, engine.name, engine.url, callers); err != nil {
					log.Fatalf("%s, %d callers: %v", engine.name, callers, err)
				}
				b.SkipNow() // once is enough
			})
		}
	}
}

// circumstances are what a figure depends on.
func (c comparison) circumstances() string {
	versions := []string{runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			switch module.Path {
			case "modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/jackc/pgx/v5", "gorm.io/gorm", "github.com/uptrace/bun":
				versions = append(versions, module.Path+" "+module.Version)
			}
		}
	}
	if version, err := exec.Command("postgres", "--version").Output(); err == nil {
		versions = append(versions, strings.TrimSpace(string(version)))
	}
	return fmt.Sprintf("%s, %s/%s, %d processors. %s. Each figure is the median of %d rounds of %s, in turns, on one schema and "+
		"equally durable: SQLite in WAL mode with synchronous=FULL, PostgreSQL with its defaults. What was created is counted in the end.",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), strings.Join(versions, ", "), c.rounds, c.lasting)
}

// measured is what a peer did in its rounds.
type measured struct {
	peers.Peer
	creator peers.Creator
	url     string
	created atomic.Int64
	perSec  []float64
	p99     []time.Duration
}

func (c comparison) table(b *testing.B, engine string, newURL func(testing.TB) string, callers int) error {
	all := make([]*measured, 0)
	for _, peer := range peers.Of(engine) {
		m := &measured{Peer: peer, url: newURL(b)}
		var err error
		if m.creator, err = peer.Open(b.Context(), m.url); err != nil {
			return fmt.Errorf("%s: %w", peer.Name, err)
		}
		defer m.creator.Close()
		all = append(all, m)
	}
	for range c.rounds {
		for _, m := range all {
			if err := c.round(b.Context(), m, callers); err != nil {
				return fmt.Errorf("%s: %w", m.Name, err)
			}
		}
	}
	fmt.Fprintf(c.to, "## %s, %d callers\n\n| | created per second | store is faster | p99 | p99 to the store's |\n|---|---|---|---|---|\n", engine, callers)
	first := all[0]
	for _, m := range all {
		if err := m.check(b.Context(), engine); err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		fmt.Fprintf(c.to, "| %s | %.0f | %.2f | %s | %.1f |\n", m.Name, median(m.perSec), median(first.perSec)/median(m.perSec),
			median(m.p99).Round(10*time.Microsecond), float64(median(m.p99))/float64(median(first.p99)))
	}
	if engine == "postgres" && callers > 1 {
		if err := c.pgbenchRow(b, newURL, median(first.perSec)); err != nil {
			return err
		}
	}
	fmt.Fprintln(c.to)
	return nil
}

func (c comparison) pgbenchRow(b *testing.B, newURL func(testing.TB) string, store float64) error {
	if _, err := exec.LookPath("pgbench"); err != nil {
		fmt.Fprintln(c.to, "| pgbench is not installed | | | | |")
		return nil
	}
	clients, perSecond, err := c.bestOfPgbench(b.Context(), func() string { return newURL(b) })
	if err != nil {
		return err
	}
	fmt.Fprintf(c.to, "| pgbench -M prepared, one statement, at its best with %d clients | %.0f | %.2f | | |\n", clients, perSecond, store/perSecond)
	return nil
}

// round lets so many callers create for a while.
func (c comparison) round(ctx context.Context, m *measured, callers int) error {
	var group sync.WaitGroup
	failed := make(chan error, callers)
	took := make([][]time.Duration, callers)
	began := time.Now()
	for caller := range callers {
		group.Go(func() {
			for time.Since(began) < c.lasting {
				job := peers.NewJob(m.created.Add(1))
				from := time.Now()
				if err := m.creator.Create(ctx, job); err != nil {
					failed <- err
					return
				}
				took[caller] = append(took[caller], time.Since(from))
			}
		})
	}
	group.Wait()
	lasted := time.Since(began)
	select {
	case err := <-failed:
		return err
	default:
	}
	every := slices.Concat(took...)
	slices.Sort(every)
	m.perSec = append(m.perSec, float64(len(every))/lasted.Seconds())
	m.p99 = append(m.p99, every[len(every)*99/100])
	return nil
}

// check looks whether all is there that a peer says it has created.
func (m *measured) check(ctx context.Context, engine string) error {
	s, err := peers.Of(engine)[0].Open(ctx, m.url)
	if err != nil {
		return err
	}
	defer s.Close()
	there, err := peers.Count(ctx, s)
	if err == nil && there != m.created.Load() {
		err = fmt.Errorf("%d are there, and %d were created", there, m.created.Load())
	}
	return err
}

func median[T ~int64 | ~float64](of []T) T {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}
