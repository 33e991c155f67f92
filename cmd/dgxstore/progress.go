package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// lineInterval is how often progress writes a line where there is no terminal to draw a bar on.
const lineInterval = 5 * time.Second

// progress shows on stderr how far something has got: as a bar on a terminal, as lines elsewhere, not at all with --quiet
// and --json.
type progress struct {
	bar      *progressbar.ProgressBar // nil: lines
	silent   bool
	doing    string
	unit     string
	lastLine time.Time
	stop     chan struct{}
	running  sync.WaitGroup // what tells that something without an end in sight still goes on
}

// count shows something that has a known number of steps. Call finish when it ends, however it does.
func (a *app) count(doing, unit string, total int64) *progress {
	p := &progress{doing: doing, unit: unit, silent: a.quiet || a.json, lastLine: time.Now()}
	if a.barsOnTerminal && !p.silent {
		p.bar = newBar(doing, total)
	}
	return p
}

// wait shows that something goes on which does not tell how far it has got. Call finish when it ends.
func (a *app) wait(doing string) *progress {
	p := a.count(doing, "", -1)
	if p.silent {
		return p
	}
	began := time.Now()
	if p.bar == nil {
		p.line(doing + " ...")
	}
	p.stop = make(chan struct{})
	p.running.Go(func() {
		interval := lineInterval
		if p.bar != nil {
			interval = 100 * time.Millisecond
		}
		ticks := time.NewTicker(interval)
		defer ticks.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-ticks.C:
				if p.bar != nil {
					_ = p.bar.Add(1) // an error is that of stderr, which nobody could be told of
				} else {
					p.line(fmt.Sprintf("%s ... %s", doing, human(time.Since(began))))
				}
			}
		}
	})
	return p
}

// newBar makes one that fits into one line: what is longer could not be wiped again.
func newBar(doing string, total int64) *progressbar.ProgressBar {
	const barWidth = 12
	columns, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || columns <= 0 {
		columns = 80
	}
	room := columns - 20 // for what is drawn behind it: a spinner's time
	if total >= 0 {
		room -= barWidth + 22 // the bar, the percentage and the count
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetDescription(text.Snip(safe(doing), max(room, 8), "…")),
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionThrottle(65 * time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionSetTheme(progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}),
	}
	if total >= 0 {
		options = append(options, progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true))
	} else {
		options = append(options, progressbar.OptionSpinnerType(14), progressbar.OptionSetElapsedTime(true))
	}
	return progressbar.NewOptions64(total, options...)
}

// at tells that done of total steps are done.
func (p *progress) at(done, total int64) {
	if p.silent {
		return
	}
	if p.bar != nil {
		if p.bar.GetMax64() != total {
			p.bar.ChangeMax64(total)
		}
		_ = p.bar.Set64(done) // as above
		return
	}
	if done > 0 && done < total && time.Since(p.lastLine) < lineInterval { // the start and the end are told at once
		return
	}
	p.line(fmt.Sprintf("%s: %s of %s %s", p.doing, humanize.Comma(done), humanize.Comma(total), p.unit))
}

func (p *progress) line(line string) {
	p.lastLine = time.Now()
	fmt.Fprintln(os.Stderr, safe(line))
}

// finish takes the bar away.
func (p *progress) finish() {
	if p.stop != nil {
		close(p.stop)
		p.running.Wait()
	}
	if p.bar != nil {
		_ = p.bar.Finish() // as above
	}
}
