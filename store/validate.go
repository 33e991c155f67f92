package store

import (
	"fmt"
	"math"
	"strings"
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
)

const (
	defaultListLimit       = 100
	defaultMostUsedPrompts = 10
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
		if *p.ModelVersion == "" {
			p.ModelVersion = nil
		}
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
