package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func (a *app) addYes(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.yes, "yes", "y", false, "do not ask")
}

// ask returns nil where the answer is yes, or --yes was given. Without a terminal there is nobody to ask. The question is
// plain text, and ends without its question mark.
func (a *app) ask(ctx context.Context, question string) error {
	if a.yes {
		return nil
	}
	if !a.asksOnTerminal {
		return &codedError{exitDeclined, "nothing was changed: this asks first, and there is no terminal to ask on; give --yes to do it: " + question}
	}
	fmt.Fprintf(os.Stderr, "%s? [y/N] ", safe(question))
	answers := make(chan string, 1)
	// It ends with the answer, or with the program: a read from a terminal cannot be called off.
	go func() {
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n') // the end of the input is no yes
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
