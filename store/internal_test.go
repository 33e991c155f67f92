package store

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
)

func validParams(prompt string) CreateGenerationParams {
	return CreateGenerationParams{Prompt: prompt, ModelName: "m", DurationSeconds: 1, SampleRate: 32000, Channels: 1,
		FilePath: "p"}
}

func TestClockFollowsAServerThatIsAhead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in which no time passes
		is := is.New(t)
		c := newClock(nil)
		ahead := time.Hour
		is.NoErr(c.follow(t.Context(), func(context.Context) (time.Time, time.Duration,
			error) {
			return time.Now().Add(ahead), 0, nil
		}))
		apart := time.Until(c.Now())
		is.True(apart > ahead-time.Second && apart < ahead+time.Second)
		broken := errors.New("broken")
		is.Equal(c.follow(t.Context(), func(context.Context) (time.Time, time.Duration, error) {
			return time.Time{}, 0,
				broken
		}), broken)
		apart = time.Until(c.Now())
		is.True(apart > ahead-time.Second) // the last offset is kept
	})
}

// If a trip took long, the server's time says little: of two processes on one server, neither may be off by half of
// it.
func TestClockAsksAgainWhereATripTookLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // in which no time passes
		is := is.New(t)
		c := newClock(nil)
		asked := 0
		server := func(context.Context) (time.Time, time.Duration, error) {
			if asked++; asked <= 5 {
				return time.Now().Add(-30 * time.Millisecond), 60 * time.Millisecond, nil // the way back took all the time
			}
			return time.Now(), time.Millisecond, nil
		}
		is.NoErr(c.follow(t.Context(), server))
		is.Equal(asked, 6)
		is.True(time.Until(c.Now()).Abs() < 10*time.Millisecond)

		// What long trips say later does not turn a clock that is right.
		kept := c.anchor.Load()
		is.NoErr(c.follow(t.Context(), func(context.Context) (time.Time, time.Duration, error) {
			return time.Now().Add(-20 * time.Millisecond), 60 * time.Millisecond, nil
		}))
		is.Equal(c.anchor.Load(), kept)
		is.NoErr(c.follow(t.Context(), func(context.Context) (time.Time, time.Duration, error) {
			return time.Now().Add(time.Second), 60 * time.Millisecond, nil
		}))
		is.True(time.Until(c.Now()) > 900*time.Millisecond)
	})
}

// SQLite has a transaction roll back by itself when the disk is full; a bound on the file's pages stands in for a disk.
func TestFullDiskLosesNothingThatWasAcknowledged(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	s, err := Open(ctx, Options{URL: "sqlite://" + filepath.Join(t.TempDir(), "x.db"), Migrate: true})
	is.NoErr(err)
	defer s.Close()
	_, err = s.DB().Exec(ctx, "PRAGMA max_page_count = 200")
	is.NoErr(err)
	acknowledged := 0
	for range 1000 {
		params := validParams("x")
		params.FilePath = strings.Repeat("f", 4000)
		if _, err = s.CreateGeneration(ctx, params); err != nil {
			break
		}
		acknowledged++
	}
	is.True(err != nil && acknowledged > 0)
	inTx := 0
	if s.InTx(ctx, func(tx *Tx) error {
		params := validParams("x")
		params.FilePath = strings.Repeat("f", 4000)
		for range 10 {
			if _, err := tx.CreateGeneration(ctx, params); err == nil {
				inTx++
			}
		}
		return nil
	}) == nil {
		acknowledged += inTx
	}
	count, err := s.CountGenerations(ctx, "")
	is.NoErr(err)
	is.Equal(count, int64(acknowledged))
	p, err := s.GetPromptByText(ctx, "x")
	is.NoErr(err)
	is.Equal(p.UsedCount, int64(acknowledged))
	_, err = s.DB().Exec(ctx, "PRAGMA max_page_count = 100000")
	is.NoErr(err)
	_, err = s.CreateGeneration(ctx, validParams("x")) // there is room again
	is.NoErr(err)
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	now := time.Now().Truncate(time.Microsecond)
	for failures, exact := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 512} {
		exact *= time.Second
		seen := make(map[time.Duration]bool)
		for range 1000 {
			wait := engine.Failure{RetryAfter: backoffs()}.RetryAt(now, int64(failures)).Sub(now)
			is.True(wait >= exact*9/10 && wait <= exact*11/10)
			seen[wait.Round(exact/100)] = true
		}
		is.True(len(seen) > 10) // spread out
	}
	for _, failures := range []int64{10, 11, 63, 64, math.MaxInt64} {
		seen := make(map[time.Duration]bool)
		for range 1000 {
			wait := engine.Failure{RetryAfter: backoffs()}.RetryAt(now, failures).Sub(now)
			is.True(wait >= 9*time.Minute && wait <= 10*time.Minute)
			seen[wait.Round(time.Second)] = true
		}
		is.True(len(seen) > 10)
	}
}

func TestPausesGrowUpToTheirMaximumAndStayThere(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, to := range []time.Duration{time.Millisecond, time.Second, 24 * time.Hour} {
		var pause time.Duration
		for range 200 {
			next := longer(pause, 50*time.Millisecond, to)
			is.True(next >= pause && next > 0 && next <= to)
			pause = next
		}
		is.Equal(pause, to)
	}
}

// The documented constants are literals, so that go doc shows their values. They are those of the inner rooms.
func TestDocumentedConstantsAreThoseOfTheRooms(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	is.Equal([]int{MaxPromptBytes, MaxModelNameBytes, MaxModelVersionBytes, MaxFilePathBytes, MaxErrorMessageBytes},
		[]int{dberr.MaxPromptBytes, dberr.MaxModelNameBytes, dberr.MaxModelVersionBytes, dberr.MaxFilePathBytes,
			dberr.MaxErrorMessageBytes})
	is.Equal(StepQueued, engine.StepQueued)
	is.Equal([]FindingKind{
		FindingIntegrity, FindingForeignKey, FindingCounter, FindingUsedCount, FindingStuckLease, FindingFilePath, FindingMissingFile,
		FindingFileSize, FindingOrphanFile,
	}, []FindingKind{
		engine.FindingIntegrity, engine.FindingForeignKey, engine.FindingCounter, engine.FindingUsedCount, engine.FindingStuckLease,
		engine.FindingFilePath, engine.FindingMissingFile, engine.FindingFileSize, engine.FindingOrphanFile,
	})
}

// A parameter of a list that query leaves out would be ignored.
func TestEveryParameterOfAListIsPassedDown(t *testing.T) {
	is := is.New(t)
	at := time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)
	params := ListGenerationsParams{
		Status: StatusFailed, ModelName: "m", BatchID: uuid.Max, Favorite: true, CreatedFrom: at, CreatedTo: at.Add(time.Hour),
		Metadata: map[string]any{"bpm": 140}, MetadataRanges: []MetadataRange{{Key: "bpm"}}, Search: "beat", OldestFirst: true,
		Limit: 7, Offset: 5, After: Cursor(listing.Key{CreatedAt: at.Add(time.Minute), ID: uuid.Max}.Cursor()),
	}
	none, err := ListGenerationsParams{}.query()
	is.NoErr(err)
	for i := range reflect.TypeFor[ListGenerationsParams]().NumField() {
		one := ListGenerationsParams{}
		value := reflect.ValueOf(params).Field(i)
		if value.IsZero() {
			t.Fatalf("set %s here", reflect.TypeFor[ListGenerationsParams]().Field(i).Name)
		}
		reflect.ValueOf(&one).Elem().Field(i).Set(value)
		query, err := one.query()
		is.NoErr(err)
		if reflect.DeepEqual(query, none) {
			t.Errorf("query leaves out %s", reflect.TypeFor[ListGenerationsParams]().Field(i).Name)
		}
	}
}
