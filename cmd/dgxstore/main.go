// Command dgxstore manages a DGX Music database from the shell. It shows, searches and counts generations, cancels and
// retries them, and migrates, backs up, transfers, prunes and checks the database. dgxstore --help explains it.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal kills the program
	a := newApp()
	root := a.rootCommand()
	root.SetArgs(args)
	command, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	return a.report(ctx, args, command, err)
}
