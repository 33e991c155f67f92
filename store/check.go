package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/storagedb/pgdb"
)

// CheckParams of [Store.Check] and [Store.Repair].
type CheckParams struct {
	FilesRoot string // folder that file paths are relative to; "": files are not looked at
}

// FindingKind is what a finding is about.
type FindingKind string

// The kinds of findings, and what Finding.ID is of each.
const (
	// FindingIntegrity is what a broken file or index says of itself ("database" or the name of what could not be read), a
	// prompt that the full-text index has wrong (its ID, or "prompts_search" for the index as a whole), or a generation whose
	// metadata is not in its index as it should be, or whose prompt is not the text of its prompt's row (its ID).
	FindingIntegrity FindingKind = "integrity"
	// FindingForeignKey is a generation without its prompt, errors without their generation (the generation's ID), or words
	// without their prompt (the prompt's ID).
	FindingForeignKey FindingKind = "foreign_key"
	// FindingCounter is a count that Stats has wrong: a status, or "prompts".
	FindingCounter FindingKind = "counter"
	// FindingUsedCount is a prompt that more generations use than were counted: its ID.
	FindingUsedCount FindingKind = "used_count"
	// FindingStuckLease is a generation whose lease ran out over a minute ago, and that nobody has rescued: its ID.
	FindingStuckLease FindingKind = "stuck_lease"
	// FindingFilePath is a generation whose file path leads out of the root, so that it was not looked at: its ID; or a folder that
	// this user may not read, so that files in it that belong to no generation were not looked for: its path below the root.
	FindingFilePath FindingKind = "file_path"
	// FindingMissingFile is a completed generation whose audio is not there: its ID.
	FindingMissingFile FindingKind = "missing_file"
	// FindingFileSize is a completed generation whose file_size_bytes is not that of its file: its ID.
	FindingFileSize FindingKind = "file_size"
	// FindingOrphanFile is a file that belongs to no generation: its path below the root, with slashes.
	FindingOrphanFile FindingKind = "orphan_file"
)

// Finding is something that is not as it should be. It never quotes a prompt.
type Finding struct {
	Kind       FindingKind `json:"kind"`
	ID         string      `json:"id"`         // what it is about; see the kinds
	Detail     string      `json:"detail"`     // for people
	Repairable bool        `json:"repairable"` // by Repair
}

// CheckReport is what was found.
type CheckReport struct {
	Findings []Finding             `json:"findings"` // at most 1,000 of each kind, by kind and ID
	Counts   map[FindingKind]int64 `json:"counts"`   // all, by kind; a kind of which there is none is missing
}

const (
	// maxFindings is how many of a kind a report holds.
	maxFindings = 1000
	// stuckAfter is how long a lease must have run out to be a finding. Work rescues every few seconds.
	stuckAfter = time.Minute
)

// Check looks for what is not as it should be, and changes nothing. What is found is in the report, and is no error.
//
// It reads all there is, in pages of 1,000 rows, or in one statement where numbers must be of one moment, so that what others
// write meanwhile is no finding. It holds up nobody: it takes no lock, and on SQLite it reads beside the writer, though the
// log cannot be brought back past its longest statement, which are SQLite's own check of the file and that of the index over metadata.
// There it also copies the prompts and their full-text index to temporary files, to have them compared. It can run while
// workers work.
//
// With a FilesRoot it looks at the file of each generation, and at each regular file below the root. A relative file_path is
// below the root, an absolute one is taken as it is; one that leads out by ".." is a finding, and not followed, and neither
// are symbolic links that lead out. Files that were written after the check began are no orphans, nor are those of
// generations that are not completed, nor the database's own. It holds 8 bytes, a hash of its path, for each generation in memory,
// and the paths of the orphans.
//
// A generation that was set to processing by hand is under no lease, so nobody can tell whether it is stuck.
//
// It returns a *ValidationError for a FilesRoot that is no folder. On an error the report has what was found until then.
func (s *Store) Check(ctx context.Context, params CheckParams) (CheckReport, error) {
	found := newFindings(maxFindings)
	files, err := openFiles(params.FilesRoot, s.engine.ownFiles())
	if err != nil {
		return found.report(), describe("check", err)
	}
	defer files.close()
	for _, check := range []struct {
		of  string
		run check
	}{
		{"database", s.engine.checkStorage},
		{"generation_counters", s.checkCounters},
		{"foreign keys", s.checkForeignKeys},
		{"prompts", s.checkUsedCounts},
		{"leases", s.checkLeases},
		{"prompts_search", s.engine.checkSearchIndex},
		{"generation_metadata", s.checkMissingMetadata},
		{"generation_metadata", s.checkSurplusMetadata},
		{"generations", func(ctx context.Context, found func(Finding)) error { return s.checkGenerations(ctx, files, found) }},
	} {
		err := check.run(ctx, found.add)
		if isCorruption(err) {
			found.add(Finding{Kind: FindingIntegrity, ID: check.of, Detail: "cannot be read to the end: " + errorCode(err)})
			continue
		}
		if err != nil {
			return found.report(), describe("check "+check.of, err)
		}
	}
	return found.report(), nil
}

// check calls found for each finding.
type check func(ctx context.Context, found func(Finding)) error

// findings keeps some of each kind, and counts all.
type findings struct {
	most   int
	kept   map[FindingKind][]Finding
	counts map[FindingKind]int64
}

func newFindings(most int) *findings {
	return &findings{most: most, kept: make(map[FindingKind][]Finding), counts: make(map[FindingKind]int64)}
}

func (f *findings) add(found Finding) {
	f.counts[found.Kind]++
	if len(f.kept[found.Kind]) < f.most {
		f.kept[found.Kind] = append(f.kept[found.Kind], found)
	}
}

func (f *findings) report() CheckReport {
	report := CheckReport{Findings: []Finding{}, Counts: f.counts}
	for _, kept := range f.kept {
		report.Findings = append(report.Findings, kept...)
	}
	slices.SortFunc(report.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(string(a.Kind), string(b.Kind)), strings.Compare(a.ID, b.ID), strings.Compare(a.Detail, b.Detail))
	})
	return report
}

// isCorruption tells of an error that says that what is stored cannot be read, which is what a check is there to find. The
// statements of a check are fixed, so that SQLITE_ERROR is about what they read: metadata that is no JSON, or a table that is gone. They write
// nothing but copies, so that SQLITE_CONSTRAINT is of a key that is there twice.
func isCorruption(err error) bool {
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff { // the primary code
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT:
			return true
		}
		return false
	}
	if _, ok := errors.AsType[*sqliteValueError](err); ok {
		return true
	}
	if postgres, ok := errors.AsType[*pgconn.PgError](err); ok {
		return postgres.Code == "XX001" || postgres.Code == "XX002" // data_corrupted, index_corrupted
	}
	return false
}

func (s *Store) checkCounters(ctx context.Context, found func(Finding)) error {
	err := s.CheckCounts(ctx)
	wrong, ok := errors.AsType[*CountsError](err)
	if !ok {
		return err
	}
	for _, d := range wrong.Differences {
		found(Finding{Kind: FindingCounter, ID: d.Name, Detail: fmt.Sprintf("%d are counted, %d are there", d.Kept, d.There), Repairable: true})
	}
	return nil
}

func (s *Store) checkForeignKeys(ctx context.Context, found func(Finding)) error {
	return s.session.read(ctx, func(db storagedb.DBTX) error {
		queries := storagedb.New(db)
		generations, err := queries.GenerationsWithoutPrompt(ctx)
		if err != nil {
			return err
		}
		for _, row := range generations {
			found(Finding{Kind: FindingForeignKey, ID: row.ID.String(), Detail: fmt.Sprintf("the generation's prompt %d does not exist", row.PromptID)})
		}
		ofGenerations, err := queries.ErrorsWithoutGeneration(ctx)
		for _, row := range ofGenerations {
			found(Finding{Kind: FindingForeignKey, ID: row.GenerationID.String(), Detail: fmt.Sprintf("%d errors are kept of a generation that does not exist", row.Errors)})
		}
		return err
	})
}

func (s *Store) checkUsedCounts(ctx context.Context, found func(Finding)) error {
	return s.eachPageOfPrompts(ctx, func(page []storagedb.PromptUsesRow) error {
		for _, row := range page {
			if row.UsedCount < row.Generations {
				found(Finding{
					Kind: FindingUsedCount, ID: strconv.FormatInt(row.ID, 10), Repairable: true,
					Detail: fmt.Sprintf("%d uses are counted, %d generations use it", row.UsedCount, row.Generations),
				})
			}
		}
		return nil
	})
}

func (s *Store) checkLeases(ctx context.Context, found func(Finding)) error {
	before := s.clock.Now().Add(-stuckAfter)
	var expired []storagedb.ExpiredLeasesRow
	err := s.session.read(ctx, func(db storagedb.DBTX) (err error) {
		expired, err = storagedb.New(db).ExpiredLeases(ctx, &before)
		return err
	})
	for _, row := range expired {
		found(Finding{
			Kind: FindingStuckLease, ID: row.ID.String(), Repairable: true,
			Detail: fmt.Sprintf("the lease of attempt %d ran out at %s", row.Attempt, row.LeaseExpiresAt.UTC().Format(time.RFC3339)),
		})
	}
	return err
}

func (s *Store) checkMissingMetadata(ctx context.Context, found func(Finding)) error {
	for from := uuid.Nil; ; {
		var page []pgdb.MetadataToCheckRow
		err := s.session.read(ctx, func(db storagedb.DBTX) (err error) {
			page, err = s.engine.metadataToCheck(ctx, db, from)
			return err
		})
		if err != nil || len(page) == 0 {
			return err
		}
		for _, row := range page {
			if row.Missing {
				found(Finding{Kind: FindingIntegrity, ID: row.ID.String(), Detail: "the index over metadata misses entries of the generation", Repairable: true})
			}
		}
		if from = following(page[len(page)-1].ID); from == uuid.Nil {
			return nil
		}
	}
}

func (s *Store) checkSurplusMetadata(ctx context.Context, found func(Finding)) error {
	var surplus []pgdb.SurplusMetadataRow
	err := s.session.read(ctx, func(db storagedb.DBTX) (err error) {
		surplus, err = s.engine.surplusMetadata(ctx, db)
		return err
	})
	for _, row := range surplus {
		found(Finding{
			Kind: FindingIntegrity, ID: row.GenerationID.String(), Repairable: true,
			Detail: fmt.Sprintf("the index over metadata has %d entries that the generation does not have", row.Entries),
		})
	}
	return err
}

// checkGenerations walks all generations, and with files the folder that they are in.
func (s *Store) checkGenerations(ctx context.Context, files *checkedFiles, found func(Finding)) error {
	for from := uuid.Nil; ; {
		var page []storagedb.GenerationsToCheckRow
		err := s.session.read(ctx, func(db storagedb.DBTX) (err error) {
			page, err = storagedb.New(db).GenerationsToCheck(ctx, storagedb.GenerationsToCheckParams{FromID: from, RowLimit: maintenancePage})
			return err
		})
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return s.checkOrphans(ctx, files, found)
		}
		for _, row := range page {
			if row.OtherPrompt {
				found(Finding{Kind: FindingIntegrity, ID: row.ID.String(), Detail: fmt.Sprintf("the generation's prompt is not the text of prompt %d", row.PromptID)})
			}
			if err := s.checkFile(ctx, files, row, found); err != nil {
				return err
			}
		}
		if from = following(page[len(page)-1].ID); from == uuid.Nil {
			return s.checkOrphans(ctx, files, found)
		}
	}
}
