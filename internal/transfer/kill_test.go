package transfer_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
)

// transferUntilKilled is a process of TestTransferThatIsKilledGoesOn. It transfers from the first URL to the second.
func transferUntilKilled(ctx context.Context, urls string) error {
	from, to, _ := strings.Cut(urls, " ")
	_, err := store.Transfer(ctx, from, to, store.TransferOptions{BatchSize: 500})
	return err
}

// A transfer is killed at random moments and started again, twenty times over, and then comes to its end. The
// destination is then the same as after a transfer that was never killed.
func TestTransferThatIsKilledGoesOn(t *testing.T) {
	if testing.Short() {
		t.Skip("kills processes for a minute")
	}
	t.Parallel()
	const kills, generations = 20, 20_000
	for _, way := range [][2]int{{0, 1}, {1, 0}} {
		t.Run(testkit.Engines[way[0]].Name+" to "+testkit.Engines[way[1]].Name, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			ctx := t.Context()
			fromURL, toURL, directURL := testkit.Engines[way[0]].URL(t), testkit.Engines[way[1]].URL(t), testkit.Engines[way[1]].URL(t)
			testkit.FillMany(t, fromURL, generations)

			began := time.Now()
			is.NoErr(testkit.InProcess(t, "transfer", fromURL+" "+directURL).Run())
			lasts := time.Since(began)
			wantSame(t, fromURL, directURL)

			partly, through := 0, 0
			killed := 0
			for killed < kills || partly == 0 { // at least one in the middle
				is.True(killed < 10*kills)
				cmd := testkit.InProcess(t, "transfer", fromURL+" "+toURL)
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
					to := testkit.OpenURL(t, toURL)
					if n := testkit.Count(t, to, "SELECT count(*) FROM generations"); n > 0 && n < int64(generations) {
						partly++
					}
					is.NoErr(to.CheckCounts(ctx))
					is.NoErr(to.Close())
				case <-ended: // or it found the destination full: the one before was through when it was killed
					to := testkit.OpenURL(t, toURL)
					wantNoProgressTable(t, to)
					is.NoErr(to.CheckCounts(ctx))
					is.Equal(testkit.Count(t, to, "SELECT count(*) FROM generations"), int64(generations))
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
