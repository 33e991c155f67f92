package store

import (
	"context"

	"github.com/dgx-music/storage/internal/maintain"
)

// CheckParams of [Store.Check] and [Store.Repair].
type CheckParams struct {
	// FilesRoot is the directory that file paths are relative to. If empty, files are not checked.
	FilesRoot string
}

// FindingKind is what a finding is about.
type FindingKind string

// The kinds of findings, and the Finding.ID of each.
const (
	// FindingIntegrity is a broken file or index ("database", or the name of what could not be read); a prompt that the
	// full-text index has wrong (its ID, or "prompts_search" for the whole index); or a generation whose metadata differs
	// from its index, or whose prompt differs from its prompt's row (its ID).
	FindingIntegrity FindingKind = "integrity"
	// FindingUnreadable is a row with a value that no store writes, such as 30 February: the Key of an [UnreadableError].
	FindingUnreadable FindingKind = "unreadable"
	// FindingForeignKey is a generation without its prompt, or errors without their generation (the generation's ID); or
	// words without their prompt (the prompt's ID).
	FindingForeignKey FindingKind = "foreign_key"
	// FindingCounter is a wrong counter: a status, or "prompts".
	FindingCounter FindingKind = "counter"
	// FindingUsedCount is a prompt that more generations use than its used_count says: its ID.
	FindingUsedCount FindingKind = "used_count"
	// FindingStuckLease is a generation whose lease ran out over a minute ago, and that no worker has rescued: its ID.
	FindingStuckLease FindingKind = "stuck_lease"
	// FindingFilePath is a generation whose file path leads out of the root, and was not followed: its ID; or a directory
	// that this user may not read, in which orphan files were not looked for: its path below the root.
	FindingFilePath FindingKind = "file_path"
	// FindingMissingFile is a completed generation whose audio file does not exist: its ID.
	FindingMissingFile FindingKind = "missing_file"
	// FindingFileSize is a completed generation whose file_size_bytes differs from its file: its ID.
	FindingFileSize FindingKind = "file_size"
	// FindingOrphanFile is a file that no generation names: its path below the root, with slashes.
	FindingOrphanFile FindingKind = "orphan_file"
)

// Finding is something that is not as it should be. It never quotes a prompt.
type Finding struct {
	Kind       FindingKind `json:"kind"`
	ID         string      `json:"id"`         // the object; see the kinds
	Detail     string      `json:"detail"`     // for people
	Repairable bool        `json:"repairable"` // whether Repair mends it
}

// CheckReport is what Check found, or what Repair mended.
type CheckReport struct {
	Findings []Finding             `json:"findings"` // at most 1,000 of each kind, by kind and ID
	Counts   map[FindingKind]int64 `json:"counts"`   // all findings, by kind
}

// Check looks for what is not as it should be, and changes nothing. Findings are in the report, and are no error.
//
// It reads all rows, in pages of 1,000, or in one statement if numbers must be of one moment; so concurrent writes are
// not findings. It can run beside workers: it takes no lock. On SQLite the log cannot be brought back past its longest
// statements, which are SQLite's own check of the file and the check of the index over metadata. On SQLite it also
// copies the prompts and their full-text index to temporary files, to compare them.
//
// With a FilesRoot it checks the file of each generation, and each regular file below the root. It looks at nothing
// outside. A path that leads out, by ".." or as an absolute path elsewhere, is a finding and not followed, nor are
// symbolic links that lead out. Files that were written after the check began are no orphans, nor are files of
// unfinished generations, nor the database's own. In memory it holds 8 bytes for each generation, and the paths of
// files that no generation names.
//
// A generation that was set to processing by hand is under no lease, so Check cannot tell whether it is stuck.
//
// It returns a *ValidationError if FilesRoot is not a directory. On an error the report has what was found until then.
func (s *Store) Check(ctx context.Context, params CheckParams) (CheckReport, error) {
	s.clock.tick(ctx)
	report, err := maintain.Check(ctx, s.engine, s.clock.Now, params.FilesRoot)
	return newCheckReport(report), describe("check", err)
}

// Repair mends what is safe to mend, and reports what it has mended: what it found before, and not again afterwards. It
// deletes no file and no generation. Other findings of Check are for people.
//
//   - It corrects counters without losing concurrent changes. On SQLite it holds the writer while it counts; on
//     PostgreSQL nobody waits.
//   - It raises a used_count to the number of generations that use the prompt, and never lowers one. Creations with
//     that prompt wait.
//   - It rescues expired leases, as RescueGenerations does.
//   - It mends the index over metadata entry by entry.
//   - On PostgreSQL it mends the full-text index prompt by prompt. On SQLite it rebuilds that index, in some ten
//     seconds for a million prompts. Writers wait meanwhile, and return ErrBusy if their BusyTimeout is shorter.
//
// If SQLite's own check finds the file damaged, Repair returns ErrCorrupt and does not write to it, which could do more
// harm. Check says what is damaged.
//
// It returns a *ValidationError as Check does. On an error the report has what was mended until then.
func (s *Store) Repair(ctx context.Context, params CheckParams) (CheckReport, error) {
	s.clock.tick(ctx)
	report, err := maintain.Repair(ctx, s.engine, s.clock.Now, params.FilesRoot)
	return newCheckReport(report), describe("repair", err)
}

func newCheckReport(report maintain.Report) CheckReport {
	public := CheckReport{Findings: []Finding{}, Counts: make(map[FindingKind]int64)}
	for _, f := range report.Findings {
		public.Findings = append(public.Findings, Finding{
			Kind: FindingKind(f.Kind), ID: f.ID, Detail: f.Detail, Repairable: f.Repairable,
		})
	}
	for kind, count := range report.Counts {
		public.Counts[FindingKind(kind)] = count
	}
	return public
}
