package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// pgbenchScript is the creation in one statement, with a prompt of 500 as the others have it.
const pgbenchScript = `\set n random(0, 499)
WITH used AS (
	INSERT INTO prompts (text, used_count, first_used_at, last_used_at) VALUES ('trap beat number ' || :n || ' with heavy bass', 1, now(), now())
	ON CONFLICT (text) DO UPDATE SET used_count = prompts.used_count + 1, last_used_at = greatest(prompts.last_used_at, excluded.last_used_at)
	RETURNING id
)
INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status, created_at, metadata, prompt_id, scheduled_at)
SELECT gen_random_uuid(), 'trap beat number ' || :n || ' with heavy bass', 'musicgen-small', 16, 32000, 2, 'outputs/2025/11/07/' || :n || '.wav', 'pending', now(), '{"bpm":140,"genre":"hip hop","key":"Cm"}', used.id, now() FROM used;
`

var transactionsPerSecond = regexp.MustCompile(`(?m)^tps = ([0-9.]+)`)

// pgbench is PostgreSQL's own program, with so many clients: the limit of those that commit each creation.
func pgbench(ctx context.Context, url string, clients int, lasting time.Duration) (perSecond float64, err error) {
	script := filepath.Join(os.TempDir(), fmt.Sprintf("create-%d.sql", os.Getpid()))
	if err := os.WriteFile(script, []byte(pgbenchScript), 0o600); err != nil {
		return 0, err
	}
	defer os.Remove(script)
	output, err := exec.CommandContext(ctx, "pgbench", "-n", "-M", "prepared", "-f", script, "-c", strconv.Itoa(clients), "-j", "2",
		"-T", strconv.Itoa(max(1, int(lasting.Seconds()))), url).CombinedOutput()
	found := transactionsPerSecond.FindSubmatch(output)
	if err != nil || found == nil {
		return 0, fmt.Errorf("pgbench: %w: %s", err, output)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// bestOfPgbench tries some numbers of clients, and returns the one that creates most, in the median.
func (c comparison) bestOfPgbench(ctx context.Context, newURL func() string) (clients int, perSecond float64, err error) {
	for _, n := range []int{8, 16, 32, 64} {
		url, of := newURL(), make([]float64, c.rounds)
		for i := range of {
			if of[i], err = pgbench(ctx, url, n, c.lasting); err != nil {
				return 0, 0, err
			}
		}
		if median(of) > perSecond {
			clients, perSecond = n, median(of)
		}
	}
	return clients, perSecond, nil
}
