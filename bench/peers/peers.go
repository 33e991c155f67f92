// Package peers does the store's work without the store: by hand on the raw drivers with prepared statements, and with
// popular libraries, each as its own documentation advises.
//
// All peers work on the store's schema, and commit each creation as durably as the store. They count the prompt and
// insert the generation in one transaction. They read every column into a field of its type.
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

// Client is a peer's connection to a database. Any number of goroutines may use it at once.
type Client interface {
	// Create creates a generation and commits it.
	Create(ctx context.Context, job Job) error
	// CreateAll creates all generations or none.
	CreateAll(ctx context.Context, jobs []Job) error
	// Get reads a whole generation. It returns the prompt, for the caller to check.
	Get(ctx context.Context, id uuid.UUID) (prompt string, err error)
	// List reads whole generations, newest first. It returns the first ID and the number of rows, for the caller to check.
	List(ctx context.Context, limit int) (newest uuid.UUID, rows int, err error)
	Close() error
}

// Peer is a library, or a driver used by hand.
type Peer struct {
	Name string
	Open func(ctx context.Context, url string) (Client, error) // on a database that store.Migrate has migrated
}

// Creators returns the peers of an engine, "sqlite" or "postgres", with their best settings for creating. SQLite has
// one writer at a time, so there the callers share one connection and wait for it in Go. The store itself comes first.
func Creators(engine string) []Peer {
	if engine == "sqlite" {
		return peersOf(engine, 1)
	}
	return peersOf(engine, max(16, 4*runtime.NumCPU()))
}

// BulkCreators returns the peers with their best settings for creating many generations at once.
func BulkCreators(engine string) []Peer {
	all := Creators(engine)
	if engine == "sqlite" {
		all = append(all,
			Peer{fmt.Sprintf("modernc by hand, %d rows a statement", rowsPerStatement), openMultiRow(openModernc(1))},
			Peer{fmt.Sprintf("mattn (C) by hand, %d rows a statement", rowsPerStatement), openMultiRow(openMattn(1))})
	}
	return all
}

// Readers returns the peers with as many connections for reading as the store has by default.
func Readers(engine string) []Peer {
	if engine == "sqlite" {
		return peersOf(engine, max(4, runtime.GOMAXPROCS(0)))
	}
	return peersOf(engine, 10)
}

func peersOf(engine string, connections int) []Peer {
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

// PooledModernc is a common setup: a pool whose connections wait for each other in SQLite.
func PooledModernc() Peer { return Peer{"modernc by hand, pool of 8", openModernc(8)} }

// Job is a generation to create.
type Job struct {
	ID, Prompt, FilePath, Metadata string
	At                             time.Time
}

// NewJob returns the i-th job. Jobs have 500 different prompts in turn.
func NewJob(i int64) Job {
	return Job{
		ID: uuid.Must(uuid.NewV7()).String(), At: time.Now().UTC(),
		Prompt:   fmt.Sprintf("trap beat number %d with heavy bass", i%500),
		FilePath: fmt.Sprintf("outputs/2025/11/07/%d.wav", i),
		Metadata: metadata,
	}
}

// NewJobs returns the first n jobs.
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

// countPrompts returns the prompts of the jobs, and the number of jobs of each. A bulk creation counts each prompt
// once.
func countPrompts(jobs []Job) (prompts []string, counts []int64) {
	indexes := map[string]int{}
	for _, job := range jobs {
		index, ok := indexes[job.Prompt]
		if !ok {
			index = len(prompts)
			indexes[job.Prompt] = index
			prompts, counts = append(prompts, job.Prompt), append(counts, 0)
		}
		counts[index]++
	}
	return prompts, counts
}

// Count returns the number of generations. It returns an error if one of them is not as NewJob makes them, or if the
// counts of the prompts or the schema's counters differ.
func Count(ctx context.Context, url string) (valid int64, err error) {
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
	query := fmt.Sprintf(`SELECT count(*),
			count(CASE WHEN p.text = g.prompt AND p.text LIKE 'trap beat number %%' AND model_name = '%s'
				AND duration_seconds = %f AND sample_rate = %d AND channels = %d
				AND file_path LIKE 'outputs/2025/11/07/%%' AND status = 'pending' AND created_at = scheduled_at
				AND attempt = 0 AND max_attempts = 3 AND progress_step = 'queued' AND %s THEN 1 END),
			(SELECT CAST(COALESCE(sum(used_count), 0) AS BIGINT) FROM prompts)
		FROM generations AS g JOIN prompts AS p ON p.id = g.prompt_id`,
		modelName, duration, sampleRate, channels, isMetadata)
	err = s.DB().QueryRow(ctx, query).Scan(&all, &valid, &used)
	if err == nil && (all != valid || all != used) {
		err = fmt.Errorf("%d of %d generations are valid, and prompts were used %d times", valid, all, used)
	}
	if err == nil {
		err = s.CheckCounts(ctx)
	}
	return valid, err
}
