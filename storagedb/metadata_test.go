package storagedb_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/storagedb"
)

func TestNewMetadata(t *testing.T) {
	type tags struct {
		BPM  float64 `json:"bpm"`
		Name string  `json:"name"`
	}
	for want, given := range map[string]any{
		`{}`:                         nil,
		`{"a":1}`:                    map[string]int{"a": 1},
		`{"bpm":140,"name":"<&>"}`:   tags{140, "<&>"}, // no HTML escapes
		`{"bpm":140,"genre":"trap"}`: storagedb.MusicMetadata{BPM: 140, Genre: "trap"},
		`{"n":12345678901234567890}`: map[string]any{"n": json.Number("12345678901234567890")},
		`{"raw":1}`:                  json.RawMessage(` {"raw": 1} `),
		`{"given":1}`:                storagedb.Metadata(`{ "given" : 1 }`),
		"{\"r\":\"\ufffd\"}":         map[string]string{"r": "\ufffd"},
		`{"escaped":"\ufffd"}`:       json.RawMessage(`{"escaped":"\ufffd"}`),
		`{"p":"C:\\ufffd"}`:          map[string]string{"p": `C:\ufffd`},
		`{"note":"\ufffd"}`: storagedb.MusicMetadata{
			Extra: map[string]json.RawMessage{"note": json.RawMessage(`"\ufffd"`)},
		},
		`{"k":2}`:                     storagedb.Metadata(`{"k":1,"k":2}`),
		`{"deep":[{"k":[2]}],"z":[]}`: storagedb.Metadata(`{"deep":[{"k":1,"k":[2]}],"z":[]}`),
	} {
		m, err := storagedb.NewMetadata(given)
		if err != nil || string(m) != want {
			t.Errorf("NewMetadata(%v): got %s, %v, want %s", given, m, err, want)
		}
	}
	var nilMap map[string]any
	m, err := storagedb.NewMetadata(nilMap)
	if err != nil || string(m) != "{}" {
		t.Errorf("nil map: got %s, %v", m, err)
	}
	for _, bad := range []any{
		1, "text", []int{1}, true, make(chan int), []byte(`{}`), cyclicButForJSON(),
		map[string]string{"a": "\xff"}, map[string]string{"\xff": "a"}, map[string]string{"a": "\x00"},
		map[string]any{"a": []any{&struct{ B [1]string }{[1]string{"\xff"}}}},
		storagedb.MusicMetadata{Instruments: []string{"\xff"}},
	} {
		_, err := storagedb.NewMetadata(bad)
		wantInvalidMetadata(t, err)
	}
}

// cyclicButForJSON returns a value that encoding/json can encode, but that has a cycle in its fields.
func cyclicButForJSON() any {
	type node struct {
		Parent *node `json:"-"`
		Name   string
	}
	n := &node{Name: "bad \xff byte"}
	n.Parent = n
	return n
}

func wantInvalidMetadata(t *testing.T, err error) {
	t.Helper()
	var invalid *storagedb.ValidationError
	if !errors.As(err, &invalid) || invalid.Field != "metadata" {
		t.Errorf("got %v, want a *ValidationError for metadata", err)
	}
}

func TestMerge(t *testing.T) {
	is := is.New(t)
	old := storagedb.Metadata(`{"a":1,"b":{"x":1},"big":12345678901234567890}`)
	merged, err := old.Merge(storagedb.Metadata(`{"b":{"y":"<"},"c":null}`))
	is.NoErr(err)
	is.Equal(string(merged), `{"a":1,"b":{"y":"<"},"big":12345678901234567890,"c":null}`)
	is.Equal(string(old), `{"a":1,"b":{"x":1},"big":12345678901234567890}`)
	merged, err = storagedb.Metadata(nil).Merge(nil)
	is.NoErr(err)
	is.Equal(string(merged), `{}`)
	for _, bad := range []string{`[]`, `null`, `{`, `1`} {
		_, err := old.Merge(storagedb.Metadata(bad))
		wantInvalidMetadata(t, err)
		_, err = storagedb.Metadata(bad).Merge(old)
		wantInvalidMetadata(t, err)
	}
	huge := storagedb.Metadata(`{"h":"` + strings.Repeat("x", storagedb.MaxStoredMetadataBytes) + `"}`)
	_, err = huge.Merge(old)
	wantInvalidMetadata(t, err)
}

func TestMetadataDecode(t *testing.T) {
	is := is.New(t)
	m := storagedb.Metadata(`{"n":12345678901234567890}`)
	exact, err := storagedb.DecodeMetadata[struct{ N json.Number }](m)
	is.NoErr(err)
	is.Equal(exact.N.String(), "12345678901234567890")
	empty, err := storagedb.DecodeMetadata[map[string]any](nil)
	is.NoErr(err)
	is.Equal(empty, map[string]any{})
	is.True(storagedb.Metadata(`{"n":"x"}`).Decode(&exact) != nil)
}

func TestMetadataInJSON(t *testing.T) {
	is := is.New(t)
	type row struct{ Metadata storagedb.Metadata }
	text, err := json.Marshal(row{})
	is.NoErr(err)
	is.Equal(string(text), `{"Metadata":{}}`)
	var r row
	is.NoErr(json.Unmarshal([]byte(`{"Metadata":{"a":1}}`), &r))
	is.Equal(string(r.Metadata), `{"a":1}`)
	is.NoErr(json.Unmarshal([]byte(`{"Metadata":null}`), &r))
	is.Equal(string(r.Metadata), `{"a":1}`)
}

func TestMetadataScan(t *testing.T) {
	is := is.New(t)
	m := storagedb.Metadata(`{"old":1}`)
	is.NoErr(m.Scan(`{"a":1}`))
	is.Equal(m.String(), `{"a":1}`)
	given := []byte(`{"b":1}`)
	is.NoErr(m.Scan(given))
	given[2] = 'x'
	is.Equal(m.String(), `{"b":1}`) // a copy, because drivers reuse their buffer
	is.NoErr(m.Scan(nil))
	is.Equal(m.String(), `{}`)
	is.True(m.Scan(1) != nil)
	value, err := m.Value()
	is.NoErr(err)
	is.Equal(value, "{}")
}

func TestMusicMetadataKeepsEverything(t *testing.T) {
	for _, text := range []string{
		`{}`,
		`{"bpm":140,"danceability":0.5,"energy":0,"genre":"hip hop","instruments":["808","hi-hat"],` +
			`"key":"Cm","tempo":"fast"}`,
		`{"bpm":128.5}`,
		`{"bpm":0,"genre":"","instruments":[],"key":null,"energy":null}`,
		`{"peak_db":-1.5,"seed":12345678901234567890,"nested":{"a":[1,null]}}`,
	} {
		music, err := storagedb.DecodeMetadata[storagedb.MusicMetadata](storagedb.Metadata(text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		back, err := storagedb.NewMetadata(music)
		if err != nil || !equalJSON(t, back, []byte(text)) {
			t.Errorf("%s became %s, %v", text, back, err)
		}
	}
	is := is.New(t)
	music, err := storagedb.DecodeMetadata[storagedb.MusicMetadata](
		storagedb.Metadata(`{"bpm":140,"tempo":"fast","energy":0.8,"peak_db":-1.5}`))
	is.NoErr(err)
	is.Equal(music.BPM, 140.0)
	is.Equal(music.Tempo, "fast")
	is.Equal(*music.Energy, 0.8)
	is.Equal(music.Danceability, nil)
	is.Equal(string(music.Extra["peak_db"]), "-1.5")
	is.Equal(len(music.Extra), 1)

	music.Extra["bpm"] = json.RawMessage("1") // the field takes precedence
	text, err := json.Marshal(music)
	is.NoErr(err)
	is.True(equalJSON(t, text, []byte(`{"bpm":140,"tempo":"fast","energy":0.8,"peak_db":-1.5}`)))

	_, err = storagedb.DecodeMetadata[storagedb.MusicMetadata](storagedb.Metadata(`{"bpm":"fast"}`))
	is.True(err != nil && strings.Contains(err.Error(), `"bpm"`))
}

func TestStatus(t *testing.T) {
	is := is.New(t)
	for _, status := range storagedb.Statuses() {
		is.True(status.Valid())
		g := storagedb.Generation{Status: status}
		is.Equal(g.IsPending(), status == "pending")
		is.Equal(g.IsProcessing(), status == "processing")
		is.Equal(g.IsComplete(), status == "completed")
		is.Equal(g.IsFailed(), status == "failed")
		is.Equal(g.IsCancelled(), status == "cancelled")
		is.Equal(g.IsFinished(), status == "completed" || status == "failed" || status == "cancelled")
	}
	is.True(!storagedb.Status("").Valid())
	is.True(!storagedb.Status("Pending").Valid())
}

// equalJSON reports whether two texts are the same JSON, numbers to their last digit.
func equalJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var texts [2]string
	for i, text := range [][]byte{a, b} {
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		var v any
		if err := decoder.Decode(&v); err != nil {
			t.Fatal(err)
		}
		sorted, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(sorted)
	}
	return texts[0] == texts[1]
}

// For any text, Canonical returns a *ValidationError, or metadata that is equal to the text and that it accepts
// unchanged.
func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{
		`{}`, `{"bpm":140,"k":[1,2.5e-3,"\ud83c\udfa7",null,true,false,{"a":{}}]}`, `{"a":1,"a":2}`, ` { "a" : [ ] } `,
		`{"a":"\u0000"}`, `{"a":"\ud800"}`, `{"a":"\\u0000"}`, `{"a":1e1001}`, `{"a":-0.0e-1000}`, `[1]`, `null`, ``, `{`,
		`{"\u0061":1,"a":2}`, `{"":{"":{}}}`, "{\"a\":\"\xff\"}", `{"a":"\"\\\/\b\f\n\r\t"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		canonical, err := storagedb.Metadata(text).Canonical()
		if err != nil {
			wantInvalidMetadata(t, err)
			return
		}
		if len(text) > 0 && !equalJSON(t, canonical, text) {
			t.Errorf("%q became %q", text, canonical)
		}
		again, err := canonical.Canonical()
		if err != nil || !bytes.Equal(again, canonical) {
			t.Errorf("%q became %q, %v", canonical, again, err)
		}
	})
}
