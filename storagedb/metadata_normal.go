package storagedb

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// CanonicalStored is [Metadata.Canonical] for metadata that is in a database, and may have grown to MaxStoredMetadataBytes
// there.
func (m Metadata) CanonicalStored() (Metadata, error) { return m.canonical() }

// AppendNormal appends to buf the one text that stands for m's value, whatever its spelling, and returns the longer buf: the
// engines spell what is equal in different ways. m must be what Canonical or CanonicalStored returns.
//
// Keys are sorted by their bytes. A number is its digits without zeros at either end, and a power of ten where that is not
// 0: 1.50 is 15e-1, 100 is 1e2, and -0 is 0. In a string only the quote and the backslash are escaped. So the text need not be
// valid JSON; it is there to be compared or hashed.
func (m Metadata) AppendNormal(buf []byte) []byte {
	n := normalizer{text: m.text(), out: buf}
	n.value()
	return n.out
}

// normalizer walks over canonical metadata once.
type normalizer struct {
	text []byte
	at   int
	out  []byte
}

func (n *normalizer) value() {
	switch c := n.text[n.at]; c {
	case '{':
		n.object()
	case '[':
		n.array()
	case '"':
		n.string()
	case 't', 'n':
		n.copy(len("true"))
	case 'f':
		n.copy(len("false"))
	default:
		n.number()
	}
}

func (n *normalizer) copy(length int) {
	n.out = append(n.out, n.text[n.at:n.at+length]...)
	n.at += length
}

func (n *normalizer) array() {
	n.copy(1)
	for n.text[n.at] != ']' {
		if n.text[n.at] == ',' {
			n.copy(1)
		}
		n.value()
	}
	n.copy(1)
}

// normalMember is where a member of an object is in what was written.
type normalMember struct{ from, keyTo, to int }

// object writes the members one after the other as they come, and sorts them where they are not yet.
func (n *normalizer) object() {
	n.copy(1)
	start := len(n.out)
	var few [16]normalMember
	members, sorted := few[:0], true
	for n.text[n.at] != '}' {
		if n.text[n.at] == ',' {
			n.at++
		}
		m := normalMember{from: len(n.out)}
		n.string()
		m.keyTo = len(n.out)
		n.copy(1) // the colon
		n.value()
		n.out = append(n.out, ',')
		m.to = len(n.out)
		if len(members) > 0 {
			last := members[len(members)-1]
			sorted = sorted && bytes.Compare(n.out[last.from:last.keyTo], n.out[m.from:m.keyTo]) < 0
		}
		members = append(members, m)
	}
	if !sorted {
		n.sort(start, members)
	}
	n.copy(1)
}

func (n *normalizer) sort(start int, members []normalMember) {
	unsorted := bytes.Clone(n.out[start:])
	slices.SortFunc(members, func(a, b normalMember) int {
		return bytes.Compare(unsorted[a.from-start:a.keyTo-start], unsorted[b.from-start:b.keyTo-start])
	})
	n.out = n.out[:start]
	for _, m := range members {
		n.out = append(n.out, unsorted[m.from-start:m.to-start]...)
	}
}

func (n *normalizer) string() {
	start, escaped := n.at, false
	for n.at++; n.text[n.at] != '"'; n.at++ {
		if n.text[n.at] == '\\' {
			escaped = true
			n.at++
		}
	}
	n.at++
	quoted := n.text[start:n.at]
	if !escaped {
		n.out = append(n.out, quoted...)
		return
	}
	var meaning string
	_ = json.Unmarshal(quoted, &meaning) // cannot fail: canonical metadata is valid
	n.out = append(n.out, '"')
	for i := range len(meaning) {
		if meaning[i] == '"' || meaning[i] == '\\' {
			n.out = append(n.out, '\\')
		}
		n.out = append(n.out, meaning[i])
	}
	n.out = append(n.out, '"')
}

// number trims text, since it has to be exact and is run for millions of them.
func (n *normalizer) number() {
	negative := n.text[n.at] == '-'
	if negative {
		n.at++
	}
	integer := n.digits()
	var fraction []byte
	if n.at < len(n.text) && n.text[n.at] == '.' {
		n.at++
		fraction = n.digits()
	}
	exponent := 0
	if n.at < len(n.text) && (n.text[n.at] == 'e' || n.text[n.at] == 'E') {
		n.at++
		negative := n.text[n.at] == '-'
		if negative || n.text[n.at] == '+' {
			n.at++
		}
		exponent, _ = strconv.Atoi(string(n.digits())) // at most MaxMetadataExponent
		if negative {
			exponent = -exponent
		}
	}
	integer = bytes.TrimLeft(integer, "0")
	if len(integer) == 0 { // the zeros behind the point are at the front then
		digits := bytes.TrimLeft(fraction, "0")
		exponent -= len(fraction)
		integer, fraction = digits, nil
	}
	fraction = bytes.TrimRight(fraction, "0")
	if len(fraction) > 0 {
		exponent -= len(fraction)
	} else {
		trimmed := bytes.TrimRight(integer, "0")
		exponent += len(integer) - len(trimmed)
		integer = trimmed
	}
	if len(integer) == 0 {
		n.out = append(n.out, '0')
		return
	}
	if negative {
		n.out = append(n.out, '-')
	}
	n.out = append(append(n.out, integer...), fraction...)
	if exponent != 0 {
		n.out = strconv.AppendInt(append(n.out, 'e'), int64(exponent), 10)
	}
}

func (n *normalizer) digits() []byte {
	start := n.at
	for n.at < len(n.text) && n.text[n.at] >= '0' && n.text[n.at] <= '9' {
		n.at++
	}
	return n.text[start:n.at]
}
