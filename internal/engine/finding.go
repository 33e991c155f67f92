package engine

// The kinds of findings. Package store documents them.
const (
	FindingIntegrity   = "integrity"
	FindingUnreadable  = "unreadable"
	FindingForeignKey  = "foreign_key"
	FindingCounter     = "counter"
	FindingUsedCount   = "used_count"
	FindingStuckLease  = "stuck_lease"
	FindingFilePath    = "file_path"
	FindingMissingFile = "missing_file"
	FindingFileSize    = "file_size"
	FindingOrphanFile  = "orphan_file"
)

// Finding is something that is not as it should be. It never quotes a prompt.
type Finding struct {
	Kind       string
	ID         string
	Detail     string
	Repairable bool
}
