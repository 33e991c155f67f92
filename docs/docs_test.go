// Package docs_test checks what the documents of the repository refer to.
package docs_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/matryer/is"
)

const root = ".."

// documents maps the path below root of each document to its text.
func documents(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	is.New(t).NoErr(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name != "." && name != ".github" && strings.HasPrefix(name, ".") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		found[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return found
}

var (
	fenced     = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	link       = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ +(.*)$`)
	notInSlug  = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestLinks checks that each link from a document to a file or to a heading of the repository leads somewhere.
func TestLinks(t *testing.T) {
	texts := documents(t)
	links := 0
	for name, text := range texts {
		prose := inlineCode.ReplaceAllString(fenced.ReplaceAllString(text, ""), "`")
		for _, found := range link.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(found[1], "://") || strings.HasPrefix(found[1], "mailto:") {
				continue
			}
			links++
			path, anchor, _ := strings.Cut(found[1], "#")
			target := filepath.ToSlash(filepath.Join(filepath.Dir(name), path))
			if path == "" {
				target = name
			}
			if _, err := os.Stat(filepath.Join(root, target)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, found[1])
			} else if anchor != "" && !anchors(texts[target])[anchor] {
				t.Errorf("%s links to %s, which has no such heading", name, found[1])
			}
		}
	}
	if links < 20 {
		t.Errorf("found %d links in the documents", links)
	}
}

// anchors returns the anchors that GitHub gives to the headings of a document.
func anchors(text string) map[string]bool {
	found := make(map[string]bool)
	for _, title := range heading.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		slug := notInSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(title[1])), "")
		found[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return found
}

// TestPaths checks that each path of the repository that a document names in code exists.
func TestPaths(t *testing.T) {
	path := regexp.MustCompile("^`((?:internal|store|storagedb|db|docs|cmd|examples|bench|tools)/[\\w./-]+)`$")
	for name, text := range documents(t) {
		for _, code := range inlineCode.FindAllString(fenced.ReplaceAllString(text, ""), -1) {
			if found := path.FindStringSubmatch(code); found != nil {
				if _, err := os.Stat(filepath.Join(root, found[1])); err != nil {
					t.Errorf("%s names %s, which does not exist", name, found[1])
				}
			}
		}
	}
}

// TestMakeTargets checks that each make target that a document names exists.
func TestMakeTargets(t *testing.T) {
	is := is.New(t)
	makefile, err := os.ReadFile(filepath.Join(root, "Makefile"))
	is.NoErr(err)
	targets := 0
	for name, text := range documents(t) {
		code := append(fenced.FindAllString(text, -1), inlineCode.FindAllString(fenced.ReplaceAllString(text, ""), -1)...)
		for line := range strings.SplitSeq(strings.Join(code, "\n"), "\n") {
			words := strings.Fields(strings.Trim(line, "`"))
			if len(words) == 0 || words[0] != "make" {
				continue
			}
			for _, target := range words[1:] {
				if !regexp.MustCompile(`^[a-z-]+$`).MatchString(target) {
					break // a variable, a comment, or a target that stands for several
				}
				targets++
				if !regexp.MustCompile(`(?m)^` + target + `:`).Match(makefile) {
					t.Errorf("%s names make %s, which the Makefile lacks", name, target)
				}
			}
		}
	}
	if targets < 10 {
		t.Errorf("found %d make targets in the documents", targets)
	}
}

// TestReadmeFiguresAreMeasured checks that the figures in the README's benchmark section are in docs/benchmarks.md.
func TestReadmeFiguresAreMeasured(t *testing.T) {
	is := is.New(t)
	texts := documents(t)
	_, section, found := strings.Cut(texts["README.md"], "\n## How fast it is\n")
	is.True(found)
	section, _, _ = strings.Cut(section, "\n## ")
	figures := regexp.MustCompile(`\b\d+(?:\.\d+)?(?:ms|µs)?`).FindAllString(link.ReplaceAllString(section, "]"), -1)
	is.True(len(figures) > 5)
	for _, figure := range figures {
		alone := regexp.MustCompile(`(?:^|[^\d.])` + regexp.QuoteMeta(figure) + `(?:$|[^\d.]|\.\D)`)
		if !alone.MatchString(texts["docs/benchmarks.md"]) {
			t.Errorf("README.md has the figure %s, which docs/benchmarks.md lacks", figure)
		}
	}
}

// TestMakeShowsNoPassword runs the targets that show DATABASE_URL, with URLs of all kinds.
func TestMakeShowsNoPassword(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make")
	}
	is := is.New(t)
	dbmate := filepath.Join(t.TempDir(), "dbmate") // newer than what make would build it from
	is.NoErr(os.WriteFile(dbmate, []byte("#!/bin/sh\nexit 1\n"), 0o700))
	run := func(url, target string) string {
		cmd := exec.CommandContext(t.Context(), "make", "--no-print-directory", "DBMATE="+dbmate, target)
		cmd.Dir, cmd.Env = root, append(os.Environ(), "DATABASE_URL="+url, "MAKEFLAGS=")
		cmd.Stdin = strings.NewReader("no\n")
		output, _ := cmd.CombinedOutput() // db-reset fails, since the answer is no
		return string(output)
	}
	for url, shown := range map[string]string{
		"sqlite:///tmp/generations.db":             "sqlite:///tmp/generations.db",
		"sqlite:///tmp/it's.db":                    "sqlite:///tmp/it's.db",
		"postgres://user:hunter2@host/music":       "a PostgreSQL URL",
		"postgresql://host/music?password=hunter2": "a PostgreSQL URL",
		"mysql://user:hunter2@host/music":          "a URL that is neither sqlite: nor postgres:",
		"sqlite+x://user:hunter2@host/x":           "a URL that is neither sqlite: nor postgres:",
		"sqlite://user:hunter2@host/x":             "a SQLite URL",
		"sqlite3:///tmp/x.db?key=hunter2":          "a SQLite URL",
	} {
		for _, target := range []string{"help", "db-reset"} {
			output := run(url, target)
			if strings.Contains(output, "hunter2") || !strings.Contains(output, shown) {
				t.Errorf("make %s with %s, want %s in: %s", target, url, shown, output)
			}
		}
	}
}
