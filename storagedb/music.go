package storagedb

import (
	"encoding/json"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// MusicMetadata has the metadata that the Python service documents, as fields. Each is optional, and Extra has all
// other keys. Numbers are float64: to keep more digits, decode into a struct with json.Number fields.
//
//	music, err := storagedb.DecodeMetadata[storagedb.MusicMetadata](generation.Metadata)
//	metadata, err := storagedb.NewMetadata(storagedb.MusicMetadata{BPM: 140, Genre: "trap"})
type MusicMetadata struct {
	BPM          float64  // the beats per minute; absent if 0
	Key          string   // the musical key, such as "Cm"; absent if empty
	Tempo        string   // a word such as "fast"; absent if empty
	Genre        string   // a word such as "trap"; absent if empty
	Instruments  []string // absent if nil; an empty list is not absent
	Energy       *float64 // from 0 to 1; absent if nil
	Danceability *float64 // from 0 to 1; absent if nil

	// Extra has all other keys, with their values unchanged. It also has a documented key if its value is that of an
	// absent field, such as null or 0. It may be nil.
	Extra map[string]json.RawMessage
}

// validStrings reports whether the fields are valid UTF-8. Extra is checked as JSON.
func (m MusicMetadata) validStrings() bool {
	for _, text := range append([]string{m.Key, m.Tempo, m.Genre}, m.Instruments...) {
		if !utf8.ValidString(text) {
			return false
		}
	}
	return true
}

// MarshalJSON returns an object of the fields that are present and of Extra. A field that is present replaces the key
// of Extra with its name. It returns an error if Extra has a value that is not valid JSON, or a number that is not
// finite.
func (m MusicMetadata) MarshalJSON() ([]byte, error) {
	object := make(map[string]any, len(m.Extra)+7)
	for key, value := range m.Extra {
		object[key] = value
	}
	if m.BPM != 0 {
		object["bpm"] = m.BPM
	}
	for key, value := range map[string]string{"key": m.Key, "tempo": m.Tempo, "genre": m.Genre} {
		if value != "" {
			object[key] = value
		}
	}
	if m.Instruments != nil {
		object["instruments"] = m.Instruments
	}
	if m.Energy != nil {
		object["energy"] = *m.Energy
	}
	if m.Danceability != nil {
		object["danceability"] = *m.Danceability
	}
	return marshal(object)
}

// UnmarshalJSON sets the fields from the documented keys, and keeps the others in Extra. If the value of a documented
// key has another type, such as a bpm that is text, it returns an error that names the key, and leaves m as it is.
func (m *MusicMetadata) UnmarshalJSON(text []byte) error {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	decoded := MusicMetadata{}
	known := map[string]any{
		"bpm": &decoded.BPM, "key": &decoded.Key, "tempo": &decoded.Tempo, "genre": &decoded.Genre,
		"instruments": &decoded.Instruments, "energy": &decoded.Energy, "danceability": &decoded.Danceability,
	}
	for key, field := range known {
		value, present := object[key]
		if !present {
			continue
		}
		if err := json.Unmarshal(value, field); err != nil {
			return fmt.Errorf("metadata key %q: %w", key, err)
		}
		// A value that MarshalJSON would leave out stays in Extra, so that it is written back.
		if !reflect.ValueOf(field).Elem().IsZero() {
			delete(object, key)
		}
	}
	if len(object) > 0 {
		decoded.Extra = object
	}
	*m = decoded
	return nil
}
