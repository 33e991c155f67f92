package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// pgbenchScript creates a generation in one statement. It uses 500 prompts, as the peers do.
const pgbenchScript = `\set n random(0, 499)
WITH used AS (
	INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
	VALUES ('trap beat number ' || :n || ' with heavy bass', 1, now(), now())
	ON CONFLICT (text) DO UPDATE SET used_count = prompts.used_count + 1,
		last_used_at = greatest(prompts.last_used_at, excluded.last_used_at)
	RETURNING id
)
INSERT INTO generations (id, prompt, model_name, duration_seconds, sample_rate, channels, file_path, status,
	created_at, metadata, prompt_id, scheduled_at)
SELECT gen_random_uuid(), 'trap beat number ' || :n || ' with heavy bass', 'musicgen-small', 16, 32000, 2,
	'outputs/2025/11/07/' || :n || '.wav', 'pending', now(), '{"bpm":140,"genre":"hip hop","key":"Cm"}', used.id, now()
FROM used;
`

var pgbenchResult = regexp.MustCompile(`(?s)transactions actually processed: ([0-9]+).*\ntps = ([0-9.]+)`)

// createWithPgbench measures pgbench with several numbers of clients. It is the limit for peers that commit each
// creation.
func (c comparison) createWithPgbench(b *testing.B, engine engine, creations int) (all []*measured) {
	if _, err := exec.LookPath("pgbench"); err != nil {
		return nil
	}
	for _, clients := range []int{8, 16, 32, 64} {
		name := fmt.Sprintf("pgbench -M prepared, one statement, at its best with %d clients", clients)
		m := &measured{name: name, url: engine.url(b)}
		m.turn = func() error {
			created, perSecond, err := pgbench(b.Context(), m.url, clients, creations)
			m.done.Add(created)
			m.perSec = append(m.perSec, perSecond)
			return err
		}
		all = append(all, m)
	}
	return all
}

func pgbench(ctx context.Context, url string, clients, creations int) (created int64, perSecond float64, err error) {
	script := filepath.Join(os.TempDir(), fmt.Sprintf("create-%d.sql", os.Getpid()))
	if err := os.WriteFile(script, []byte(pgbenchScript), 0o600); err != nil {
		return 0, 0, err
	}
	defer os.Remove(script)
	output, err := exec.CommandContext(ctx, "pgbench", "-n", "-M", "prepared", "-f", script, "-c", strconv.Itoa(clients),
		"-j", "2", "-t", strconv.Itoa(max(1, creations/clients)), url).CombinedOutput()
	found := pgbenchResult.FindSubmatch(output)
	if err != nil || found == nil {
		return 0, 0, fmt.Errorf("pgbench: %w: %s", err, output)
	}
	_, err = fmt.Sscan(string(found[1])+" "+string(found[2]), &created, &perSecond)
	return created, perSecond, err
}
