//go:build unix

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/store/storetest"
)

// What a finding says is never cut, however narrow the terminal is.
func TestFindingsOnTerminal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	past := openAt(t, url, time.Now().Add(-2*time.Hour))
	g := create(t, past, beat("worked on by nobody"))
	claim(t, past, "gpu-7", time.Minute)
	code, screen := onTerminal(t, command(t, "check", "--database", url), 80, "")
	is.Equal(code, exitAttention)
	plain := colours.ReplaceAllString(screen, "")
	is.True(strings.Contains(plain, "stuck_lease  "+g.ID.String()+"  the lease of attempt 1 ran"))
	is.True(!strings.Contains(plain, "…"))
	is.True(strings.Contains(plain, time.Now().Add(-119*time.Minute).UTC().Format("2006-01-02T15:"))) // the end of the detail
	for line := range strings.SplitSeq(plain[strings.Index(plain, "KIND"):], "\n") {
		is.True(text.StringWidth(line) <= 80)
	}
}
