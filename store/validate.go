package store

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// What the store accepts, in bytes. The schema's CHECK constraints say the same again.
const (
	// MaxPromptBytes keeps a prompt within a PostgreSQL B-tree row, which holds 2,704.
	MaxPromptBytes       = 2000
	MaxModelNameBytes    = 255
	MaxModelVersionBytes = 255
	MaxFilePathBytes     = 4096
	MaxErrorMessageBytes = 1 << 20
	MaxWorkerBytes       = 255
	MaxProgressStepBytes = 255
)

// How long a claim may hold without being extended.
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

func invalid(field, problem string) error {
	return &ValidationError{Field: field, Problem: problem}
}

// checkText refuses what PostgreSQL's text type does not hold, on both engines, and what is too long.
func checkText(field, value string, maxBytes int) error {
	switch {
	case !utf8.ValidString(value):
		return invalid(field, "is not valid UTF-8")
	case strings.ContainsRune(value, 0):
		return invalid(field, "has a NUL byte")
	case len(value) > maxBytes:
		return invalid(field, fmt.Sprintf("is %d bytes long; at most %d are accepted", len(value), maxBytes))
	}
	return nil
}

func checkRequiredText(field, value string, maxBytes int) error {
	if value == "" {
		return invalid(field, "is empty")
	}
	return checkText(field, value, maxBytes)
}

func checkPrompt(field, text string) error {
	return checkRequiredText(field, text, MaxPromptBytes)
}

func checkStatus(status Status) error {
	if !status.Valid() {
		return invalid("status", "is none of pending, processing, completed, failed and cancelled")
	}
	return nil
}

func checkErrorMessage(message string) error {
	return checkText("error_message", message, MaxErrorMessageBytes)
}

func checkAttempt(attempt int64) error {
	if attempt < 0 {
		return invalid("attempt", "is negative; 0 means that the generation is not under a claim")
	}
	return nil
}

// limitOrDefault checks a list's limit and puts the default for 0.
func limitOrDefault(limit, byDefault int) (int64, error) {
	switch {
	case limit < 0:
		return 0, invalid("limit", "is negative")
	case limit == 0:
		return int64(byDefault), nil
	}
	return int64(limit), nil
}

func checkOffset(offset int) error {
	if offset < 0 {
		return invalid("offset", "is negative")
	}
	return nil
}

// checked returns the parameters as they are stored: with an ID, canonical metadata, and no empty model version.
func (p CreateGenerationParams) checked() (CreateGenerationParams, error) {
	if err := checkPrompt("prompt", p.Prompt); err != nil {
		return p, err
	}
	if err := checkRequiredText("model_name", p.ModelName, MaxModelNameBytes); err != nil {
		return p, err
	}
	if p.ModelVersion != nil {
		if err := checkText("model_version", *p.ModelVersion, MaxModelVersionBytes); err != nil {
			return p, err
		}
		p.ModelVersion = nullIfEmpty(*p.ModelVersion) // a copy: the caller's may change while others commit this
	}
	if !(p.DurationSeconds > 0) || math.IsInf(p.DurationSeconds, 0) { // so written, NaN is refused too
		return p, invalid("duration_seconds", "is not a positive finite number")
	}
	if p.SampleRate < 1 {
		return p, invalid("sample_rate", "is below 1 Hz")
	}
	if p.Channels != 1 && p.Channels != 2 {
		return p, invalid("channels", "is neither 1 (mono) nor 2 (stereo)")
	}
	if err := checkRequiredText("file_path", p.FilePath, MaxFilePathBytes); err != nil {
		return p, err
	}
	switch {
	case p.MaxAttempts == 0:
		p.MaxAttempts = defaultMaxAttempts
	case p.MaxAttempts < 0 || p.MaxAttempts > math.MaxInt32: // a release adds one, so there must be room
		return p, invalid("max_attempts", fmt.Sprintf("is not between 1 and %d; 0 means %d", math.MaxInt32, defaultMaxAttempts))
	}
	if err := checkYear("scheduled_at", p.ScheduledAt); err != nil {
		return p, err
	}
	p.ScheduledAt = p.ScheduledAt.UTC().Truncate(timePrecision)
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

func (p CompleteGenerationParams) checked() (CompleteGenerationParams, error) {
	if !(p.GenerationTimeSeconds >= 0) || math.IsInf(p.GenerationTimeSeconds, 0) {
		return p, invalid("generation_time_seconds", "is not a finite number of seconds, 0 or more")
	}
	if p.FileSizeBytes < 0 {
		return p, invalid("file_size_bytes", "is negative")
	}
	if err := checkAttempt(p.Attempt); err != nil {
		return p, err
	}
	var err error
	p.Metadata, err = p.Metadata.Canonical()
	return p, err
}

func (p FailGenerationParams) checked() error {
	if err := checkErrorMessage(p.ErrorMessage); err != nil {
		return err
	}
	if p.RetryAfter < 0 {
		return invalid("retry_after", "is negative")
	}
	return checkAttempt(p.Attempt)
}

func (p ClaimParams) checked() error {
	if err := checkRequiredText("worker", p.Worker, MaxWorkerBytes); err != nil {
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

func (p Progress) checked() error {
	if !(p.Fraction >= 0 && p.Fraction <= 1) { // so written, NaN is refused too
		return invalid("progress_fraction", "is not between 0 and 1")
	}
	return checkText("progress_step", p.Step, MaxProgressStepBytes)
}

func checkPositiveLimit(limit int) error {
	if limit < 1 {
		return invalid("limit", "is below 1")
	}
	return nil
}

func checkLease(lease time.Duration) error {
	if lease < MinLease || lease > MaxLease {
		return invalid("lease", "is not between a second and a day")
	}
	return nil
}

func checkModelNames(names []string) error {
	for _, name := range names {
		if err := checkRequiredText("model_name", name, MaxModelNameBytes); err != nil {
			return err
		}
	}
	return nil
}

func checkBatchID(id uuid.UUID) error {
	if id == uuid.Nil {
		return invalid("batch_id", "is zero")
	}
	return nil
}

// checkYear refuses what SQLite's times, which have four digits for the year, cannot be compared with.
func checkYear(field string, t time.Time) error {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return invalid(field, "is not between the years 1 and 9999")
	}
	return nil
}
