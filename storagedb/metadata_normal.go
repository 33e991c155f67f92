package storagedb

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
)

// CanonicalStored is [Metadata.Canonical] for metadata from a database, where merges may have let it grow. It allows
// [MaxStoredMetadataBytes].
func (m Metadata) CanonicalStored() (Metadata, error) { return m.canonical() }

// AppendNormal appends the normal form of m to buf, and returns the longer buf. Metadata that is equal has the same
// normal form, whichever engine wrote it. m must come from [Metadata.Canonical] or [Metadata.CanonicalStored].
//
// The normal form is text to compare or to hash, and need not be valid JSON:
//   - The keys of an object are sorted by their bytes.
//   - A number has no zeros at either end of its digits, and a power of ten unless that is 0: 1.50 is 15e-1, 100 is
//     1e2, and -0 is 0.
//   - In a string, only the quote and the backslash are escaped.
func (m Metadata) AppendNormal(buf []byte) []byte {
	n := normalizer{text: m.text(), out: buf}
	n.value()
	return n.out
}

// normalizer reads canonical metadata once.
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

// normalMember is the position of an object's member in the output, and the end of its key.
type normalMember struct{ from, keyTo, to int }

// object writes the members in the order of the input, and then sorts them if they are not in order.
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

// number works on the text, because it must be exact, and fast for millions of numbers.
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
	if len(integer) == 0 { // then the zeros after the point lead
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
