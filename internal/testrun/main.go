// Command testrun runs go test, and shows what a person waits for: a line for each package when it ends, and one that
// names what still runs if nothing has ended for 15 seconds. It prints the output of failed tests only.
//
//	go run ./internal/testrun [-modules .,cmd] [-first store] -- [flags of go test] [-args flags of the test binaries]
//
// It tests all packages of the modules, which run at the same time. The packages of -first begin first: give it the
// slowest ones of the first module.
//
// All packages share one PostgreSQL server, which it starts unless TEST_POSTGRES_URL names one or PostgreSQL is not
// installed. The server stops when testrun ends, even if it is killed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dgx-music/storage/internal/pgtest"
)

// silence is the longest time without a line.
const silence = 15 * time.Second

func main() {
	modules := flag.String("modules", ".", "the `directories` of the modules to test, separated by commas")
	first := flag.String("first", "", "the `packages` of the first module that begin first, separated by commas")
	flag.Parse()
	if err := run(strings.Split(*modules, ","), strings.FieldsFunc(*first, func(r rune) bool { return r == ',' }), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(modules, first, arguments []string) error {
	// The terminal sends Ctrl-C to go test, too. Its end is waited for.
	signal.Ignore(os.Interrupt)
	environment := append(os.Environ(), "NO_COLOR=1")
	if os.Getenv("TEST_POSTGRES_URL") == "" {
		server, err := pgtest.Find(context.Background())
		switch {
		case err == nil:
			environment = append(environment, "TEST_POSTGRES_URL="+server.URL.String())
			defer runtime.KeepAlive(server) // it stops when it is collected
		case os.Getenv("REQUIRE_POSTGRES") != "":
			return fmt.Errorf("REQUIRE_POSTGRES is set, and there is no PostgreSQL: %w", err)
		default:
			fmt.Println("PostgreSQL's tests are skipped:", err)
		}
	}
	show := newReport(os.Stdout)
	stop := make(chan struct{})
	go show.breakSilence(stop)
	failed := make([]error, len(modules))
	var group sync.WaitGroup
	for i, module := range modules {
		packages := []string{"./..."}
		if i == 0 {
			packages = append(relative(first), packages...)
		}
		group.Go(func() { failed[i] = test(module, commandLine(arguments, packages), environment, show) })
	}
	group.Wait()
	close(stop)
	show.end()
	return errors.Join(failed...)
}

func relative(packages []string) (paths []string) {
	for _, name := range packages {
		paths = append(paths, "./"+name)
	}
	return paths
}

// commandLine puts the packages after the flags of go test, and before those of the test binaries.
func commandLine(arguments, packages []string) []string {
	end := slices.Index(arguments, "-args")
	if end < 0 {
		end = len(arguments)
	}
	return slices.Concat([]string{"test", "-json"}, arguments[:end], packages, arguments[end:])
}

// test runs go test in a module.
func test(module string, arguments, environment []string, show *report) error {
	cmd := exec.Command("go", arguments...)
	cmd.Dir, cmd.Env, cmd.Stderr = module, environment, os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	for decoder := json.NewDecoder(output); ; {
		var e event
		if err := decoder.Decode(&e); err != nil {
			break // the end, or what Wait reports
		}
		show.add(e)
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go test in %s: %w", module, err)
	}
	return nil
}
