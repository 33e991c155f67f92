package store

import (
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// The longest texts that the store accepts, in bytes. The schema's CHECK constraints state the same limits.
const (
	// MaxPromptBytes keeps a prompt within a row of a PostgreSQL B-tree, which holds 2,704 bytes.
	MaxPromptBytes       = 2000
	MaxModelNameBytes    = 255
	MaxModelVersionBytes = 255
	MaxFilePathBytes     = 4096
	MaxErrorMessageBytes = 1 << 20
	MaxWorkerBytes       = 255
	MaxProgressStepBytes = 255
)

// The shortest and the longest lease of a claim.
const (
	MinLease = time.Second
	MaxLease = 24 * time.Hour
)

const (
	defaultListLimit       = 100
	defaultMostUsedPrompts = 10
	defaultSearchLimit     = 20
	defaultMaxAttempts     = 3
)

func checkAttempt(attempt int64) error {
	if attempt < 0 {
		return dberr.Invalid("attempt", "is negative; 0 means that the generation is not under a claim")
	}
	return nil
}

// limitOrDefault checks the limit of a list, and replaces 0 by the default.
func limitOrDefault(limit, byDefault int) (int64, error) {
	switch {
	case limit < 0:
		return 0, dberr.Invalid("limit", "is negative")
	case limit == 0:
		return int64(byDefault), nil
	}
	return int64(limit), nil
}

func checkOffset(offset int) error {
	if offset < 0 {
		return dberr.Invalid("offset", "is negative")
	}
	return nil
}

// normalized checks the parameters, and returns them as they are stored: with an ID, canonical metadata, and no empty
// model version.
func (p CreateGenerationParams) normalized() (CreateGenerationParams, error) {
	if err := dberr.CheckPrompt("prompt", p.Prompt); err != nil {
		return p, err
	}
	if err := dberr.CheckRequiredText("model_name", p.ModelName, MaxModelNameBytes); err != nil {
		return p, err
	}
	if p.ModelVersion != nil {
		if err := dberr.CheckText("model_version", *p.ModelVersion, MaxModelVersionBytes); err != nil {
			return p, err
		}
		// A copy, because the caller may change its own while another goroutine commits this.
		p.ModelVersion = engine.NullIfEmpty(*p.ModelVersion)
	}
	if !(p.DurationSeconds > 0) || math.IsInf(p.DurationSeconds, 0) { // written so that NaN is refused
		return p, dberr.Invalid("duration_seconds", "is not a positive finite number")
	}
	if p.SampleRate < 1 {
		return p, dberr.Invalid("sample_rate", "is below 1 Hz")
	}
	if p.Channels != 1 && p.Channels != 2 {
		return p, dberr.Invalid("channels", "is neither 1 (mono) nor 2 (stereo)")
	}
	if err := dberr.CheckRequiredText("file_path", p.FilePath, MaxFilePathBytes); err != nil {
		return p, err
	}
	switch {
	case p.MaxAttempts == 0:
		p.MaxAttempts = defaultMaxAttempts
	case p.MaxAttempts < 0 || p.MaxAttempts > math.MaxInt32: // each release adds one, so there must be room
		return p, dberr.Invalid("max_attempts",
			fmt.Sprintf("is not between 1 and %d; 0 means %d", math.MaxInt32, defaultMaxAttempts))
	}
	if err := dberr.CheckYear("scheduled_at", p.ScheduledAt); err != nil {
		return p, err
	}
	p.ScheduledAt = p.ScheduledAt.UTC().Truncate(storagedb.TimePrecision)
	var err error
	if p.Metadata, err = p.Metadata.Canonical(); err != nil {
		return p, err
	}
	if p.ID == uuid.Nil {
		if p.ID, err = uuid.NewV7(); err != nil {
			return p, fmt.Errorf("draw an ID: %w", err)
		}
	}
	return p, nil
}

func (p CompleteGenerationParams) normalized() (CompleteGenerationParams, error) {
	if !(p.GenerationTimeSeconds >= 0) || math.IsInf(p.GenerationTimeSeconds, 0) {
		return p, dberr.Invalid("generation_time_seconds", "is not a finite number of seconds, 0 or more")
	}
	if p.FileSizeBytes < 0 {
		return p, dberr.Invalid("file_size_bytes", "is negative")
	}
	if err := checkAttempt(p.Attempt); err != nil {
		return p, err
	}
	var err error
	p.Metadata, err = p.Metadata.Canonical()
	return p, err
}

func (p FailGenerationParams) validate() error {
	if err := dberr.CheckErrorMessage(p.ErrorMessage); err != nil {
		return err
	}
	if p.RetryAfter < 0 {
		return dberr.Invalid("retry_after", "is negative")
	}
	return checkAttempt(p.Attempt)
}

func (p ClaimParams) validate() error {
	if err := dberr.CheckRequiredText("worker", p.Worker, MaxWorkerBytes); err != nil {
		return err
	}
	if err := checkPositiveLimit(p.Limit); err != nil {
		return err
	}
	if err := checkLease(p.Lease); err != nil {
		return err
	}
	return checkModelNames(p.ModelNames)
}

func (p Progress) validate() error {
	if !(p.Fraction >= 0 && p.Fraction <= 1) { // written so that NaN is refused
		return dberr.Invalid("progress_fraction", "is not between 0 and 1")
	}
	return dberr.CheckText("progress_step", p.Step, MaxProgressStepBytes)
}

func checkPositiveLimit(limit int) error {
	if limit < 1 {
		return dberr.Invalid("limit", "is below 1")
	}
	return nil
}

func checkLease(lease time.Duration) error {
	if lease < MinLease || lease > MaxLease {
		return dberr.Invalid("lease", "is not between a second and a day")
	}
	return nil
}

func checkModelNames(names []string) error {
	for _, name := range names {
		if err := dberr.CheckRequiredText("model_name", name, MaxModelNameBytes); err != nil {
			return err
		}
	}
	return nil
}

func checkBatchID(id uuid.UUID) error {
	if id == uuid.Nil {
		return dberr.Invalid("batch_id", "is zero")
	}
	return nil
}
