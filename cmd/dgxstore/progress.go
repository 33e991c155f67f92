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

// lineInterval is the time between two progress lines. They replace the bar if stderr is not a terminal.
const lineInterval = 5 * time.Second

// progress shows on stderr how far a command is: as a bar on a terminal, as lines elsewhere. With --quiet or --json it
// shows nothing.
type progress struct {
	bar      *progressbar.ProgressBar // nil if stderr is not a terminal
	silent   bool
	label    string
	unit     string
	lastLine time.Time
	stop     chan struct{}  // closed to stop the spinner
	running  sync.WaitGroup // the spinner's goroutine
}

// startBar shows the progress of work with a known number of steps. Always call finish.
func (a *app) startBar(label, unit string, total int64) *progress {
	label = withoutPasswords(label)
	p := &progress{label: label, unit: unit, silent: a.quiet || a.json, lastLine: time.Now()}
	if a.barsOnTerminal && !p.silent {
		p.bar = newBar(label, total)
	}
	return p
}

// startSpinner shows that work of unknown length is still running. Always call finish.
func (a *app) startSpinner(label string) *progress {
	p := a.startBar(label, "", -1)
	if p.silent {
		return p
	}
	began := time.Now()
	if p.bar == nil {
		p.line(p.label + " ...")
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
					_ = p.bar.Add(1) // an error of stderr cannot be reported
				} else {
					p.line(fmt.Sprintf("%s ... %s", label, humanDuration(time.Since(began))))
				}
			}
		}
	})
	return p
}

// newBar returns a bar that fits into one line of the terminal. A longer one could not be erased.
func newBar(label string, total int64) *progressbar.ProgressBar {
	const barWidth = 12
	columns, _, err := term.GetSize(int(os.Stderr.Fd()))
	if err != nil || columns <= 0 {
		columns = 80
	}
	labelWidth := columns - 20 // the elapsed time follows the label
	if total >= 0 {
		labelWidth -= barWidth + 22 // so do the bar, the percentage and the count
	}
	options := []progressbar.Option{
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetDescription(text.Snip(safe(label), max(labelWidth, 8), "…")),
		progressbar.OptionSetWidth(barWidth),
		progressbar.OptionThrottle(65 * time.Millisecond),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionSetTheme(progressbar.Theme{
			Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]",
		}),
	}
	if total >= 0 {
		options = append(options, progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true))
	} else {
		options = append(options, progressbar.OptionSpinnerType(14), progressbar.OptionSetElapsedTime(true))
	}
	return progressbar.NewOptions64(total, options...)
}

// update shows that done of total steps are done.
func (p *progress) update(done, total int64) {
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
	if done > 0 && done < total && time.Since(p.lastLine) < lineInterval { // start and end are shown at once
		return
	}
	p.line(fmt.Sprintf("%s: %s of %s %s", p.label, humanize.Comma(done), humanize.Comma(total), p.unit))
}

func (p *progress) line(line string) {
	p.lastLine = time.Now()
	fmt.Fprintln(os.Stderr, safe(line))
}

// finish removes the bar.
func (p *progress) finish() {
	if p.stop != nil {
		close(p.stop)
		p.running.Wait()
	}
	if p.bar != nil {
		_ = p.bar.Finish() // as above
	}
}
