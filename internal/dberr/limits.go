package dberr

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/dgx-music/storage/storagedb"
)

// The longest texts that the store accepts, in bytes. The schema's CHECK constraints state the same limits.
const (
	MaxPromptBytes       = 2000 // a row of a PostgreSQL B-tree holds 2,704
	MaxModelNameBytes    = 255
	MaxModelVersionBytes = 255
	MaxFilePathBytes     = 4096
	MaxErrorMessageBytes = 1 << 20
)

// CheckText refuses a text that is too long, or that PostgreSQL's text type does not hold. SQLite refuses the same, so
// that every row fits both engines.
func CheckText(field, value string, maxBytes int) error {
	switch {
	case !utf8.ValidString(value):
		return Invalid(field, "is not valid UTF-8")
	case strings.ContainsRune(value, 0):
		return Invalid(field, "has a NUL byte")
	case len(value) > maxBytes:
		return Invalid(field, fmt.Sprintf("is %d bytes long; at most %d are accepted", len(value), maxBytes))
	}
	return nil
}

// CheckRequiredText is CheckText for a text that must not be empty.
func CheckRequiredText(field, value string, maxBytes int) error {
	if value == "" {
		return Invalid(field, "is empty")
	}
	return CheckText(field, value, maxBytes)
}

// CheckPrompt refuses a text that no prompt may have.
func CheckPrompt(field, text string) error {
	return CheckRequiredText(field, text, MaxPromptBytes)
}

// CheckStatus refuses an unknown status.
func CheckStatus(status storagedb.Status) error {
	if !status.Valid() {
		return Invalid("status", "is none of pending, processing, completed, failed and cancelled")
	}
	return nil
}

// CheckErrorMessage refuses a message that is too long, or that is not text.
func CheckErrorMessage(message string) error {
	return CheckText("error_message", message, MaxErrorMessageBytes)
}

// CheckYear refuses a time whose year does not have four digits: SQLite's texts of times would not sort.
func CheckYear(field string, t time.Time) error {
	if year := t.UTC().Year(); year < 1 || year > 9999 {
		return Invalid(field, "is not between the years 1 and 9999")
	}
	return nil
}
