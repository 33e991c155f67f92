package main

import (
	"bufio"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		var state queueState
		dgxstore(t, "pause", "--json", "--database", url).decode(t, &state)
		is.True(state.Paused)
		pausedAt, err := s.QueuePausedAt(t.Context())
		is.NoErr(err)
		is.True(pausedAt.Equal(*state.PausedAt))
		is.True(strings.HasPrefix(dgxstore(t, "pause", "--database", url).stdout, "the queue is paused since "))
		is.Equal(dgxstore(t, "resume", "--database", url).stdout, "the queue is running\n")
		pausedAt, err = s.QueuePausedAt(t.Context())
		is.NoErr(err)
		is.True(pausedAt.IsZero())
		is.Equal(dgxstore(t, "resume", "--json", "--database", url).code, exitDone)
	})
}

func TestCancel(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		create(t, s, beat("claimed"))
		claimed := claim(t, s, "gpu-7", time.Hour)
		waiting, other := create(t, s, beat("waits")), create(t, s, beat("waits, too"))
		finished := createCompleted(t, s, beat("done"))

		r := dgxstore(t, "cancel", waiting.ID.String(), claimed.ID.String(), "--database", url)
		is.Equal(r.code, exitDone)
		is.Equal(r.stdout, waiting.ID.String()+" cancelled\n"+claimed.ID.String()+" asked to stop\n")
		is.Equal(statusOf(t, s, waiting.ID), store.StatusCancelled)

		r = dgxstore(t, "cancel", finished.ID.String(), "--database", url)
		is.Equal(r.code, exitError)
		is.True(strings.Contains(r.stderr, "is completed and cannot become cancelled"))
		is.Equal(dgxstore(t, "cancel", noSuchID, "--database", url).code, exitNotFound)

		// A failed cancellation does not stop the others.
		var o outcome
		r = dgxstore(t, "cancel", "--json", noSuchID, finished.ID.String(), other.ID.String(), "--database", url)
		is.Equal(r.code, exitError)
		r.decode(t, &o)
		is.Equal(o.Generations, []changedGeneration{{ID: other.ID, Status: store.StatusCancelled}})
		is.Equal(len(o.Failed), 2)
		is.Equal(statusOf(t, s, other.ID), store.StatusCancelled)
	})
}

func TestCancelBatch(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		params := beat("trap beat")
		params.BatchID = uuid.New()
		first := create(t, s, params)
		create(t, s, params)
		createCompleted(t, s, params)
		apart := create(t, s, beat("not of the batch"))
		run := func(args ...string) result {
			return dgxstore(t, append([]string{"cancel", "--database", url, "--batch", params.BatchID.String()}, args...)...)
		}
		r := run()
		is.Equal(r.code, exitDeclined)
		is.True(strings.Contains(r.stderr, "--yes"))
		is.True(strings.Contains(r.stderr, "Cancel 2 generations of batch "+params.BatchID.String()))
		is.Equal(run("--json").code, exitDeclined)
		is.Equal(run("--dry-run").stdout, "2 generations would be cancelled or asked to stop\n")
		is.Equal(statusOf(t, s, first.ID), store.StatusPending)

		var done cancelledBatch
		run("--yes", "--json").decode(t, &done)
		is.Equal(done, cancelledBatch{BatchID: params.BatchID, Cancelled: 2})
		is.Equal(statusOf(t, s, first.ID), store.StatusCancelled)
		is.Equal(statusOf(t, s, apart.ID), store.StatusPending)
		is.Equal(run().stdout, "0 generations cancelled or asked to stop\n") // nothing to ask about
		is.Equal(dgxstore(t, "cancel", "--batch", noSuchID, "--yes", "--database", url).code, exitNotFound)
	})
}

func TestRetry(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		failed := createFailed(t, s, beat("trap beat"), "CUDA out of memory")
		finished := createCompleted(t, s, beat("done"))
		r := dgxstore(t, "retry", failed.ID.String(), "--database", url)
		is.Equal(r.code, exitDone)
		is.Equal(r.stdout, failed.ID.String()+" pending\n")
		is.Equal(statusOf(t, s, failed.ID), store.StatusPending)
		is.Equal(dgxstore(t, "retry", finished.ID.String(), "--database", url).code, exitError)
		is.Equal(dgxstore(t, "retry", "--json", finished.ID.String(), "--database", url).code, exitError)
		is.Equal(dgxstore(t, "retry", noSuchID, noSuchID, "--database", url).code, exitNotFound)
	})
}

func TestRetryMany(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, func(t *testing.T, url string) {
		is := is.New(t)
		s := openNow(t, url)
		large := beat("lo-fi piano")
		large.ModelName = "musicgen-large"
		one := createFailed(t, s, large, "CUDA out of memory")
		for range 3 {
			createFailed(t, s, beat("trap beat"), "CUDA out of memory")
		}
		cancelled, err := s.CancelGeneration(t.Context(), create(t, s, beat("unwanted")).ID)
		is.NoErr(err)
		run := func(args ...string) result {
			return dgxstore(t, append([]string{"retry", "--database", url}, args...)...)
		}

		r := run("--failed")
		is.Equal(r.code, exitDeclined)
		is.True(strings.Contains(r.stderr, "Put 4 failed generations back in the queue"))
		is.Equal(run("--failed", "--model", "musicgen-large", "--dry-run").stdout,
			"1 generation would be put back in the queue\n")
		is.Equal(statusOf(t, s, one.ID), store.StatusFailed)

		r = run("--failed", "--model", "musicgen-large", "--yes")
		is.Equal(r.code, exitDone)
		is.Equal(r.stdout, "1 generation put back in the queue\n")
		// Without a terminal, progress is lines.
		is.Equal(r.stderr, "putting back: 0 of 1 generations\nputting back: 1 of 1 generations\n")
		is.Equal(statusOf(t, s, one.ID), store.StatusPending)
		var done retried
		run("--failed", "--yes", "--json").decode(t, &done)
		is.Equal(done, retried{Retried: 3})
		is.Equal(statusOf(t, s, cancelled.ID), store.StatusCancelled)
		r = run("--cancelled", "--yes", "--quiet")
		is.Equal(r.code, exitDone)
		is.Equal(r.stderr, "")
		is.Equal(statusOf(t, s, cancelled.ID), store.StatusPending)
		is.Equal(run("--failed").stdout, "0 generations put back in the queue\n") // nothing to ask about
	})
}

// A signal ends a command, with an exit code of its own.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			is := is.New(t)
			url := storetest.URL(t)
			createFailed(t, openNow(t, url), beat("trap beat"), "CUDA out of memory")
			holdWriter(t, url)
			cmd := command(t, "retry", "--failed", "--yes", "--busy-timeout", "1h", "--database", url)
			pipe, err := cmd.StderrPipe()
			is.NoErr(err)
			is.NoErr(cmd.Start())
			stderr := bufio.NewReader(pipe)
			line, err := stderr.ReadString('\n')
			is.NoErr(err)
			is.Equal(line, "putting back: 0 of 1 generations\n") // now it waits for the writer
			is.NoErr(cmd.Process.Signal(signal))
			rest, err := io.ReadAll(stderr)
			is.NoErr(err)
			is.Equal(string(rest),
				"dgxstore: interrupted; 0 generations were put back; run the same command again for the others\n")
			is.Equal(exitStatus(t, cmd.Wait()), exitInterrupted)
		})
	}
}
