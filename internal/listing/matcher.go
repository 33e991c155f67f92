package listing

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/dgx-music/storage/storagedb"
)

// Matcher matches metadata as PostgreSQL's queries do. SQLite's own functions for JSON round large numbers, and cannot
// compare objects.
type Matcher struct {
	Text   string // what it was made from
	equal  map[string]any
	ranges []Range
}

// NewMatcher returns the matcher of a filter's MatcherText.
func NewMatcher(text string) (*Matcher, error) {
	var given struct {
		Equal  json.RawMessage
		Ranges []Range
	}
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return nil, fmt.Errorf("read the filter on metadata: %w", err)
	}
	equal, err := decodeJSON(given.Equal)
	if err != nil {
		return nil, fmt.Errorf("read the filter on metadata: %w", err)
	}
	object, _ := equal.(map[string]any)
	return &Matcher{Text: text, equal: object, ranges: given.Ranges}, nil
}

// Matches reports whether the metadata has all that the filter asks for. A text that is not a JSON object does not
// match.
func (m *Matcher) Matches(metadata string) bool {
	var object map[string]json.RawMessage
	if json.Unmarshal([]byte(metadata), &object) != nil {
		return false
	}
	for key, want := range m.equal {
		raw, there := object[key]
		if !there {
			return false
		}
		got, err := decodeJSON(raw)
		if err != nil || !equalJSON(got, want) {
			return false
		}
	}
	for _, r := range m.ranges {
		raw := object[r.Name]
		if len(raw) == 0 || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
			return false
		}
		number, _ := strconv.ParseFloat(string(raw), 64) // out of range it is an infinity, as it should be
		if low, high := r.Ends(); number < low || number > high {
			return false
		}
	}
	return true
}

// decodeJSON keeps all digits of numbers.
func decodeJSON(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// equalJSON compares values of decodeJSON as PostgreSQL compares JSONB: numbers by value, objects in any order.
func equalJSON(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equalJSON)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equalJSON)
	case json.Number:
		b, ok := b.(json.Number)
		return ok && equalNumbers(string(a), string(b))
	}
	return a == b
}

func equalNumbers(a, b string) bool {
	if a == b {
		return true
	}
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	if x != y { // numbers that are too large or too small for a float64 are equal here
		return false
	}
	exact := errA == nil && errB == nil && !strings.ContainsAny(a+b, ".eE") && len(a) < 16 && len(b) < 16
	if exact || tooLongWrittenOut(a) || tooLongWrittenOut(b) {
		return exact
	}
	exactA, okA := new(big.Rat).SetString(a)
	exactB, okB := new(big.Rat).SetString(b)
	return okA && okB && exactA.Cmp(exactB) == 0
}

// tooLongWrittenOut reports whether a number has an exponent that the store does not accept. The Python service may
// have stored one, such as 1e999999999, which would fill the memory.
func tooLongWrittenOut(number string) bool {
	_, exponent, found := strings.Cut(strings.ToLower(number), "e")
	size, err := strconv.Atoi(exponent)
	return found && (err != nil || size > storagedb.MaxMetadataExponent || size < -storagedb.MaxMetadataExponent)
}
