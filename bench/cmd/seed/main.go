// Command seed fills the empty database of $DATABASE_URL with a history, for measurements or to look around in. By
// default it has a million generations of 5,000 prompts.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/dgx-music/storage/bench/seed"
	"github.com/dgx-music/storage/store"
)

func main() {
	log.SetFlags(0)
	generations := flag.Int("n", 1_000_000, "number of generations")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *generations); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, generations int) error {
	if generations < 1 {
		return fmt.Errorf("-n must be at least 1, got %d", generations)
	}
	engine := "sqlite"
	if strings.HasPrefix(os.Getenv("DATABASE_URL"), "postgres") {
		engine = "postgres"
	}
	s, err := store.Open(ctx, store.Options{Migrate: true})
	if err != nil {
		return err
	}
	defer s.Close()
	stats, err := s.Stats(ctx)
	if err != nil {
		return err
	}
	if stats.TotalGenerations > 0 || stats.TotalPrompts > 0 {
		return fmt.Errorf("the database is not empty: it has %d generations and %d prompts",
			stats.TotalGenerations, stats.TotalPrompts)
	}
	fmt.Printf("creating %d generations on %s; a million takes about a minute\n", generations, engine)
	began := time.Now()
	if err := seed.Fill(ctx, s, engine, generations); err != nil {
		return err
	}
	if err := s.CheckCounts(ctx); err != nil {
		return err
	}
	fmt.Printf("done in %s\n", time.Since(began).Round(time.Second))
	return nil
}
