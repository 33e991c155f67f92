package main

import (
	"bufio"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func TestTransfer(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]func(testing.TB) string{
		"sqlite":   func(t testing.TB) string { url, _ := missingURL(t); return url },
		"postgres": storetest.EmptyPostgresURL,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			from := storetest.URL(t)
			s := openNow(t, from)
			for range 10 {
				createFailed(t, s, beat("trap beat"), "CUDA out of memory")
			}
			is.NoErr(s.Close())

			to := empty(t)
			r := dgxstore(t, "transfer", "--from", from, "--to", to, "--batch-size", "4")
			is.Equal(r.code, exitDone)
			is.True(strings.HasPrefix(r.stdout, "TABLE "))
			is.True(strings.Contains(r.stdout, "\ntransferred to "))
			is.True(strings.Contains(r.stderr, "copying generations: 10 of 10 rows\n")) // a line, without a terminal
			is.Equal(remainingIDs(t, to), remainingIDs(t, from))

			var report store.TransferReport
			dgxstore(t, "transfer", "--json", "--from", from, "--to", empty(t)).decode(t, &report)
			rows := map[string]int64{}
			for _, table := range report.Tables {
				rows[table.Name] = table.Rows
				is.Equal(len(table.SHA256), 64)
			}
			is.Equal(rows["generations"], int64(10))
			is.Equal(rows["prompts"], int64(1))
			is.Equal(dgxstore(t, "transfer", "--quiet", "--from", from, "--to", empty(t)).stderr, "")

			// The destination has rows.
			full := storetest.URL(t)
			create(t, openNow(t, full), beat("in the destination"))
			r = dgxstore(t, "transfer", "--from", from, "--to", full)
			is.Equal(r.code, exitData)
			is.True(strings.Contains(r.stderr, "the destination is not empty"))
			is.Equal(dgxstore(t, "transfer", "--json", "--from", from, "--to", full).code, exitData)
			is.Equal(len(remainingIDs(t, full)), 1)
		})
	}
}

// The URLs need not be arguments, which all users of a machine can read.
func TestTransferFromEnvironment(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	from := storetest.URL(t)
	create(t, openNow(t, from), beat("trap beat"))
	to := storetest.EmptyPostgresURL(t)
	cmd := command(t, "transfer", "--from-env", "DATABASE_URL", "--to-env", "NEW_DATABASE_URL")
	cmd.Env = append(cmd.Env, "DATABASE_URL="+from, "NEW_DATABASE_URL="+to)
	is.Equal(runCommand(t, cmd).code, exitDone)
	is.Equal(remainingIDs(t, to), remainingIDs(t, from))

	cmd = command(t, "transfer", "--from", from, "--to-env", "NEW_DATABASE_URL")
	cmd.Env = append(cmd.Env, "NEW_DATABASE_URL=")
	r := runCommand(t, cmd)
	is.Equal(r.code, exitUsage)
	is.True(strings.Contains(r.stderr, "the environment variable NEW_DATABASE_URL is not set or empty"))
}

func TestTransferOfMissingDatabase(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	from, path := missingURL(t)
	to, other := missingURL(t)
	is.Equal(dgxstore(t, "transfer", "--from", from, "--to", to).code, exitSchema)
	is.Equal(dgxstore(t, "transfer", "--json", "--from", from, "--to", to).code, exitSchema)
	is.True(!exists(path) && !exists(other))
	same := storetest.URL(t)
	is.Equal(dgxstore(t, "transfer", "--from", same, "--to", same).code, exitUsage)
	is.Equal(dgxstore(t, "transfer", "--batch-size", "-1", "--from", same, "--to", to).code, exitUsage)
}

// An interrupted transfer says how to continue, and the next one does.
func TestTransferInterrupted(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	from := storetest.URL(t)
	s := openNow(t, from)
	params := make([]store.CreateGenerationParams, 2000)
	for i := range params {
		params[i] = beat("trap beat")
	}
	_, err := s.CreateGenerations(t.Context(), params)
	is.NoErr(err)
	is.NoErr(s.Close())
	to, _ := missingURL(t)

	cmd := command(t, "transfer", "--from", from, "--to", to, "--batch-size", "10")
	pipe, err := cmd.StderrPipe()
	is.NoErr(err)
	is.NoErr(cmd.Start())
	stderr := bufio.NewReader(pipe)
	for line := ""; !strings.HasPrefix(line, "copying generations: "); {
		line, err = stderr.ReadString('\n')
		is.NoErr(err)
	}
	is.NoErr(cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(stderr)
	is.NoErr(err)
	is.True(strings.HasSuffix(string(rest), "dgxstore: interrupted; run the same command again to continue\n"))
	is.Equal(exitStatus(t, cmd.Wait()), exitInterrupted)

	var report store.TransferReport
	dgxstore(t, "transfer", "--json", "--from", from, "--to", to).decode(t, &report)
	is.True(report.Resumed)
	for _, table := range report.Tables {
		if table.Name == "generations" {
			is.Equal(table.Rows, int64(2000))
		}
	}
}
