package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/storagedb"
)

// DayUsage is what happened on a day, in UTC.
type DayUsage struct {
	Day          string  `json:"day"`           // such as "2025-11-07"
	Created      int64   `json:"created"`       // generations created
	Completed    int64   `json:"completed"`     // generations completed, whenever they were created
	Failed       int64   `json:"failed"`        // generations that failed for good
	AudioSeconds float64 `json:"audio_seconds"` // the requested length of the completed ones

	// AverageGenerationTimeSeconds is that of the completed ones, or 0 if there are none.
	AverageGenerationTimeSeconds float64 `json:"average_generation_time_seconds"`
}

// ModelUsage is what a version of a model has done so far.
type ModelUsage struct {
	ModelName            string  `json:"model_name"`
	ModelVersion         *string `json:"model_version"`
	TotalGenerations     int64   `json:"total_generations"` // of any status
	CompletedGenerations int64   `json:"completed_generations"`
	FailedGenerations    int64   `json:"failed_generations"`
	// FailureRate is failed over completed plus failed, or 0 if there are none of either.
	FailureRate float64 `json:"failure_rate"`
	// AverageGenerationTimeSeconds is that of the completed generations, or 0 if there are none.
	AverageGenerationTimeSeconds float64 `json:"average_generation_time_seconds"`
	// P95GenerationTimeSeconds is the nearest-rank 95th percentile of the same.
	P95GenerationTimeSeconds float64 `json:"p95_generation_time_seconds"`
	// RealTimeFactor is generation time over audio length; below 1 is faster than real time.
	RealTimeFactor float64 `json:"real_time_factor"`
}

// TrendingPrompt is a prompt and how often it was used lately.
type TrendingPrompt struct {
	Prompt Prompt `json:"prompt"`
	Uses   int64  `json:"uses"` // generations created for it; TrackPrompt alone does not count
}

const (
	dayLayout    = time.DateOnly
	maxUsageDays = 3660 // ten years, in one answer
)

// DailyUsage returns what happened on each day from from and before to, including days without anything. Of the first
// and the last day it counts what is in the range. Days are UTC. The cost grows with what happened in the range.
//
// It returns a *ValidationError if from is not before to, for more than ten years, and for times outside the years 1 to
// 9999.
func (o *operations) DailyUsage(ctx context.Context, from, to time.Time) ([]DayUsage, error) {
	from, to, err := checkUsageRange(from, to)
	if err != nil {
		return nil, describe("daily usage", err)
	}
	var found []engine.DayUsage
	err = o.session.ReadStale(ctx, func(q engine.Queries) (err error) {
		found, err = q.DailyUsage(ctx, from, to)
		return err
	})
	if err != nil {
		return nil, describe("daily usage", err)
	}
	var days []DayUsage
	for day := from.Truncate(24 * time.Hour); day.Before(to); day = day.AddDate(0, 0, 1) {
		usage := DayUsage{Day: day.Format(dayLayout)}
		if len(found) > 0 && found[0].Day == usage.Day {
			usage, found = DayUsage(found[0]), found[1:]
		}
		days = append(days, usage)
	}
	return days, nil
}

func checkUsageRange(from, to time.Time) (time.Time, time.Time, error) {
	if err := dberr.CheckYear("from", from); err != nil {
		return from, to, err
	}
	if err := dberr.CheckYear("to", to); err != nil {
		return from, to, err
	}
	if !from.Before(to) {
		return from, to, dberr.Invalid("from", "is not before to")
	}
	if to.Sub(from) > maxUsageDays*24*time.Hour {
		return from, to, dberr.Invalid("from", "is more than ten years before to")
	}
	return listing.RoundedUp(from), listing.RoundedUp(to), nil
}

// versionRank orders a model without a version before those with one.
func versionRank(m ModelUsage) int {
	if m.ModelVersion == nil {
		return 0
	}
	return 1
}

// ModelUsage returns what each version of each model has done, in the order of their names. It reads all generations,
// so do not call it for a page that many users have open.
func (o *operations) ModelUsage(ctx context.Context) ([]ModelUsage, error) {
	var rows []storagedb.ModelUsageRow
	err := o.session.ReadStale(ctx, func(q engine.Queries) (err error) {
		rows, err = q.ModelUsage(ctx)
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
	// The engines' own orders differ: in where NULL comes, and by the locale of names.
	slices.SortFunc(models, func(a, b ModelUsage) int {
		if order := cmp.Compare(a.ModelName, b.ModelName); order != 0 || a.ModelVersion == nil || b.ModelVersion == nil {
			return cmp.Or(order, cmp.Compare(versionRank(a), versionRank(b)))
		}
		return cmp.Compare(*a.ModelVersion, *b.ModelVersion)
	})
	return models, nil
}

// TrendingPrompts returns the prompts for which the most generations were created since then, the most first, and of
// equal ones the latest used first. If limit is 0, it is 10. A negative limit, and a time outside the years 1 to 9999,
// is a *ValidationError. The cost grows with what was created since then.
func (o *operations) TrendingPrompts(ctx context.Context, since time.Time, limit int) ([]TrendingPrompt, error) {
	if err := dberr.CheckYear("since", since); err != nil {
		return nil, describe("trending prompts", err)
	}
	rowLimit, err := limitOrDefault(limit, defaultMostUsedPrompts)
	if err != nil {
		return nil, describe("trending prompts", err)
	}
	var rows []storagedb.TrendingPromptsRow
	err = o.session.ReadStale(ctx, func(q engine.Queries) (err error) {
		rows, err = q.TrendingPrompts(ctx, storagedb.TrendingPromptsParams{
			Since: listing.RoundedUp(since), RowLimit: rowLimit,
		})
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
