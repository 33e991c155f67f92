package storagedb_test

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/storagedb"
)

func normal(t *testing.T, text string) string {
	t.Helper()
	canonical, err := storagedb.Metadata(text).CanonicalStored()
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return string(canonical.AppendNormal([]byte("before ")))
}

func TestNormalForm(t *testing.T) {
	for _, same := range [][]string{
		{``, `{}`, ` { } `},
		{`{"a":1,"b":2}`, `{ "b" : 2, "a" : 1 }`, `{"a":3,"b":2,"a":1}`, `{"\u0061":1,"b":2}`},
		{`{"a":100}`, `{"a":1e2}`, `{"a":1E+2}`, `{"a":100.00}`, `{"a":0.1e3}`, `{"a":1000e-1}`},
		{`{"a":-1.5}`, `{"a":-1.50}`, `{"a":-15e-1}`, `{"a":-0.0015e3}`},
		{`{"a":0}`, `{"a":-0}`, `{"a":0.000}`, `{"a":-0e7}`, `{"a":0e-5}`},
		{`{"a":0.05}`, `{"a":5e-2}`, `{"a":0.0500}`},
		{`{"a":12345678901234567890}`, `{"a":1234567890123456789e1}`},
		{`{"a":1e1000}`, `{"a":1` + strings.Repeat("0", 1000) + `}`},
		{`{"a":1e-1000}`, `{"a":0.` + strings.Repeat("0", 999) + `1}`},
		{`{"a":"é/"}`, `{"a":"\u00e9\/"}`, `{"a":"\u00E9/"}`},
		{`{"a":"\ud83c\udfb5"}`, "{\"a\":\"\U0001F3B5\"}"},
		{`{"a":"\"\\\u005c"}`, `{"a":"\u0022\\\\"}`},
		{
			`{"a":[{"c":1,"b":[true,false,null]}]}`, `{"a":[{"b":[true, false ,null],"c":1.0}]}`,
			`{"a":[{"c":0,"b":[true,false,null],"c":1}]}`,
		},
	} {
		for _, text := range same[1:] {
			is.New(t).Equal(normal(t, text), normal(t, same[0]))
		}
	}
	different := []string{
		`{}`, `{"a":{}}`, `{"a":[]}`, `{"a":null}`, `{"a":0}`, `{"a":1}`, `{"a":-1}`, `{"a":10}`, `{"a":0.1}`,
		`{"a":"1"}`, `{"a":""}`, `{"a":true}`, `{"a":false}`,
		`{"a":[1,2]}`, `{"a":[2,1]}`, `{"a":[12]}`, `{"a":["1,2"]}`, `{"a":["1","2"]}`, `{"a":"\""}`, `{"a":"\\"}`,
		`{"a":"\\\""}`, `{"b":1}`, `{"a":1,"b":1}`,
		`{"a":12345678901234567890}`, `{"a":12345678901234567891}`, `{"a":[[],[]]}`, `{"a":[[[]]]}`, `{"a":"\n"}`,
		`{"a":"n"}`, `{"a":"\\n"}`, `{"A":1}`, `{"":1}`,
		`{"a":{"b":1},"c":2}`, `{"a":{"b":1,"c":2}}`,
	}
	seen := make(map[string]string)
	for _, text := range different {
		if other, found := seen[normal(t, text)]; found {
			t.Errorf("%s and %s have the same normal form", text, other)
		}
		seen[normal(t, text)] = text
	}
}

// Two numbers have the same normal form if and only if they are equal.
func TestNormalFormOfNumbers(t *testing.T) {
	const few = "0123"
	digits := func(most int) string {
		text := ""
		for range 1 + rand.IntN(most) {
			text += string(few[rand.IntN(len(few))])
		}
		return text
	}
	values := make(map[string]*big.Rat)
	for range 20_000 {
		number := strings.TrimLeft(digits(4), "0")
		if number == "" {
			number = "0"
		}
		if rand.IntN(2) == 0 {
			number += "." + digits(3)
		}
		if rand.IntN(2) == 0 {
			number += []string{"e", "E-", "e+"}[rand.IntN(3)] + digits(1)
		}
		if rand.IntN(4) == 0 {
			number = "-" + number
		}
		value, ok := new(big.Rat).SetString(number)
		if !ok {
			t.Fatal(number)
		}
		form := strings.TrimSuffix(strings.TrimPrefix(normal(t, fmt.Sprintf(`{"n":%s}`, number)), `before {"n":`), ",}")
		if other, found := values[form]; found && other.Cmp(value) != 0 {
			t.Fatalf("%s and %s are both %s", value, other, form)
		}
		values[form] = value
		if back, ok := new(big.Rat).SetString(form); !ok || back.Cmp(value) != 0 {
			t.Fatalf("%s became %s", number, form)
		}
		// Without a zero at an end of the digits and without a point, the form of a number is unique.
		mantissa, _, _ := strings.Cut(strings.TrimPrefix(form, "-"), "e")
		if form != "0" &&
			(strings.HasPrefix(mantissa, "0") || strings.HasSuffix(mantissa, "0") || strings.Contains(mantissa, ".")) {
			t.Fatalf("%s became %s", number, form)
		}
	}
}

// Merged metadata may be longer than metadata that a caller passes.
func TestCanonicalStored(t *testing.T) {
	is := is.New(t)
	text := func(bytes int) storagedb.Metadata {
		return storagedb.Metadata(`{"a":"` + strings.Repeat("a", bytes-len(`{"a":""}`)) + `"}`)
	}
	_, err := text(storagedb.MaxMetadataBytes + 1).Canonical()
	is.True(err != nil)
	_, err = text(storagedb.MaxStoredMetadataBytes).CanonicalStored()
	is.NoErr(err)
	_, err = text(storagedb.MaxStoredMetadataBytes + 1).CanonicalStored()
	is.True(err != nil)
	for _, bad := range []string{`[]`, `{"a":"\u0000"}`, `{"a":"\ud800"}`, `{"a":1e1001}`, `{`, "{\"a\":\"\xff\"}"} {
		_, err := storagedb.Metadata(bad).CanonicalStored()
		is.True(err != nil)
	}
}
