package store

import "github.com/dgx-music/storage/storagedb"

// The rows, and the types of their columns.
type (
	// Generation is a music-generation job: a row of the table generations. Its JSON has the keys of the Python to_dict,
	// and more. The fields:
	//
	//	go doc github.com/dgx-music/storage/storagedb.Generation
	Generation = storagedb.Generation

	// Prompt is a text that people asked for, and how often: a row of the table prompts. Its JSON has the keys of the
	// Python to_dict. The fields:
	//
	//	go doc github.com/dgx-music/storage/storagedb.Prompt
	Prompt = storagedb.Prompt

	// GenerationError is why an attempt failed: a row of the table generation_errors.
	// The fields:
	//
	//	go doc github.com/dgx-music/storage/storagedb.GenerationError
	GenerationError = storagedb.GenerationError

	// Status is the status of a generation, a text: one of the five constants below.
	// The methods:
	//
	//	go doc github.com/dgx-music/storage/storagedb.Status
	Status = storagedb.Status

	// Metadata is a JSON object as text. The zero value is the empty object. Make one by [NewMetadata], and read it by
	// [DecodeMetadata].
	// The methods:
	//
	//	go doc github.com/dgx-music/storage/storagedb.Metadata
	Metadata = storagedb.Metadata

	// MusicMetadata is the documented metadata as a struct, for [NewMetadata] and [DecodeMetadata].
	// The fields:
	//
	//	go doc github.com/dgx-music/storage/storagedb.MusicMetadata
	MusicMetadata = storagedb.MusicMetadata

	// ValidationError says which Field the store refused, by its name in SQL, and the Problem with it, before anything
	// reached the database. Match it with errors.As. The fields:
	//
	//	go doc github.com/dgx-music/storage/storagedb.ValidationError
	ValidationError = storagedb.ValidationError

	// UnreadableError says which row, by its Key, has a Column that the store cannot read. Match it with errors.As. The
	// fields:
	//
	//	go doc github.com/dgx-music/storage/storagedb.UnreadableError
	UnreadableError = storagedb.UnreadableError
)

// The statuses of a generation.
const (
	StatusPending    = storagedb.StatusPending    // it waits for a worker
	StatusProcessing = storagedb.StatusProcessing // a worker works on it
	StatusCompleted  = storagedb.StatusCompleted  // its audio file exists
	StatusFailed     = storagedb.StatusFailed     // it failed for good
	StatusCancelled  = storagedb.StatusCancelled  // a caller cancelled it
)

// NewMetadata returns v as metadata. v is a map, a struct or a [MusicMetadata]; nil is the empty object. It returns a
// *ValidationError if v is not a JSON object, or one that an engine could not hold.
func NewMetadata(v any) (Metadata, error) { return storagedb.NewMetadata(v) }

// DecodeMetadata decodes m into a new T, such as a [MusicMetadata], as encoding/json does.
func DecodeMetadata[T any](m Metadata) (T, error) { return storagedb.DecodeMetadata[T](m) }
