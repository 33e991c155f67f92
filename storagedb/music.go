package storagedb

import (
	"encoding/json"
	"fmt"
	"reflect"
	"unicode/utf8"
)

// MusicMetadata is the metadata that the Python service documents, typed. All of it is optional, and whatever else is
// there is kept in Extra. Its numbers are float64; decode into a struct with json.Number fields for more digits.
//
//	music, err := storagedb.DecodeMetadata[storagedb.MusicMetadata](generation.Metadata)
//	metadata, err := storagedb.NewMetadata(storagedb.MusicMetadata{BPM: 140, Genre: "trap"})
type MusicMetadata struct {
	BPM          float64  // beats per minute, a whole number or not; 0 is absent
	Key          string   // such as "Cm"; empty is absent
	Tempo        string   // a word such as "fast"; empty is absent
	Genre        string   // empty is absent
	Instruments  []string // nil is absent, an empty list is not
	Energy       *float64 // 0 to 1; nil is absent
	Danceability *float64 // 0 to 1; nil is absent

	// Extra holds all other keys, as they were. A documented key whose value means absent, such as null, is among them.
	Extra map[string]json.RawMessage
}

// validStrings tells whether the fields are valid UTF-8; Extra is JSON, and checked as such.
func (m MusicMetadata) validStrings() bool {
	for _, text := range append([]string{m.Key, m.Tempo, m.Genre}, m.Instruments...) {
		if !utf8.ValidString(text) {
			return false
		}
	}
	return true
}

// MarshalJSON writes the keys that are present, over those of Extra.
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

// UnmarshalJSON reads the documented keys and keeps the others in Extra. A documented key of another type, such as a
// bpm that is text, is an error that names the key.
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
		// What MarshalJSON would take for absent stays in Extra, so that it is written back.
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
