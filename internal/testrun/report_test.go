package main

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/matryer/is"
)

const room = "github.com/dgx-music/storage/internal/listing"

func reported(err error, events ...event) string {
	var out strings.Builder
	r := newReport(&out)
	for _, e := range events {
		r.add(e)
	}
	r.end(err)
	return out.String()
}

func TestPackageThatPasses(t *testing.T) {
	t.Parallel()
	is.New(t).Equal(reported(nil,
		event{Action: "start", Package: room},
		event{Action: "run", Package: room, Test: "TestA"},
		event{Action: "output", Package: room, Test: "TestA", Output: "=== RUN   TestA\n"},
		event{Action: "output", Package: room, Test: "TestA", Output: "    a_test.go:1: of no interest\n"},
		event{Action: "pass", Package: room, Test: "TestA", Elapsed: 1},
		event{Action: "run", Package: room, Test: "TestB"},
		event{Action: "skip", Package: room, Test: "TestB"},
		event{Action: "output", Package: room, Output: "PASS\n"},
		event{Action: "output", Package: room, Output: "ok  \t" + room + "\t1.2s\n"},
		event{Action: "pass", Package: room, Elapsed: 1.2},
	), "ok    internal/listing           1.2 s, 1 skipped\n1 packages passed in 0s\n")
}

func TestFailuresAreShown(t *testing.T) {
	t.Parallel()
	is.New(t).Equal(reported(errors.New("exit status 1"),
		event{Action: "start", Package: room},
		event{Action: "run", Package: room, Test: "TestA"},
		event{Action: "run", Package: room, Test: "TestB"},
		event{Action: "output", Package: room, Test: "TestB", Output: "\ta_test.go:1: 1 != 2\n"}, // of A
		event{Action: "pass", Package: room, Test: "TestB"},
		event{Action: "output", Package: room, Test: "TestA", Output: "    a_test.go:2: by t.Error\n"},
		event{Action: "output", Package: room, Test: "TestA", Output: "--- FAIL: TestA (0.00s)\n"},
		event{Action: "fail", Package: room, Test: "TestA"},
		event{Action: "output", Package: room, Output: "panic: a goroutine's own\n"},
		event{Action: "output", Package: room, Output: "FAIL\t" + room + "\t1.2s\n"},
		event{Action: "fail", Package: room, Elapsed: 1.2},
		event{Action: "build-output", ImportPath: "x", Output: "x.go:1: does not compile\n"},
	), "\ta_test.go:1: 1 != 2\n    a_test.go:2: by t.Error\n--- FAIL: TestA (0.00s)\npanic: a goroutine's own\nFAIL  internal/listing           1.2 s\n"+
		"x.go:1: does not compile\nfailed after 0s: exit status 1\n  internal/listing TestA\n  internal/listing\n")
}

func TestSilenceIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		is := is.New(t)
		var out strings.Builder
		r := newReport(&out)
		stop := make(chan struct{})
		go r.breakSilence(stop)
		time.Sleep(20*time.Second + time.Millisecond)
		r.add(event{Action: "start", Package: room})
		r.add(event{Action: "run", Package: room, Test: "TestA"})
		r.add(event{Action: "run", Package: room, Test: "TestA/part"})
		time.Sleep(15 * time.Second)
		r.add(event{Action: "pass", Package: room})
		time.Sleep(10 * time.Second)
		close(stop)
		synctest.Wait()
		is.Equal(out.String(), "  15 s: the compiler\n  30 s: internal/listing (TestA/part)\nok    internal/listing           0.0 s\n")
	})
}
