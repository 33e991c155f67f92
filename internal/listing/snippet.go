package listing

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The number of words that a snippet shows, and the number of them before the first match.
const (
	snippetWords       = 32
	snippetWordsBefore = 8
)

// placedWord is a word of a text, and its place.
type placedWord struct {
	folded     string
	start, end int // in bytes
}

// Snippet returns the part of text around the first match, with each match in square brackets, and … for what is left
// out. It is made here and not by the engines, so that both return the same.
func (q Words) Snippet(text string) string {
	words := placeWords(text)
	matched := make([]int, len(words)) // the number of words of the match that begins here
	first := len(words)
	for _, term := range q.Wanted {
		folded := make([]string, len(term.words))
		for i, word := range term.words {
			folded[i] = fold(word)
		}
		for i := range words {
			if n := len(folded); matchesAt(words[i:], folded, term.prefix) {
				matched[i] = max(matched[i], n)
				first = min(first, i)
			}
		}
	}
	if first == len(words) {
		first = 0
	}
	from := max(0, first-snippetWordsBefore)
	to := min(len(words), from+snippetWords)
	from = max(0, to-snippetWords)

	var b strings.Builder
	at := 0
	if from > 0 {
		b.WriteString("…")
		at = words[from].start
	}
	for i := from; i < to; i++ {
		if matched[i] == 0 {
			continue
		}
		last := min(i+matched[i], to) - 1
		for next := i + 1; next <= last; next++ { // matches that overlap are one
			last = max(last, min(next+matched[next], to)-1)
		}
		b.WriteString(text[at:words[i].start])
		b.WriteString("[" + text[words[i].start:words[last].end] + "]")
		at = words[last].end
		i = last
	}
	if to == len(words) {
		b.WriteString(text[at:])
	} else {
		b.WriteString(text[at:words[to-1].end] + "…")
	}
	return b.String()
}

func matchesAt(words []placedWord, wanted []string, prefix bool) bool {
	if len(words) < len(wanted) {
		return false
	}
	for i, word := range wanted {
		if prefix && i == len(wanted)-1 {
			return strings.HasPrefix(words[i].folded, word)
		}
		if words[i].folded != word {
			return false
		}
	}
	return true
}

func placeWords(text string) (words []placedWord) {
	start := -1
	for i, r := range text + " " {
		switch in := isWordRune(r); {
		case in && start < 0:
			start = i
		case !in && start >= 0:
			words = append(words, placedWord{fold(text[start:i]), start, i})
			start = -1
		}
	}
	return words
}

// fold returns the same text for words that differ only in case or accents.
func fold(word string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 0x300 && r <= 0x36f:
			return -1
		case r == 'ς': // the sigma at the end of a word
			return 'σ'
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(word))
}
