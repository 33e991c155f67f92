// Package peers does the store's work as those would who did not import it: by hand on the raw drivers with prepared
// statements, and with the libraries that they would otherwise pick, each as its own documentation advises. All work on the
// store's schema and commit each creation as durably as the store does: the prompt is counted and the generation inserted in
// one transaction. All read every column into a field of its type.
package peers

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/store"
)

// Client is a peer at work on a database. Any number of goroutines may use it at once.
type Client interface {
	// Create commits one generation, and CreateAll all of them or none.
	Create(ctx context.Context, job Job) error
	CreateAll(ctx context.Context, jobs []Job) error
	// Get and List, which has the newest first, read whole generations, and return of them what shows that they are the
	// right ones.
	Get(ctx context.Context, id uuid.UUID) (prompt string, err error)
	List(ctx context.Context, limit int) (newest uuid.UUID, rows int, err error)
	Close() error
}

// Peer is a way to work.
type Peer struct {
	Name string
	Open func(ctx context.Context, url string) (Client, error) // a database that store.Migrate has made
}

// Creators are the peers of an engine, "sqlite" or "postgres", as they create at their best: SQLite has one writer at a time,
// and those who share a connection to it wait in Go and not in SQLite. The store itself comes first.
func Creators(engine string) []Peer {
	if engine == "sqlite" {
		return of(engine, 1)
	}
	return of(engine, max(16, 4*runtime.NumCPU()))
}

// BulkCreators are the peers as they create many at their best.
func BulkCreators(engine string) []Peer {
	all := Creators(engine)
	if engine == "sqlite" {
		all = append(all,
			Peer{fmt.Sprintf("modernc by hand, %d rows a statement", rowsAStatement), openManyRows(openModernc(1))},
			Peer{fmt.Sprintf("mattn (C) by hand, %d rows a statement", rowsAStatement), openManyRows(openMattn(1))})
	}
	return all
}

// Readers are the peers with as many connections as the store has by default to read with.
func Readers(engine string) []Peer {
	if engine == "sqlite" {
		return of(engine, max(4, runtime.GOMAXPROCS(0)))
	}
	return of(engine, 10)
}

func of(engine string, connections int) []Peer {
	if engine == "sqlite" {
		return []Peer{
			{"this store", openStore},
			{"modernc by hand", openModernc(connections)},
			{"mattn (C) by hand", openMattn(connections)},
			{"GORM (mattn)", openGormSQLite(connections)},
			{"bun (modernc)", openBunSQLite(connections)},
			{"ent (modernc)", openEntSQLite(connections)},
		}
	}
	return []Peer{
		{"this store", openStore},
		{"pgx by hand", openPgx(connections)},
		{"GORM (pgx)", openGormPostgres(connections)},
		{"bun (pgx)", openBunPostgres(connections)},
		{"ent (pgx)", openEntPostgres(connections)},
	}
}

// PooledModernc is what many do: a pool whose connections wait for each other in SQLite.
func PooledModernc() Peer { return Peer{"modernc by hand, pool of 8", openModernc(8)} }

// Job is a generation to create.
type Job struct {
	ID, Prompt, FilePath, Metadata string
	At                             time.Time
}

// NewJob is the i-th: there are 500 different prompts.
func NewJob(i int64) Job {
	return Job{
		ID: uuid.Must(uuid.NewV7()).String(), At: time.Now().UTC(),
		Prompt:   fmt.Sprintf("trap beat number %d with heavy bass", i%500),
		FilePath: fmt.Sprintf("outputs/2025/11/07/%d.wav", i),
		Metadata: metadata,
	}
}

// NewJobs are the first ones.
func NewJobs(n int) []Job {
	jobs := make([]Job, n)
	for i := range jobs {
		jobs[i] = NewJob(int64(i))
	}
	return jobs
}

const (
	modelName  = "musicgen-small"
	duration   = 16.0
	sampleRate = 32000
	channels   = 2
	metadata   = `{"bpm":140,"genre":"hip hop","key":"Cm"}`
)

// uses are the prompts of jobs, and how many jobs each has: in bulk a prompt is counted once.
func uses(jobs []Job) (prompts []string, counts []int64) {
	places := map[string]int{}
	for _, job := range jobs {
		place, ok := places[job.Prompt]
		if !ok {
			place = len(prompts)
			places[job.Prompt] = place
			prompts, counts = append(prompts, job.Prompt), append(counts, 0)
		}
		counts[place]++
	}
	return prompts, counts
}

// Count is how many generations there are, as they should be. It is an error where there are others, and where a prompt, or
// one of the schema's counters, does not tell of as many.
func Count(ctx context.Context, url string) (whole int64, err error) {
	s, err := store.Open(ctx, store.Options{URL: url})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	isMetadata := "g.metadata = '" + metadata + "'"
	if !strings.HasPrefix(url, "sqlite") {
		isMetadata = "g.metadata = CAST('" + metadata + "' AS JSONB)"
	}
	var all, used int64
	err = s.DB().QueryRow(ctx, fmt.Sprintf(`SELECT count(*), count(CASE WHEN p.text = g.prompt AND p.text LIKE 'trap beat number %%' AND model_name = '%s'
			AND duration_seconds = %f AND sample_rate = %d AND channels = %d AND file_path LIKE 'outputs/2025/11/07/%%' AND status = 'pending'
			AND created_at = scheduled_at AND attempt = 0 AND max_attempts = 3 AND progress_step = 'queued' AND %s THEN 1 END),
			(SELECT CAST(COALESCE(sum(used_count), 0) AS BIGINT) FROM prompts)
		FROM generations AS g JOIN prompts AS p ON p.id = g.prompt_id`, modelName, duration, sampleRate, channels, isMetadata)).Scan(&all, &whole, &used)
	if err == nil && (all != whole || all != used) {
		err = fmt.Errorf("of %d generations %d are as they should be, and prompts were used %d times", all, whole, used)
	}
	if err == nil {
		err = s.CheckCounts(ctx)
	}
	return whole, err
}
