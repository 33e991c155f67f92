package storagedb

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Limits on metadata, the same on both engines.
const (
	// MaxMetadataBytes is how long metadata may be as given: 1 MiB.
	MaxMetadataBytes = 1 << 20
	// MaxStoredMetadataBytes is how long metadata may grow by merging: 16 MiB.
	MaxStoredMetadataBytes = 16 << 20
	// MaxMetadataDepth is how deep objects and arrays may nest.
	MaxMetadataDepth = 128
	// MaxMetadataExponent is the largest exponent of a number, positive or negative.
	MaxMetadataExponent = 1000

	// What PostgreSQL's numeric type holds, which JSONB numbers are: digits before and after the decimal point.
	// https://www.postgresql.org/docs/current/datatype-numeric.html
	maxIntegerDigits  = 131072
	maxFractionDigits = 16383
)

// Metadata is a JSON object, as text. The zero value is the empty object.
//
// What comes back from the database is equal to what was given as JSON, numbers to their last digit. It need not be the
// same text: of duplicate keys the last one is kept, and PostgreSQL's JSONB reorders keys and writes 1e5 as 100000.
//
// The store refuses, as a *ValidationError for "metadata", what is not a JSON object and what one of the engines could
// not hold: see the limits above, and NUL characters and lone surrogates in strings.
type Metadata json.RawMessage

// NewMetadata makes metadata of anything that encoding/json encodes as an object: a map, a struct, a [MusicMetadata].
// nil and a nil map make the empty object, as metadata=None did in Python. It returns a *ValidationError where v is
// something else, or where the store would refuse it.
func NewMetadata(v any) (Metadata, error) {
	isMusic := false
	switch given := v.(type) {
	case nil:
		return Metadata("{}"), nil
	case MusicMetadata:
		isMusic = given.validStrings() // Extra may hold the escape itself, as it came
	case Metadata:
		return given.Canonical()
	case json.RawMessage:
		return Metadata(given).Canonical()
	}
	text, err := marshal(v)
	if err != nil {
		return nil, invalidMetadata("cannot be encoded as JSON: " + err.Error())
	}
	if string(text) == "null" {
		return Metadata("{}"), nil
	}
	if replacesInvalidUTF8(text) && !isMusic {
		return nil, invalidMetadata("has a string that is not valid UTF-8")
	}
	return Metadata(text).Canonical()
}

// DecodeMetadata decodes m into a new T, as encoding/json decodes. Metadata{} decodes like {}.
func DecodeMetadata[T any](m Metadata) (T, error) {
	var v T
	err := m.Decode(&v)
	return v, err
}

// Decode decodes m into what v points to, as encoding/json decodes: into an any, numbers become float64. Decode into
// json.Number or json.RawMessage fields to keep all digits of a large one.
func (m Metadata) Decode(v any) error {
	if err := json.Unmarshal(m.text(), v); err != nil {
		return fmt.Errorf("decode metadata: %w", err)
	}
	return nil
}

// Merge returns m with patch's top-level keys put over it, as the Python dict.update does: a key of patch replaces that
// of m whole, nested objects and null included. Neither m nor patch changes. It returns a *ValidationError where one of
// them is not a JSON object or the result is over MaxStoredMetadataBytes.
func (m Metadata) Merge(patch Metadata) (Metadata, error) {
	var merged, over map[string]json.RawMessage
	if json.Unmarshal(m.text(), &merged) != nil || merged == nil {
		return nil, invalidMetadata("is not a JSON object")
	}
	if json.Unmarshal(patch.text(), &over) != nil || over == nil {
		return nil, invalidMetadata("to merge is not a JSON object")
	}
	for key, value := range over {
		merged[key] = value
	}
	text, err := marshal(merged)
	if err != nil {
		return nil, invalidMetadata("cannot be merged: " + err.Error())
	}
	if len(text) > MaxStoredMetadataBytes {
		return nil, invalidMetadata(fmt.Sprintf("is over %d bytes once merged", MaxStoredMetadataBytes))
	}
	return text, nil
}

// String returns the JSON text.
func (m Metadata) String() string { return string(m.text()) }

// MarshalJSON returns m itself, and {} for the zero value.
func (m Metadata) MarshalJSON() ([]byte, error) { return m.text(), nil }

// UnmarshalJSON takes over any JSON value; whether it is an object is checked where it is used.
func (m *Metadata) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil // by convention of encoding/json a no-op
	}
	*m = bytes.Clone(text)
	return nil
}

// Value makes m an argument of a statement, on database/sql as on pgx.
func (m Metadata) Value() (driver.Value, error) { return string(m.text()), nil }

// Scan takes a column's value.
func (m *Metadata) Scan(value any) error {
	switch value := value.(type) {
	case nil:
		*m = nil
	case string:
		*m = Metadata(value)
	case []byte:
		*m = bytes.Clone(value)
	default:
		return fmt.Errorf("storagedb: cannot scan %T into Metadata", value)
	}
	return nil
}

// Canonical returns m as it is stored, without needless white space and with the last one of duplicate keys, or a
// *ValidationError that says why the store would refuse it.
func (m Metadata) Canonical() (Metadata, error) {
	if len(m) > MaxMetadataBytes {
		return nil, invalidMetadata(fmt.Sprintf("is over %d bytes", MaxMetadataBytes))
	}
	return m.canonical()
}

func (m Metadata) canonical() (Metadata, error) {
	text := m.text()
	if !utf8.Valid(text) {
		return nil, invalidMetadata("is not valid UTF-8")
	}
	if !json.Valid(text) {
		return nil, invalidMetadata("is not valid JSON")
	}
	check := metadataCheck{text: text}
	check.space()
	if check.text[check.at] != '{' {
		return nil, invalidMetadata("is not a JSON object")
	}
	if problem := check.value(0); problem != "" {
		return nil, invalidMetadata(problem)
	}
	canonical, err := compactOrLast(text, check.duplicateKeys)
	if err != nil {
		return nil, err
	}
	if len(canonical)+check.expanded > MaxStoredMetadataBytes {
		return nil, invalidMetadata(fmt.Sprintf("is over %d bytes with its exponents written out, as PostgreSQL does", MaxStoredMetadataBytes))
	}
	return canonical, nil
}

func compactOrLast(text []byte, duplicateKeys bool) (Metadata, error) {
	if duplicateKeys {
		return dropDuplicateKeys(text)
	}
	compact := bytes.NewBuffer(make([]byte, 0, len(text)))
	if err := json.Compact(compact, text); err != nil {
		return nil, invalidMetadata("is not valid JSON")
	}
	return compact.Bytes(), nil
}

func (m Metadata) text() []byte {
	if len(m) == 0 {
		return []byte("{}")
	}
	return m
}

func invalidMetadata(problem string) *ValidationError {
	return &ValidationError{Field: "metadata", Problem: problem}
}

// marshal is json.Marshal without the escapes that HTML wants, which would make text grow for nothing.
func marshal(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// replacesInvalidUTF8 tells whether encoding/json put the escape \ufffd in place of bytes that are not UTF-8. It writes
// a character that is U+FFFD already as itself, so the escape, which is none behind another backslash, comes from
// nowhere else but a json.RawMessage.
func replacesInvalidUTF8(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(text[i:], []byte(`\ufffd`)) {
			return true
		}
		i++ // what is escaped
	}
	return false
}

// dropDuplicateKeys goes the long way round, through maps, which keep the last value of a key; json.Number keeps digits.
func dropDuplicateKeys(text []byte) (Metadata, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, invalidMetadata("is not valid JSON")
	}
	return marshal(object)
}

// metadataCheck walks over valid JSON once and looks for what encoding/json lets pass but an engine does not hold.
type metadataCheck struct {
	text          []byte
	at            int
	duplicateKeys bool
	expanded      int // how many digits PostgreSQL will write in place of exponents
}

func (c *metadataCheck) space() {
	for c.at < len(c.text) && (c.text[c.at] == ' ' || c.text[c.at] == '\t' || c.text[c.at] == '\n' || c.text[c.at] == '\r') {
		c.at++
	}
}

// value walks over one value and returns what is wrong with it.
func (c *metadataCheck) value(depth int) (problem string) {
	c.space()
	switch c.text[c.at] {
	case '{', '[':
		if depth == MaxMetadataDepth {
			return fmt.Sprintf("nests deeper than %d levels", MaxMetadataDepth)
		}
		return c.container(depth)
	case '"':
		_, problem = c.string()
		return problem
	case 't', 'n':
		c.at += len("true")
	case 'f':
		c.at += len("false")
	default:
		return c.number()
	}
	return ""
}

func (c *metadataCheck) container(depth int) (problem string) {
	isObject := c.text[c.at] == '{'
	var seen map[string]bool
	for c.at++; ; {
		c.space()
		switch c.text[c.at] {
		case '}', ']':
			c.at++
			return ""
		case ',':
			c.at++
			c.space()
		}
		if isObject {
			key, problem := c.string()
			if problem != "" {
				return problem
			}
			if seen == nil {
				seen = make(map[string]bool)
			}
			c.duplicateKeys = c.duplicateKeys || seen[key]
			seen[key] = true
			c.space()
			c.at++ // the colon
		}
		if problem := c.value(depth + 1); problem != "" {
			return problem
		}
	}
}

// string walks over a string and returns what it means.
func (c *metadataCheck) string() (meaning, problem string) {
	start := c.at
	escaped := false
	for c.at++; c.text[c.at] != '"'; c.at++ {
		if c.text[c.at] != '\\' {
			continue
		}
		escaped = true
		c.at++
		if c.text[c.at] != 'u' {
			continue
		}
		unit := c.codeUnit()
		switch {
		case unit == 0:
			return "", "has a NUL character in a string"
		case unit >= 0xDC00 && unit <= 0xDFFF:
			return "", "has a lone surrogate in a string"
		case unit >= 0xD800 && unit <= 0xDBFF:
			if c.text[c.at+1] != '\\' || c.text[c.at+2] != 'u' {
				return "", "has a lone surrogate in a string"
			}
			c.at += 2
			if low := c.codeUnit(); low < 0xDC00 || low > 0xDFFF {
				return "", "has a lone surrogate in a string"
			}
		}
	}
	c.at++
	if !escaped {
		return string(c.text[start+1 : c.at-1]), ""
	}
	if err := json.Unmarshal(c.text[start:c.at], &meaning); err != nil {
		return "", "has a string that is not valid JSON"
	}
	return meaning, ""
}

// codeUnit reads the four digits behind \u and stays on the last.
func (c *metadataCheck) codeUnit() uint64 {
	unit, _ := strconv.ParseUint(string(c.text[c.at+1:c.at+5]), 16, 32) // four hex digits: json.Valid has seen to it
	c.at += 4
	return unit
}

func (c *metadataCheck) number() (problem string) {
	integer, fraction, exponent := 0, 0, 0
	if c.text[c.at] == '-' {
		c.at++
	}
	integer = c.digits()
	if c.at < len(c.text) && c.text[c.at] == '.' {
		c.at++
		fraction = c.digits()
	}
	if c.at < len(c.text) && (c.text[c.at] == 'e' || c.text[c.at] == 'E') {
		c.at++
		sign := 1
		switch c.text[c.at] {
		case '-':
			sign = -1
			c.at++
		case '+':
			c.at++
		}
		start := c.at
		c.digits()
		size, err := strconv.Atoi(string(c.text[start:c.at]))
		if err != nil || size > MaxMetadataExponent {
			return fmt.Sprintf("has a number with an exponent beyond %d", MaxMetadataExponent)
		}
		exponent = sign * size
		c.expanded += size
	}
	if integer+exponent > maxIntegerDigits || fraction-exponent > maxFractionDigits {
		return fmt.Sprintf("has a number with more than %d digits before the decimal point or %d behind it", maxIntegerDigits, maxFractionDigits)
	}
	return ""
}

func (c *metadataCheck) digits() int {
	start := c.at
	for c.at < len(c.text) && c.text[c.at] >= '0' && c.text[c.at] <= '9' {
		c.at++
	}
	return c.at - start
}
