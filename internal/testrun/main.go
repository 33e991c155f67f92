// Command testrun runs go test, and shows what a person waits for: a line for each package when it ends, and one that
// names what still runs if nothing has ended for 15 seconds. It prints the output of failed tests only.
//
//	go run ./internal/testrun [arguments of go test]
//
// All packages share one PostgreSQL server, which it starts unless TEST_POSTGRES_URL names one or PostgreSQL is not
// installed. The server stops when testrun ends, even if it is killed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"time"

	"github.com/dgx-music/storage/internal/pgtest"
)

// silence is the longest time without a line.
const silence = 15 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		if _, failed := errors.AsType[*exec.ExitError](err); !failed { // else the report has said it
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
}

func run(arguments []string) error {
	signal.Notify(make(chan os.Signal, 1), os.Interrupt) // go test gets Ctrl-C from the terminal, too, and ends first
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
	cmd := exec.Command("go", append([]string{"test", "-json"}, arguments...)...)
	cmd.Env, cmd.Stderr = environment, os.Stderr
	output, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	show := newReport(os.Stdout)
	stop := make(chan struct{})
	go show.breakSilence(stop)
	for decoder := json.NewDecoder(output); ; {
		var e event
		if err := decoder.Decode(&e); err != nil {
			break // the end, or what Wait reports
		}
		show.add(e)
	}
	err = cmd.Wait()
	close(stop)
	show.end(err)
	return err
}
