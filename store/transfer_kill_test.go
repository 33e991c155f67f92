package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// A process of TestTransferThatIsKilledGoesOn, from one URL to another.
func transferUntilKilled(ctx context.Context, urls string) error {
	from, to, _ := strings.Cut(urls, " ")
	_, err := store.Transfer(ctx, from, to, store.TransferOptions{BatchSize: 500})
	return err
}

// A transfer is killed at random moments and started again, twenty times over, and then comes to its end.
// What is there then is what a transfer that nobody killed has made.
func TestTransferThatIsKilledGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a minute")
	}
	t.Parallel()
	const kills, generations = 20, 20_000
	for _, way := range [][2]int{{0, 1}, {1, 0}} {
		t.Run(engines[way[0]].name+" to "+engines[way[1]].name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			ctx := t.Context()
			fromURL, toURL, directURL := engines[way[0]].url(t), engines[way[1]].url(t), engines[way[1]].url(t)
			fillToTransfer(t, fromURL, generations)

			began := time.Now()
			is.NoErr(inProcess(t, "transfer", fromURL+" "+directURL).Run())
			lasts := time.Since(began)
			wantSame(t, fromURL, directURL)

			partly, through := 0, 0
			killed := 0
			for killed < kills || partly == 0 { // at least one in the middle
				is.True(killed < 10*kills)
				cmd := inProcess(t, "transfer", fromURL+" "+toURL)
				cmd.Stderr = nil
				is.NoErr(cmd.Start())
				ended := make(chan error, 1)
				go func() { ended <- cmd.Wait() }()
				select {
				case <-time.After(rand.N(lasts)):
					killIfRunning(t, cmd)
					if err := <-ended; err == nil {
						continue // it ended just then; the next one finds the destination full
					}
					killed++
					to := openURL(t, toURL)
					if n := count(t, to, "SELECT count(*) FROM generations"); n > 0 && n < int64(generations) {
						partly++
					}
					is.NoErr(to.CheckCounts(ctx))
					is.NoErr(to.Close())
				case <-ended: // or it found the destination full: the one before was through when it was killed
					to := openURL(t, toURL)
					wantNoProgressTable(t, to)
					is.NoErr(to.CheckCounts(ctx))
					is.Equal(count(t, to, "SELECT count(*) FROM generations"), int64(generations))
					is.NoErr(to.Close())
					through++
					is.NoErr(store.Reset(ctx, toURL))
				}
			}
			report, err := store.Transfer(ctx, fromURL, toURL, store.TransferOptions{})
			is.NoErr(err)
			wantSame(t, fromURL, toURL)
			t.Logf("killed %d times, %d of them with some of the generations there; %d came to their end between kills; resumed: %t", killed, partly, through, report.Resumed)
		})
	}
}

func killIfRunning(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
}

func fillToTransfer(t *testing.T, url string, generations int) {
	t.Helper()
	is := is.New(t)
	s := openURL(t, url)
	defer s.Close()
	const prompts = 1000
	is.NoErr(s.InTx(t.Context(), func(tx *store.Tx) error {
		for i := range prompts {
			if _, err := tx.TrackPrompt(t.Context(), fmt.Sprint("prompt ", i)); err != nil {
				return err
			}
		}
		return nil
	}))
	all, err := storagedb.New(s.DB()).PromptsBehind(t.Context(), storagedb.PromptsBehindParams{RowLimit: prompts})
	is.NoErr(err)
	is.Equal(len(all), prompts)
	rows := rowsToCopy(all[0], generations)
	var failed []storagedb.CopyGenerationErrorsParams
	for i := range rows {
		prompt := all[i%prompts]
		rows[i].PromptID, rows[i].Prompt = prompt.ID, prompt.Text
		rows[i].Metadata = store.Metadata(fmt.Sprintf(`{"bpm":%d,"seed":%d}`, 60+i%120, i))
		if i%5 == 0 {
			failed = append(failed, storagedb.CopyGenerationErrorsParams{GenerationID: rows[i].ID, Attempt: 1, Worker: "w", Error: "no GPU", FailedAt: rows[i].CreatedAt})
		}
	}
	_, err = storagedb.New(s.DB()).CopyGenerations(t.Context(), rows)
	is.NoErr(err)
	_, err = storagedb.New(s.DB()).CopyGenerationErrors(t.Context(), failed)
	is.NoErr(err)
}
