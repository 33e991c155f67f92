package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/schollz/progressbar/v3"
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
	p := &progress{doing: doing, unit: unit, silent: a.quiet || a.json}
	if a.barsOnTerminal && !p.silent {
		p.bar = p.newBar(total)
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

func (p *progress) newBar(total int64) *progressbar.ProgressBar {
	options := []progressbar.Option{
		progressbar.OptionSetWriter(os.Stderr),
		progressbar.OptionSetDescription(p.doing),
		progressbar.OptionSetWidth(24),
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
	if done < total && time.Since(p.lastLine) < lineInterval {
		return
	}
	p.line(fmt.Sprintf("%s: %s of %s %s", p.doing, humanize.Comma(done), humanize.Comma(total), p.unit))
}

func (p *progress) line(text string) {
	p.lastLine = time.Now()
	fmt.Fprintln(os.Stderr, safe(text))
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
