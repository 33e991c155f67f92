// Command transfer compares store.Transfer of a history from SQLite to PostgreSQL with a raw COPY of the same
// generations into the same schema, and prints Markdown tables. Then it kills transfers at random moments, and checks
// the final result. Compare only the figures of one run with each other: the machines are shared.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dgx-music/storage/bench/seed"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) == 4 && os.Args[1] == child {
		err := transferHere(os.Args[2], os.Args[3])
		if errors.Is(err, store.ErrNotEmpty) {
			os.Exit(exitNotEmpty)
		}
		if err != nil {
			log.Fatal(err)
		}
		return
	}
	var m measurement
	flag.IntVar(&m.generations, "n", 1_000_000, "number of generations")
	flag.IntVar(&m.rounds, "rounds", 3, "number of rounds, each a Transfer and a raw COPY; the tables show the medians")
	flag.IntVar(&m.kills, "kills", 20, "how often to kill a Transfer at a random moment and start it again; 0 for never")
	testing.Init()
	flag.Parse()
	if m.generations < 1 || m.rounds < 1 {
		log.Fatal("-n and -rounds must be at least 1")
	}
	// If pgtest starts a server, it must be durable; for tests it need not be.
	if err := os.Setenv("TEST_POSTGRES_DURABLE", "1"); err != nil {
		log.Fatal(err)
	}
	if err := os.Setenv("REQUIRE_POSTGRES", "1"); err != nil {
		log.Fatal(err)
	}
	measured := false
	testing.Benchmark(func(b *testing.B) { // storetest needs a testing.TB
		if err := m.run(b); err != nil {
			log.Fatal(err)
		}
		measured = true
		b.SkipNow() // once is enough
	})
	if !measured {
		log.Fatal("nothing was measured: is PostgreSQL installed?")
	}
}

type measurement struct {
	generations, rounds, kills int
}

func (m measurement) run(b *testing.B) error {
	ctx := b.Context()
	source := storetest.URL(b)
	if err := m.fill(ctx, source); err != nil {
		return err
	}
	var took, raw []time.Duration
	var heap, resident uint64
	var tables []store.TransferredTable
	for range m.rounds {
		// Transfer runs first, because COPY then reads its result.
		to := storetest.PostgresURL(b)
		if err := checkpoint(ctx, to); err != nil {
			return err
		}
		one, err := transferInChild(ctx, source, to)
		if err != nil {
			return err
		}
		took, tables = append(took, one.Took), one.Report.Tables
		heap, resident = max(heap, one.Heap), max(resident, one.Resident)
		copied, err := m.rawCopy(ctx, to, storetest.PostgresURL(b), b.TempDir())
		if err != nil {
			return err
		}
		raw = append(raw, copied)
	}
	fmt.Printf("# Transfer of %d generations from SQLite to PostgreSQL\n\n", m.generations)
	fmt.Printf("%s, %s, %s/%s, %d processors. "+
		"The times are medians of %d rounds. PostgreSQL has its default durability.\n\n",
		time.Now().UTC().Format(time.DateOnly), runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), m.rounds)
	fmt.Print("| | took | of the raw COPY |\n|---|---|---|\n")
	fmt.Printf("| raw COPY of prompts and generations, by pgx, from a file in PostgreSQL's binary format | %s | 1.00 |\n",
		median(raw).Round(time.Millisecond))
	fmt.Printf("| store.Transfer: read and checked, copied, read back and compared | %s | %.2f |\n\n",
		median(took).Round(time.Millisecond), float64(median(took))/float64(median(raw)))
	fmt.Print("| peak of the process of a Transfer | MiB |\n|---|---|\n")
	fmt.Printf("| Go's heap, live and garbage | %.1f |\n| resident memory, with SQLite's | %.1f |\n\n",
		mebibytes(heap), mebibytes(resident))
	fmt.Print("| table | rows | SHA-256 |\n|---|---|---|\n")
	for _, table := range tables {
		fmt.Printf("| %s | %d | %s |\n", table.Name, table.Rows, table.SHA256)
	}
	if m.kills == 0 {
		return nil
	}
	return m.killed(ctx, source, storetest.PostgresURL(b), median(took), tables)
}

func mebibytes(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

func median(of []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(of))
	return sorted[len(sorted)/2]
}

func (m measurement) fill(ctx context.Context, url string) error {
	s, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return err
	}
	defer s.Close()
	return seed.Fill(ctx, s, "sqlite", m.generations)
}

// checkpoint runs a checkpoint, so that each measurement begins alike.
func checkpoint(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "CHECKPOINT")
	return err
}

var copiedTables = []string{"prompts", "generations"}

// rawCopy writes the rows of a database to files, and measures how long COPY takes from there into an empty database.
func (m measurement) rawCopy(ctx context.Context, from, to, dir string) (took time.Duration, err error) {
	if err := copyOut(ctx, from, dir); err != nil {
		return 0, err
	}
	if err := checkpoint(ctx, to); err != nil {
		return 0, err
	}
	conn, err := pgx.Connect(ctx, to)
	if err != nil {
		return 0, err
	}
	defer conn.Close(ctx)
	began := time.Now()
	for _, table := range copiedTables {
		file, err := os.Open(filepath.Join(dir, table))
		if err != nil {
			return 0, err
		}
		copied, err := conn.PgConn().CopyFrom(ctx, file, "COPY "+table+" FROM STDIN (FORMAT binary)")
		if err := errors.Join(err, file.Close()); err != nil {
			return 0, err
		}
		if table == "generations" && copied.RowsAffected() != int64(m.generations) {
			return 0, fmt.Errorf("COPY wrote %d generations", copied.RowsAffected())
		}
	}
	return time.Since(began), nil
}

func copyOut(ctx context.Context, url, dir string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, table := range copiedTables {
		file, err := os.Create(filepath.Join(dir, table))
		if err != nil {
			return err
		}
		_, err = conn.PgConn().CopyTo(ctx, file, "COPY "+table+" TO STDOUT (FORMAT binary)")
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// killed kills transfers at random moments within the duration that one takes. It lets the last one finish.
func (m measurement) killed(
	ctx context.Context, source, to string, duration time.Duration, want []store.TransferredTable,
) error {
	finished := 0
	for killed := 0; killed < m.kills; {
		limited, cancel := context.WithTimeout(ctx, rand.N(duration))
		one, err := transferInChild(limited, source, to)
		cut := limited.Err() != nil
		cancel()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if !reflect.DeepEqual(one.Report.Tables, want) {
				return fmt.Errorf("after %d kills the destination has %v", killed, one.Report.Tables)
			}
			finished++
			if err := store.Reset(ctx, to); err != nil {
				return err
			}
		case isExit(err, exitNotEmpty): // the previous one had finished when it was killed
			finished++
			if err := store.Reset(ctx, to); err != nil {
				return err
			}
		case !cut:
			return err
		default:
			killed++
		}
	}
	one, err := transferInChild(ctx, source, to)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(one.Report.Tables, want) {
		return fmt.Errorf("after the kills the destination has %v", one.Report.Tables)
	}
	fmt.Printf("\nKilled %d transfers at random moments; %d others finished in between. "+
		"Their hashes, and those of the last one, are the ones above. The last one continued an earlier one: %t.\n",
		m.kills, finished, one.Report.Resumed)
	return nil
}

// child is the first argument of a process that only transfers, so that its memory is that of a Transfer.
const child = "transfer-here"

const exitNotEmpty = 3

func isExit(err error, code int) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return ok && exit.ExitCode() == code
}

type transferred struct {
	Report   store.TransferReport
	Took     time.Duration
	Heap     uint64 // peak, in bytes
	Resident uint64 // peak, in bytes; 0 if unknown
}

// transferInChild transfers in a child process. When ctx ends, it kills the process.
func transferInChild(ctx context.Context, from, to string) (t transferred, err error) {
	program, err := os.Executable()
	if err != nil {
		return t, err
	}
	var output, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, child, from, to)
	cmd.Stdout, cmd.Stderr = &output, &stderr
	if err := cmd.Run(); err != nil {
		return t, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	return t, json.Unmarshal(output.Bytes(), &t)
}

func transferHere(from, to string) error {
	done, peak := make(chan struct{}), make(chan uint64)
	go func() { peak <- peakHeap(done) }()
	began := time.Now()
	report, err := store.Transfer(context.Background(), from, to, store.TransferOptions{})
	t := transferred{Report: report, Took: time.Since(began)}
	close(done)
	t.Heap = <-peak
	if err != nil {
		return err
	}
	t.Resident = peakResident()
	return json.NewEncoder(os.Stdout).Encode(t)
}

// peakResident returns the peak resident memory of this process, or 0 if the system is not Linux. The value that wait4
// reports of a child would include memory of its parent.
func peakResident() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kibibytes uint64
	fmt.Sscan(rest, &kibibytes)
	return kibibytes << 10
}

// peakHeap samples the heap a hundred times a second until done is closed, and returns the peak in bytes.
func peakHeap(done <-chan struct{}) (peak uint64) {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for {
		metrics.Read(sample)
		peak = max(peak, sample[0].Value.Uint64())
		select {
		case <-done:
			return peak
		case <-ticker.C:
		}
	}
}
