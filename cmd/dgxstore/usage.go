package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/guptarohit/asciigraph"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/store"
)

func (a *app) usageCommand() *cobra.Command {
	var days int
	cmd := &cobra.Command{
		Use:   "usage [--days N]",
		Short: "Count generations per day; on a terminal with a chart",
		Long: `Usage shows how many generations were created, completed and failed on each of the last
days, including today. Days are in UTC. On a terminal it also draws a chart.`,
		Args: noArgs,
		RunE: a.runOnStore(func(ctx context.Context, s *store.Store, _ []string) error {
			if days < 1 {
				return usageError("--days must be at least 1")
			}
			tomorrow := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
			usage, err := s.DailyUsage(ctx, tomorrow.AddDate(0, 0, -days), tomorrow)
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(struct {
					Days []store.DayUsage `json:"days"`
				}{usage})
			}
			a.printUsage(usage)
			if a.chartOnTerminal && len(usage) > 1 {
				a.printChart(usage)
			}
			return nil
		}),
	}
	cmd.Flags().IntVar(&days, "days", 14, "show the last `N` days")
	return cmd
}

func (a *app) printUsage(usage []store.DayUsage) {
	g := newGrid(column{title: "DAY"}, column{title: "CREATED", right: true}, column{title: "COMPLETED", right: true},
		column{title: "FAILED", right: true}, column{title: "AUDIO", right: true}, column{title: "AVERAGE TIME", right: true})
	for _, day := range usage {
		audio, average := "-", "-"
		if day.Completed > 0 {
			audio, average = humanSeconds(day.AudioSeconds), humanSeconds(day.AverageGenerationTimeSeconds)
		}
		g.add(day.Day, humanize.Comma(day.Created), humanize.Comma(day.Completed), humanize.Comma(day.Failed),
			audio, average)
	}
	a.printGrid(g, "")
}

// chartLines is the maximum height of the chart.
const chartLines = 10

// printChart draws completed and failed generations. Their lines differ in characters, too, for readers without
// colours.
func (a *app) printChart(usage []store.DayUsage) {
	var completed, failed []float64
	most := int64(0)
	for _, day := range usage {
		completed = append(completed, float64(day.Completed))
		failed = append(failed, float64(day.Failed))
		most = max(most, day.Completed, day.Failed)
	}
	if most == 0 {
		return
	}
	step := roundStep(most)
	lines := (most + step - 1) / step
	options := []asciigraph.Option{
		asciigraph.Height(int(lines)),
		asciigraph.Width(max(min(a.width-14, 100), 10)),
		asciigraph.LowerBound(0),
		asciigraph.UpperBound(float64(lines * step)),
		asciigraph.YAxisValueFormatter(func(value float64) string {
			return humanize.Comma(int64(math.Round(value)))
		}),
		asciigraph.SeriesChars(asciigraph.DefaultCharSet, asciigraph.CreateCharSet("x")),
		asciigraph.Caption(fmt.Sprintf("completed ─ and failed x per day, %s to %s",
			usage[0].Day, usage[len(usage)-1].Day)),
	}
	if a.coloured() {
		options = append(options, asciigraph.SeriesColors(asciigraph.Green, asciigraph.Red))
	}
	a.printf("\n%s\n", asciigraph.PlotMany([][]float64{completed, failed}, options...))
}

// roundStep returns how many generations one line of the chart stands for: 1, 2 or 5 times a power of ten.
func roundStep(most int64) int64 {
	for power := int64(1); ; power *= 10 {
		for _, step := range []int64{power, 2 * power, 5 * power} {
			if step >= (most+chartLines-1)/chartLines {
				return step
			}
		}
	}
}
