package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) addYesFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask for confirmation")
}

// confirm asks the question on the terminal, and returns nil if the answer is yes or if --yes was given. Without a
// terminal it returns an error. The question is plain text without its question mark.
func (a *app) confirm(ctx context.Context, question string) error {
	if a.yes {
		return nil
	}
	question = withoutPasswords(question)
	if !a.asksOnTerminal {
		return &codedError{exitDeclined, "nothing was changed; to confirm without a terminal, give --yes: " + question + "?"}
	}
	fmt.Fprintf(os.Stderr, "%s? [y/N] ", safe(question))
	answers := make(chan string, 1)
	// The goroutine ends with the answer or with the program: a read from a terminal cannot be cancelled.
	go func() {
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n') // on an error the line is not yes
		answers <- line
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(os.Stderr)
		return ctx.Err()
	case line := <-answers:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		}
		return &codedError{exitDeclined, "nothing was changed"}
	}
}
