// Package maintain looks after a database: it checks, repairs and prunes it, and walks the audio files beside it.
package maintain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// Report is what was found, or mended.
type Report struct {
	Findings []engine.Finding // at most 1,000 of each kind, by kind and ID
	Counts   map[string]int64 // all findings, by kind
}

const (
	// maxFindings is how many findings of a kind a report holds.
	maxFindings = 1000
	// stuckAfter is how long ago a lease must have run out to be a finding. Work rescues every few seconds.
	stuckAfter = time.Minute
)

// checker checks one database.
type checker struct {
	engine engine.Engine
	now    func() time.Time
	files  *checkedFiles // nil: files are not checked
}

// check calls found for each finding.
type check func(ctx context.Context, found func(engine.Finding)) error

// Check looks for what is not as it should be, and changes nothing. On an error the report has what was found until
// then.
func Check(ctx context.Context, e engine.Engine, now func() time.Time, filesRoot string) (Report, error) {
	found := newFindings(maxFindings)
	files, err := openFiles(filesRoot, e.OwnFiles())
	if err != nil {
		return found.report(), err
	}
	defer files.close()
	c := checker{engine: e, now: now, files: files}
	for _, check := range []struct {
		of  string
		run check
	}{
		{"database", func(ctx context.Context, found func(engine.Finding)) error { return e.CheckStorage(ctx, true, found) }},
		{"prompts", unreadable(c, engine.Prompts)},
		{"generations", unreadable(c, engine.Generations)},
		{"generation_errors", unreadable(c, engine.GenerationErrors)},
		{"generation_queue", unreadable(c, engine.GenerationQueue)},
		{"generation_counters", c.counters},
		{"foreign keys", c.foreignKeys},
		{"prompts", c.usedCounts},
		{"leases", c.leases},
		{"prompts_search", e.CheckSearchIndex},
		{"generation_metadata", c.missingMetadata},
		{"generation_metadata", c.surplusMetadata},
		{"generations", c.generations},
	} {
		err := check.run(ctx, found.add)
		if c.cannotRead(err) {
			found.add(engine.Finding{
				Kind: engine.FindingIntegrity, ID: check.of, Detail: "cannot be read to the end: " + dberr.Code(err),
			})
			continue
		}
		if err != nil {
			return found.report(), fmt.Errorf("%s: %w", check.of, err)
		}
	}
	return found.report(), nil
}

// cannotRead reports whether err says that stored data cannot be read.
func (c checker) cannotRead(err error) bool {
	_, ok := errors.AsType[*storagedb.UnreadableError](err)
	return ok || c.engine.IsCorruption(err)
}

// findings keeps some findings of each kind, and counts all.
type findings struct {
	most   int
	kept   map[string][]engine.Finding
	counts map[string]int64
}

func newFindings(most int) *findings {
	return &findings{most: most, kept: make(map[string][]engine.Finding), counts: make(map[string]int64)}
}

func (f *findings) add(found engine.Finding) {
	f.counts[found.Kind]++
	if len(f.kept[found.Kind]) < f.most {
		f.kept[found.Kind] = append(f.kept[found.Kind], found)
	}
}

func (f *findings) report() Report {
	report := Report{Findings: []engine.Finding{}, Counts: f.counts}
	for _, kept := range f.kept {
		report.Findings = append(report.Findings, kept...)
	}
	slices.SortFunc(report.Findings, func(a, b engine.Finding) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.ID, b.ID), strings.Compare(a.Detail, b.Detail))
	})
	return report
}

// unreadable finds the rows of a table with values that the store cannot read, or would have refused.
func unreadable[Row any](c checker, table engine.Table[Row]) check {
	return func(ctx context.Context, found func(engine.Finding)) error {
		wrong := func(key, column, problem string) {
			found(engine.Finding{
				Kind: engine.FindingUnreadable, ID: key, Detail: fmt.Sprintf("%s of %s: %s", column, table.Name, problem),
			})
		}
		for batches := table.Batches(c.engine, engine.PageRows, ""); ; {
			rows, err := batches.Next(ctx)
			if e, ok := errors.AsType[*storagedb.UnreadableError](err); ok {
				wrong(e.Key, e.Column, e.Err.Error())
				continue
			}
			if err != nil || len(rows) == 0 {
				return err
			}
			for i := range rows {
				if invalid, ok := errors.AsType[*storagedb.ValidationError](table.Fit(&rows[i])); ok {
					wrong(table.Key(&rows[i]), invalid.Field, invalid.Problem)
				}
			}
		}
	}
}

func (c checker) counters(ctx context.Context, found func(engine.Finding)) error {
	return c.engine.Read(ctx, func(q engine.Queries) error {
		wrong, err := engine.WrongCounts(ctx, q)
		for _, d := range wrong {
			found(engine.Finding{
				Kind: engine.FindingCounter, ID: d.Name, Repairable: true,
				Detail: fmt.Sprintf("%d are counted, %d are there", d.Kept, d.There),
			})
		}
		return err
	})
}

func (c checker) foreignKeys(ctx context.Context, found func(engine.Finding)) error {
	return c.engine.Read(ctx, func(q engine.Queries) error {
		generations, err := q.GenerationsWithoutPrompt(ctx)
		if err != nil {
			return err
		}
		for _, row := range generations {
			found(engine.Finding{
				Kind: engine.FindingForeignKey, ID: row.ID.String(),
				Detail: fmt.Sprintf("the generation's prompt %d does not exist", row.PromptID),
			})
		}
		ofGenerations, err := q.ErrorsWithoutGeneration(ctx)
		for _, row := range ofGenerations {
			found(engine.Finding{
				Kind: engine.FindingForeignKey, ID: row.GenerationID.String(),
				Detail: fmt.Sprintf("%d errors are kept of a generation that does not exist", row.Errors),
			})
		}
		return err
	})
}

func (c checker) usedCounts(ctx context.Context, found func(engine.Finding)) error {
	for page, err := range promptPages(ctx, c.engine) {
		if err != nil {
			return err
		}
		for _, row := range page {
			if row.UsedCount < row.Generations {
				found(engine.Finding{
					Kind: engine.FindingUsedCount, ID: strconv.FormatInt(row.ID, 10), Repairable: true,
					Detail: fmt.Sprintf("%d uses are counted, %d generations use it", row.UsedCount, row.Generations),
				})
			}
		}
	}
	return nil
}

func (c checker) leases(ctx context.Context, found func(engine.Finding)) error {
	before := c.now().Add(-stuckAfter)
	return c.engine.Read(ctx, func(q engine.Queries) error {
		expired, err := q.ExpiredLeases(ctx, &before)
		for _, row := range expired {
			found(engine.Finding{
				Kind: engine.FindingStuckLease, ID: row.ID.String(), Repairable: true,
				Detail: fmt.Sprintf("the lease of attempt %d ran out at %s",
					row.Attempt, row.LeaseExpiresAt.UTC().Format(time.RFC3339)),
			})
		}
		return err
	})
}

func (c checker) missingMetadata(ctx context.Context, found func(engine.Finding)) error {
	read := func(q engine.Queries, from uuid.UUID) ([]engine.CheckedMetadata, error) {
		return q.MetadataToCheck(ctx, from)
	}
	next := func(last engine.CheckedMetadata) (uuid.UUID, bool) { return engine.Following(last.ID) }
	for page, err := range engine.Pages(ctx, c.engine, uuid.Nil, engine.PageRows, read, next) {
		if err != nil {
			return err
		}
		for _, row := range page {
			if row.Missing {
				found(engine.Finding{
					Kind: engine.FindingIntegrity, ID: row.ID.String(), Repairable: true,
					Detail: "the index over metadata misses entries of the generation",
				})
			}
		}
	}
	return nil
}

func (c checker) surplusMetadata(ctx context.Context, found func(engine.Finding)) error {
	return c.engine.Read(ctx, func(q engine.Queries) error {
		surplus, err := q.SurplusMetadata(ctx)
		for _, row := range surplus {
			found(engine.Finding{
				Kind: engine.FindingIntegrity, ID: row.GenerationID.String(), Repairable: true,
				Detail: fmt.Sprintf("the index over metadata has %d entries that the generation does not have", row.Entries),
			})
		}
		return err
	})
}

// generations walks all generations and their files, and then the directory of the files.
func (c checker) generations(ctx context.Context, found func(engine.Finding)) error {
	read := func(q engine.Queries, from uuid.UUID) ([]storagedb.GenerationsToCheckRow, error) {
		return q.GenerationsToCheck(ctx, storagedb.GenerationsToCheckParams{FromID: from, RowLimit: engine.PageRows})
	}
	next := func(last storagedb.GenerationsToCheckRow) (uuid.UUID, bool) { return engine.Following(last.ID) }
	for page, err := range engine.Pages(ctx, c.engine, uuid.Nil, engine.PageRows, read, next) {
		if err != nil {
			return err
		}
		for _, row := range page {
			if row.OtherPrompt {
				found(engine.Finding{
					Kind: engine.FindingIntegrity, ID: row.ID.String(),
					Detail: fmt.Sprintf("the generation's prompt is not the text of prompt %d", row.PromptID),
				})
			}
			if err := c.file(ctx, row, found); err != nil {
				return err
			}
		}
	}
	return c.orphans(ctx, found)
}

// promptPages walks all prompts, with the number of generations that use each.
func promptPages(ctx context.Context, s engine.Session) func(yield func([]storagedb.PromptUsesRow, error) bool) {
	read := func(q engine.Queries, after int64) ([]storagedb.PromptUsesRow, error) {
		return q.PromptUses(ctx, storagedb.PromptUsesParams{AfterID: after, RowLimit: engine.PageRows})
	}
	next := func(last storagedb.PromptUsesRow) (int64, bool) { return last.ID, true }
	return engine.Pages(ctx, s, int64(math.MinInt64), engine.PageRows, read, next)
}

// filePathPages walks the file paths of all generations.
func filePathPages(ctx context.Context, s engine.Session) func(yield func([]storagedb.FilePathsRow, error) bool) {
	return engine.Pages(
		ctx,
		s,
		uuid.Nil,
		engine.PageRows,
		func(q engine.Queries, from uuid.UUID) ([]storagedb.FilePathsRow, error) {
			return q.FilePaths(ctx, storagedb.FilePathsParams{FromID: from, RowLimit: engine.PageRows})
		},
		func(last storagedb.FilePathsRow) (uuid.UUID, bool) { return engine.Following(last.ID) },
	)
}
