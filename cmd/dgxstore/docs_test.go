//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/matryer/is"
)

var (
	shellBlock  = regexp.MustCompile("(?ms)^ *```sh\n(.*?)^ *```")
	inText      = regexp.MustCompile("`(dgxstore [^`]+)`")
	commandLine = regexp.MustCompile(`(?m)\bdgxstore [^#>|()]+`) // up to a comment, a redirection or a pipe
)

// documented returns the commands that the documents tell their readers to run.
func documented(t testing.TB) (lines []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join("..", "..", "README.md")) {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range inText.FindAllStringSubmatch(string(content), -1) {
			lines = append(lines, strings.Join(strings.Fields(found[1]), " "))
		}
		for _, block := range shellBlock.FindAllStringSubmatch(string(content), -1) {
			for line := range strings.SplitSeq(block[1], "\n") {
				line = strings.TrimSpace(strings.ReplaceAll(line, "$(date -u +%F)", "2026-11-25"))
				if strings.HasPrefix(line, "dgxstore ") {
					lines = append(lines, strings.TrimSpace(commandLine.FindString(line)))
				}
			}
		}
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

// Each command in the documents is valid: it exists, and so do its flags, and they accept the values.
func TestDocumentedCommands(t *testing.T) {
	t.Parallel()
	lines := documented(t)
	if len(lines) < 25 {
		t.Fatalf("found %d commands in the documents", len(lines))
	}
	for _, line := range lines {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			is := is.New(t)
			args := words(t, line)
			is.True(len(args) > 0)
			help, err := command(t, append(args, "--help")...).Output() // plain text, even with --json
			is.NoErr(err)
			isHelp := args[0] == "help" || args[0] == "--help"
			is.True(isHelp || strings.Contains(string(help), "\n  dgxstore "+args[0])) // not the root command's help

			// --help accepts any arguments, so check these here.
			root := (&app{out: &output{}}).rootCommand() // newApp would set the global colours
			cmd, rest, err := root.Find(args)
			is.NoErr(err)
			if cmd == root {
				return // dgxstore --help
			}
			is.NoErr(cmd.ParseFlags(rest))
			is.NoErr(cmd.ValidateRequiredFlags())
			if cmd.Name() != "show" && cmd.Name() != "help" { // in "show ID", ID is a placeholder
				is.NoErr(cmd.ValidateArgs(cmd.Flags().Args()))
			}
		})
	}
}

// words splits the line into arguments as a shell does.
func words(t testing.TB, line string) (args []string) {
	t.Helper()
	output, err := exec.Command("sh", "-c", `dgxstore() { printf '%s\n' "$@"; }; `+line).Output()
	if err != nil {
		t.Fatal(line, err)
	}
	return strings.Split(strings.TrimSuffix(string(output), "\n"), "\n")
}
