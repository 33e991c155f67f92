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

// The detail of a finding is wrapped on a narrow terminal, and never cut.
func TestFindingsOnTerminal(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	url := storetest.URL(t)
	past := openAt(t, url, time.Now().Add(-2*time.Hour))
	g := create(t, past, beat("stuck"))
	claim(t, past, "gpu-7", time.Minute)
	code, screen := onTerminal(t, command(t, "check", "--database", url), 80, "")
	is.Equal(code, exitAttention)
	plain := colours.ReplaceAllString(screen, "")
	is.True(strings.Contains(plain, "stuck_lease  "+g.ID.String()+"  the lease of attempt 1 ran"))
	is.True(!strings.Contains(plain, "…"))
	expired := time.Now().Add(-119 * time.Minute).UTC().Format("2006-01-02T15:")
	is.True(strings.Contains(plain, expired)) // the end of the detail
	for line := range strings.SplitSeq(plain[strings.Index(plain, "KIND"):], "\n") {
		is.True(text.StringWidth(line) <= 80)
	}
}
