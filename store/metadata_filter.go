package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/dgx-music/storage/storagedb"
)

// MetadataRange asks for a number in metadata.
type MetadataRange struct {
	Key string   // a top-level key
	Min *float64 // the number is this or greater; nil: however small
	Max *float64 // the number is this or less; nil: however great
}

// metadataFilter is what is asked of metadata, for the engines.
type metadataFilter struct {
	equal  Metadata    // the top-level keys that must be there, and their values
	values []Metadata  // the same one by one, each an object of one key
	ranges []jsonRange // the numbers that must be there
}

// jsonRange is a MetadataRange as the queries read it. JSON has no infinities: an end that is open is left out.
type jsonRange struct {
	Name string   `json:"name"`
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
}

func newMetadataFilter(equal map[string]any, ranges []MetadataRange) (f metadataFilter, err error) {
	if f.equal, err = NewMetadata(equal); err != nil {
		return f, err
	}
	values, err := DecodeMetadata[map[string]json.RawMessage](f.equal)
	if err != nil {
		return f, err
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value, err := NewMetadata(map[string]json.RawMessage{key: values[key]})
		if err != nil {
			return f, err
		}
		f.values = append(f.values, value)
	}
	for _, r := range ranges {
		if err := checkText("metadata_ranges", r.Key, storagedb.MaxMetadataBytes); err != nil {
			return f, err
		}
		for _, end := range []*float64{r.Min, r.Max} {
			if end != nil && (math.IsNaN(*end) || math.IsInf(*end, 0)) {
				return f, invalid("metadata_ranges", "has an end that is not finite; nil leaves it open")
			}
		}
		f.add(r)
	}
	return f, nil
}

// add narrows the range of the same key, where there is one.
func (f *metadataFilter) add(r MetadataRange) {
	for i := range f.ranges {
		if known := &f.ranges[i]; known.Name == r.Key {
			if r.Min != nil && (known.Low == nil || *known.Low < *r.Min) {
				known.Low = r.Min
			}
			if r.Max != nil && (known.High == nil || *known.High > *r.Max) {
				known.High = r.Max
			}
			return
		}
	}
	f.ranges = append(f.ranges, jsonRange{Name: r.Key, Low: r.Min, High: r.Max})
}

func (f metadataFilter) isEmpty() bool { return len(f.values) == 0 && len(f.ranges) == 0 }

// rangesJSON are the ranges as PostgreSQL's queries read them.
func (f metadataFilter) rangesJSON() Metadata {
	text, err := json.Marshal(f.ranges) // of finite numbers and valid text: it cannot fail
	if err != nil || f.ranges == nil {
		return Metadata("[]")
	}
	return text
}

// ends are the range's ends as numbers.
func (r jsonRange) ends() (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	if r.Low != nil {
		low = *r.Low
	}
	if r.High != nil {
		high = *r.High
	}
	return low, high
}

// forSQLite is the filter as metadata_matches reads it: see matchesFilter. An empty one lets all pass.
func (f metadataFilter) forSQLite() string {
	if f.isEmpty() {
		return ""
	}
	return `{"equal":` + f.equal.String() + `,"ranges":` + f.rangesJSON().String() + `}`
}

// metadataMatcher tells whether metadata matches, as PostgreSQL's queries do: SQLite's own functions for JSON round large
// numbers, and know no equality of objects.
type metadataMatcher struct {
	text   string // what it was made of
	equal  map[string]any
	ranges []jsonRange
}

func newMetadataMatcher(text string) (*metadataMatcher, error) {
	var given struct {
		Equal  json.RawMessage
		Ranges []jsonRange
	}
	if err := json.Unmarshal([]byte(text), &given); err != nil {
		return nil, fmt.Errorf("read the filter on metadata: %w", err)
	}
	equal, err := decodeJSON(given.Equal)
	if err != nil {
		return nil, fmt.Errorf("read the filter on metadata: %w", err)
	}
	object, _ := equal.(map[string]any)
	return &metadataMatcher{text: text, equal: object, ranges: given.Ranges}, nil
}

// matches tells whether the metadata has all that is asked for. What is no JSON object has nothing.
func (m *metadataMatcher) matches(metadata string) bool {
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
		number, _ := strconv.ParseFloat(string(raw), 64) // out of range it is an infinity, which is right
		if low, high := r.ends(); number < low || number > high {
			return false
		}
	}
	return true
}

// decodeJSON decodes with all digits of numbers.
func decodeJSON(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	err = decoder.Decode(&value)
	return value, err
}

// equalJSON compares what decodeJSON returns, as PostgreSQL compares JSONB: numbers by value, objects whatever the order.
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
	if x != y { // infinities, where they are too large, and zeros, where they are too small, are equal here
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

// tooLongWrittenOut tells of a number with an exponent that the store does not accept, as the Python service may have: 1e999999999
// would fill the memory.
func tooLongWrittenOut(number string) bool {
	_, exponent, found := strings.Cut(strings.ToLower(number), "e")
	size, err := strconv.Atoi(exponent)
	return found && (err != nil || size > storagedb.MaxMetadataExponent || size < -storagedb.MaxMetadataExponent)
}
