package listing

import (
	"encoding/json"
	"maps"
	"math"
	"slices"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/storagedb"
)

// MetadataFilter is what a list asks of metadata.
type MetadataFilter struct {
	Equal  storagedb.Metadata   // the required top-level keys and their values
	Values []storagedb.Metadata // the same one by one, each an object of one key
	Ranges []Range              // the required numbers
}

// Range asks for a number under a top-level key. Its JSON is read by the engines' queries. JSON has no infinities, so
// an open end is left out.
type Range struct {
	Name string   `json:"name"`
	Low  *float64 `json:"low,omitempty"`
	High *float64 `json:"high,omitempty"`
}

func newMetadataFilter(equal map[string]any, ranges []Range) (f MetadataFilter, err error) {
	if f.Equal, err = storagedb.NewMetadata(equal); err != nil {
		return f, err
	}
	values, err := storagedb.DecodeMetadata[map[string]json.RawMessage](f.Equal)
	if err != nil {
		return f, err
	}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value, err := storagedb.NewMetadata(map[string]json.RawMessage{key: values[key]})
		if err != nil {
			return f, err
		}
		f.Values = append(f.Values, value)
	}
	for _, r := range ranges {
		if err := dberr.CheckText("metadata_ranges", r.Name, storagedb.MaxMetadataBytes); err != nil {
			return f, err
		}
		for _, end := range []*float64{r.Low, r.High} {
			if end != nil && (math.IsNaN(*end) || math.IsInf(*end, 0)) {
				return f, dberr.Invalid("metadata_ranges", "has an end that is not finite; nil leaves it open")
			}
		}
		f.add(r)
	}
	return f, nil
}

// add adds a range, or narrows the one of the same key.
func (f *MetadataFilter) add(r Range) {
	for i := range f.Ranges {
		if known := &f.Ranges[i]; known.Name == r.Name {
			if r.Low != nil && (known.Low == nil || *known.Low < *r.Low) {
				known.Low = r.Low
			}
			if r.High != nil && (known.High == nil || *known.High > *r.High) {
				known.High = r.High
			}
			return
		}
	}
	f.Ranges = append(f.Ranges, r)
}

// IsEmpty reports whether the filter asks for nothing.
func (f MetadataFilter) IsEmpty() bool { return len(f.Values) == 0 && len(f.Ranges) == 0 }

// RangesJSON returns the ranges as PostgreSQL's queries read them.
func (f MetadataFilter) RangesJSON() storagedb.Metadata {
	text, err := json.Marshal(f.Ranges) // of finite numbers and valid text: it cannot fail
	if err != nil || f.Ranges == nil {
		return storagedb.Metadata("[]")
	}
	return text
}

// Ends returns the range's ends as numbers.
func (r Range) Ends() (low, high float64) {
	low, high = math.Inf(-1), math.Inf(1)
	if r.Low != nil {
		low = *r.Low
	}
	if r.High != nil {
		high = *r.High
	}
	return low, high
}

// MatcherText returns the filter as [NewMatcher] reads it, or "" if it is empty.
func (f MetadataFilter) MatcherText() string {
	if f.IsEmpty() {
		return ""
	}
	return `{"equal":` + f.Equal.String() + `,"ranges":` + f.RangesJSON().String() + `}`
}
