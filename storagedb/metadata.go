package storagedb

import (
	"bytes"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// The limits of metadata, the same on both engines.
const (
	// MaxMetadataBytes is the length of metadata that a caller may pass, in bytes: 1 MiB.
	MaxMetadataBytes = 1 << 20
	// MaxStoredMetadataBytes is the length to which merges may let metadata grow, in bytes: 16 MiB.
	MaxStoredMetadataBytes = 16 << 20
	// MaxMetadataDepth is the number of levels to which objects and arrays may nest. The outer object is one.
	MaxMetadataDepth = 128
	// MaxMetadataExponent is the largest absolute value of the exponent of a number.
	MaxMetadataExponent = 1000

	// The digits before and after the decimal point that PostgreSQL's numeric type holds. Numbers of JSONB are of that
	// type. https://www.postgresql.org/docs/current/datatype-numeric.html
	maxIntegerDigits  = 131072
	maxFractionDigits = 16383
)

// Metadata is a JSON object, as text. The zero value is the empty object. Make one by [NewMetadata], and read it by
// [DecodeMetadata].
//
// What the database returns is equal as JSON to what was stored, numbers to their last digit. The text may differ. Of
// duplicate keys only the last is stored. PostgreSQL's JSONB reorders keys, and writes 1e5 as 100000.
//
// The store refuses metadata that is not a JSON object, or that one of the engines could not hold. Besides the limits
// above, this concerns NUL characters and lone surrogates in strings. The error is a [*ValidationError] for the field
// "metadata".
type Metadata json.RawMessage

// NewMetadata returns v as metadata. v is anything that encoding/json encodes as an object: a map, a struct, a
// [MusicMetadata]. nil and a nil map are the empty object, as metadata=None was in Python. It returns a
// [*ValidationError] if v is not a JSON object, or if the store would refuse it.
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

// DecodeMetadata decodes m into a new T, such as a [MusicMetadata], as encoding/json does. The zero Metadata decodes as
// {}. It returns an error if a value of m does not fit T.
func DecodeMetadata[T any](m Metadata) (T, error) {
	var v T
	err := m.Decode(&v)
	return v, err
}

// Decode decodes m into the value that v points to, as encoding/json does. In an any, numbers become float64. To keep
// all digits of a large number, decode it into a json.Number or a json.RawMessage. It returns an error if a value of m
// does not fit.
func (m Metadata) Decode(v any) error {
	if err := json.Unmarshal(m.text(), v); err != nil {
		return fmt.Errorf("decode metadata: %w", err)
	}
	return nil
}

// Merge returns m with the top-level keys of patch, as dict.update does in Python. A value of patch replaces that of m
// whole, even if both are objects, or if it is null. Neither m nor patch changes. It returns a [*ValidationError] if
// one of them is not a JSON object, or if the result has more than [MaxStoredMetadataBytes].
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

// String returns the JSON text, and {} for the zero value.
func (m Metadata) String() string { return string(m.text()) }

// MarshalJSON returns m itself, and {} for the zero value. It returns no error.
func (m Metadata) MarshalJSON() ([]byte, error) { return m.text(), nil }

// UnmarshalJSON sets m to any JSON value, and leaves it as it is for null. The methods that need an object check for
// one.
func (m *Metadata) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		return nil // the convention of encoding/json
	}
	*m = bytes.Clone(text)
	return nil
}

// Value returns the JSON text as a string, for the arguments of a statement. It implements [driver.Valuer], which pgx
// calls, too. It returns no error.
func (m Metadata) Value() (driver.Value, error) { return string(m.text()), nil }

// Scan sets m to the value of a column: a string, a copy of a []byte, or the zero value for NULL. It returns an error
// for any other type. It does not check the JSON.
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

// Canonical returns m as the store passes it to the database: without white space between tokens, and with the last of
// duplicate keys. It returns a [*ValidationError] if the store would refuse m.
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
		return nil, invalidMetadata(fmt.Sprintf(
			"is over %d bytes with its exponents written out, as PostgreSQL does", MaxStoredMetadataBytes))
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

// marshal is json.Marshal without the escapes for HTML, which would only make the text longer.
func marshal(v any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(text.Bytes(), []byte("\n")), nil
}

// replacesInvalidUTF8 reports whether encoding/json wrote the escape \ufffd in place of bytes that are not UTF-8. It
// writes the character U+FFFD as itself, so only a json.RawMessage may have the escape, too. After another backslash
// the text is no escape.
func replacesInvalidUTF8(text []byte) bool {
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(text[i:], []byte(`\ufffd`)) {
			return true
		}
		i++ // the escaped character
	}
	return false
}

// dropDuplicateKeys decodes text into maps, which keep the last value of a key, and encodes them. json.Number keeps all
// digits.
func dropDuplicateKeys(text []byte) (Metadata, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var object map[string]any
	if err := decoder.Decode(&object); err != nil {
		return nil, invalidMetadata("is not valid JSON")
	}
	return marshal(object)
}

// metadataCheck reads valid JSON once. It finds what encoding/json allows but an engine cannot hold.
type metadataCheck struct {
	text          []byte
	at            int
	duplicateKeys bool
	expanded      int // the digits that PostgreSQL writes in place of exponents
}

func (c *metadataCheck) space() {
	for c.at < len(c.text) &&
		(c.text[c.at] == ' ' || c.text[c.at] == '\t' || c.text[c.at] == '\n' || c.text[c.at] == '\r') {
		c.at++
	}
}

// value reads one value, and returns what is wrong with it, or "".
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

// string reads a string, and returns the text that it stands for.
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

// codeUnit reads the four digits after \u, and stays at the last.
func (c *metadataCheck) codeUnit() uint64 {
	unit, _ := strconv.ParseUint(string(c.text[c.at+1:c.at+5]), 16, 32) // json.Valid has checked the digits
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
		return fmt.Sprintf("has a number with more than %d digits before the decimal point or %d after it",
			maxIntegerDigits, maxFractionDigits)
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
