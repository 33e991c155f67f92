package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// event is a line of go test -json, as cmd/test2json explains.
type event struct {
	Action     string
	Package    string
	ImportPath string // of a package that is built
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// report prints events. Its mutex guards all fields, and the order of lines.
type report struct {
	mu      sync.Mutex
	out     io.Writer
	began   time.Time
	last    time.Time                  // of the last line
	running map[string]map[string]bool // the tests that run, by package
	skipped map[string]int             // the number of skipped tests, by package
	kept    map[[2]string][]string     // output that is not printed yet, by package and test
	failed  []string
	passed  int
}

func newReport(out io.Writer) *report {
	now := time.Now()
	return &report{
		out: out, began: now, last: now, running: make(map[string]map[string]bool), skipped: make(map[string]int),
		kept: make(map[[2]string][]string),
	}
}

func (r *report) print(text string) {
	fmt.Fprint(r.out, text)
	r.last = time.Now()
}

func (r *report) add(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := [2]string{e.Package, e.Test}
	switch e.Action {
	case "start":
		r.running[e.Package] = make(map[string]bool)
	case "run", "cont":
		r.running[e.Package][e.Test] = true
	case "pause":
		delete(r.running[e.Package], e.Test)
	case "build-output":
		r.print(e.Output)
	case "output":
		switch {
		case isFailure(e.Output):
			r.print(e.Output)
		case !isFrame(e.Output):
			r.kept[key] = append(r.kept[key], e.Output)
		}
	case "pass", "skip", "fail":
		r.ended(e)
		delete(r.kept, key)
	}
}

// isFailure reports whether a line is a failed assertion of matryer/is. It prints to standard output, so that the line
// counts as that of another test if several run at once.
func isFailure(line string) bool {
	return strings.HasPrefix(line, "\t") && strings.Contains(line, "_test.go:")
}

// isFrame reports whether a line of output only says which test runs.
func isFrame(line string) bool {
	line = strings.TrimLeft(line, " ")
	return strings.HasPrefix(line, "=== ") || line == "PASS\n"
}

func (r *report) ended(e event) {
	if e.Test != "" {
		delete(r.running[e.Package], e.Test)
		switch e.Action {
		case "skip":
			r.skipped[e.Package]++
		case "fail":
			r.print(strings.Join(r.kept[[2]string{e.Package, e.Test}], ""))
			r.failed = append(r.failed, short(e.Package)+" "+e.Test)
		}
		return
	}
	delete(r.running, e.Package)
	if e.Action == "skip" { // it has no tests
		return
	}
	line := fmt.Sprintf(
		"%-5s %-24s %5.1f s",
		map[string]string{"pass": "ok", "fail": "FAIL"}[e.Action],
		short(e.Package),
		e.Elapsed,
	)
	if n := r.skipped[e.Package]; n > 0 {
		line += fmt.Sprintf(", %d skipped", n)
	}
	for _, output := range r.kept[[2]string{e.Package, ""}] {
		switch {
		case strings.Contains(output, "(cached)"):
			line += ", cached"
		case e.Action == "fail" && !strings.HasPrefix(output, "FAIL"):
			r.print(output)
		}
	}
	r.print(line + "\n")
	if e.Action == "fail" {
		r.failed = append(r.failed, short(e.Package))
	} else {
		r.passed++
	}
}

// breakSilence prints what runs if no line was printed for some time.
func (r *report) breakSilence(stop <-chan struct{}) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		r.mu.Lock()
		if time.Since(r.last) >= silence {
			r.print(r.state())
		}
		r.mu.Unlock()
	}
}

func (r *report) state() string {
	var running []string
	for _, name := range slices.Sorted(maps.Keys(r.running)) {
		tests := slices.Sorted(maps.Keys(r.running[name]))
		text := short(name)
		if len(tests) > 0 { // the last one in order is a subtest rather than its parent
			text += " (" + tests[len(tests)-1] + ")"
		}
		running = append(running, text)
	}
	if len(running) == 0 {
		running = []string{"the compiler"}
	}
	return fmt.Sprintf("%4.0f s: %s\n", time.Since(r.began).Seconds(), strings.Join(running, ", "))
}

// end prints the last line. err is that of go test.
func (r *report) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	took := time.Since(r.began).Round(time.Second)
	if err == nil {
		r.print(fmt.Sprintf("%d packages passed in %s\n", r.passed, took))
		return
	}
	r.print(fmt.Sprintf("failed after %s: %v\n", took, err))
	for _, name := range r.failed {
		r.print("  " + name + "\n")
	}
}

func short(name string) string { return strings.TrimPrefix(name, "github.com/dgx-music/storage/") }
