package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dgx-music/storage/storagedb"
)

// DayUsage is what happened on a day, in UTC.
type DayUsage struct {
	Day                          string  `json:"day"`                             // such as "2025-11-07"
	Created                      int64   `json:"created"`                         // generations that were asked for
	Completed                    int64   `json:"completed"`                       // that were completed on the day, whenever they were created
	Failed                       int64   `json:"failed"`                          // that failed for good on the day
	AudioSeconds                 float64 `json:"audio_seconds"`                   // of what was completed, the length that was asked for
	AverageGenerationTimeSeconds float64 `json:"average_generation_time_seconds"` // of what was completed; 0: nothing was
}

// ModelUsage is what a version of a model has done so far.
type ModelUsage struct {
	ModelName                    string  `json:"model_name"`
	ModelVersion                 *string `json:"model_version"`
	TotalGenerations             int64   `json:"total_generations"` // of any status
	CompletedGenerations         int64   `json:"completed_generations"`
	FailedGenerations            int64   `json:"failed_generations"`
	FailureRate                  float64 `json:"failure_rate"`                    // failed over completed plus failed; 0: none of either
	AverageGenerationTimeSeconds float64 `json:"average_generation_time_seconds"` // of what was completed; 0: nothing was
	P95GenerationTimeSeconds     float64 `json:"p95_generation_time_seconds"`     // the nearest-rank 95th percentile of the same
	RealTimeFactor               float64 `json:"real_time_factor"`                // generation time over audio length; below 1 is faster than real time
}

// TrendingPrompt is a prompt and how often it was asked for lately.
type TrendingPrompt struct {
	Prompt Prompt `json:"prompt"`
	Uses   int64  `json:"uses"` // generations that were created for it; a TrackPrompt alone is none
}

const (
	dayLayout    = time.DateOnly
	maxUsageDays = 3660 // ten years, in one answer
)

// DailyUsage tells what happened on each day from from, and before to, those on which nothing did included. Of the first and
// the last day it counts what is in the range. Days are UTC. The cost is by how much happened in it.
//
// It returns a *ValidationError where from is not before to, for more than ten years, and for times outside the years 1
// to 9999.
func (o *operations) DailyUsage(ctx context.Context, from, to time.Time) ([]DayUsage, error) {
	from, to, err := checkUsageRange(from, to)
	if err != nil {
		return nil, describe("daily usage", err)
	}
	var found []DayUsage
	err = o.session.readStale(ctx, func(db storagedb.DBTX) (err error) {
		found, err = o.dialect.dailyUsage(ctx, db, from, to)
		return err
	})
	if err != nil {
		return nil, describe("daily usage", err)
	}
	var days []DayUsage
	for day := from.Truncate(24 * time.Hour); day.Before(to); day = day.AddDate(0, 0, 1) {
		usage := DayUsage{Day: day.Format(dayLayout)}
		if len(found) > 0 && found[0].Day == usage.Day {
			usage, found = found[0], found[1:]
		}
		days = append(days, usage)
	}
	return days, nil
}

func checkUsageRange(from, to time.Time) (time.Time, time.Time, error) {
	if err := checkYear("from", from); err != nil {
		return from, to, err
	}
	if err := checkYear("to", to); err != nil {
		return from, to, err
	}
	if !from.Before(to) {
		return from, to, invalid("from", "is not before to")
	}
	if to.Sub(from) > maxUsageDays*24*time.Hour {
		return from, to, invalid("from", "is more than ten years before to")
	}
	return roundedUp(from), roundedUp(to), nil
}

// versionRank puts a model without a version before those with one.
func versionRank(m ModelUsage) int {
	if m.ModelVersion == nil {
		return 0
	}
	return 1
}

// ModelUsage tells what each version of each model has done, in the order of their names. It reads all of history, so keep it off the page that everybody
// has open.
func (o *operations) ModelUsage(ctx context.Context) ([]ModelUsage, error) {
	var rows []storagedb.ModelUsageRow
	err := o.session.readStale(ctx, func(db storagedb.DBTX) (err error) {
		rows, err = storagedb.New(db).ModelUsage(ctx)
		return err
	})
	if err != nil {
		return nil, describe("model usage", err)
	}
	models := make([]ModelUsage, len(rows))
	for i, row := range rows {
		models[i] = ModelUsage{
			ModelName:                    row.ModelName,
			ModelVersion:                 row.ModelVersion,
			TotalGenerations:             row.TotalGenerations,
			CompletedGenerations:         row.CompletedGenerations,
			FailedGenerations:            row.FailedGenerations,
			AverageGenerationTimeSeconds: row.AverageGenerationTimeSeconds,
			P95GenerationTimeSeconds:     row.P95GenerationTimeSeconds,
			RealTimeFactor:               row.RealTimeFactor,
		}
		if ended := row.CompletedGenerations + row.FailedGenerations; ended > 0 {
			models[i].FailureRate = float64(row.FailedGenerations) / float64(ended)
		}
	}
	// By the engines' own orders a model without a version would come first on one of them, and names as its locale has them.
	slices.SortFunc(models, func(a, b ModelUsage) int {
		if order := cmp.Compare(a.ModelName, b.ModelName); order != 0 || a.ModelVersion == nil || b.ModelVersion == nil {
			return cmp.Or(order, cmp.Compare(versionRank(a), versionRank(b)))
		}
		return cmp.Compare(*a.ModelVersion, *b.ModelVersion)
	})
	return models, nil
}

// TrendingPrompts returns the prompts of which the most generations were created since then, the most first; of equals
// the one asked for last. A limit of 0 is 10; a negative one, and a time outside the years 1 to 9999, is a
// *ValidationError. The cost is by how much was created since then.
func (o *operations) TrendingPrompts(ctx context.Context, since time.Time, limit int) ([]TrendingPrompt, error) {
	if err := checkYear("since", since); err != nil {
		return nil, describe("trending prompts", err)
	}
	rowLimit, err := limitOrDefault(limit, defaultMostUsedPrompts)
	if err != nil {
		return nil, describe("trending prompts", err)
	}
	var rows []storagedb.TrendingPromptsRow
	err = o.session.readStale(ctx, func(db storagedb.DBTX) (err error) {
		rows, err = storagedb.New(db).TrendingPrompts(ctx, storagedb.TrendingPromptsParams{Since: roundedUp(since), RowLimit: rowLimit})
		return err
	})
	if err != nil {
		return nil, describe("trending prompts", err)
	}
	trending := make([]TrendingPrompt, len(rows))
	for i, row := range rows {
		trending[i] = TrendingPrompt(row)
	}
	return trending, nil
}
