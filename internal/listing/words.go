package listing

import (
	"slices"
	"strings"
	"unicode"
)

// Words is a parsed search: words, "quoted phrases", -excluded and prefix*. All other characters only separate words,
// so there are no syntax errors.
type Words struct {
	Wanted   []Term
	Excluded []Term
}

// Term is a word, or words that follow each other.
type Term struct {
	words  []string // as typed: letters, digits and their accents
	prefix bool     // whether the last word is a prefix
}

// The limits of a search; the rest of the text is ignored. The engines' cost grows with the words, and very many make
// them fail.
const (
	maxSearchTerms = 64
	maxSearchWords = 256
)

// ParseWords parses what a user typed. A minus excludes only at the start of a term. A text without spaces, such as
// "lo-fi", is one term: its words follow each other.
func ParseWords(typed string) Words {
	var q Words
	rest := []rune(typed)
	words := 0
	for len(rest) > 0 && len(q.Wanted)+len(q.Excluded) < maxSearchTerms && words < maxSearchWords {
		excluded := false
		for len(rest) > 0 && !isWordRune(rest[0]) && rest[0] != '"' {
			excluded = rest[0] == '-'
			rest = rest[1:]
		}
		var text []rune
		text, rest = nextTerm(rest)
		term := Term{words: splitWords(text)}
		if len(rest) > 0 && rest[0] == '*' {
			term.prefix = true
			rest = rest[1:]
		}
		if words+len(term.words) > maxSearchWords {
			term.words, term.prefix = term.words[:maxSearchWords-words], false
		}
		switch {
		case len(term.words) == 0:
		case excluded:
			q.Excluded, words = term.addTo(q.Excluded, words)
		default:
			q.Wanted, words = term.addTo(q.Wanted, words)
		}
	}
	return q
}

// addTo adds a new term to the list, and its words to the count.
func (t Term) addTo(terms []Term, words int) ([]Term, int) {
	if slices.ContainsFunc(terms, func(known Term) bool {
		return known.prefix == t.prefix && slices.Equal(known.words, t.words)
	}) {
		return terms, words
	}
	return append(terms, t), words + len(t.words)
}

// nextTerm splits off the text between quotes, or the text up to the next space, quote or star.
func nextTerm(rest []rune) (text, after []rune) {
	if len(rest) == 0 {
		return nil, nil
	}
	if rest[0] == '"' {
		for i, r := range rest[1:] {
			if r == '"' {
				return rest[1 : 1+i], rest[2+i:]
			}
		}
		return rest[1:], nil // a quote without an end
	}
	for i, r := range rest {
		if unicode.IsSpace(r) || r == '"' || r == '*' {
			return rest[:i], rest[i:]
		}
	}
	return rest, nil
}

func splitWords(text []rune) (words []string) {
	for _, word := range strings.FieldsFunc(string(text), func(r rune) bool { return !isWordRune(r) }) {
		if strings.ContainsFunc(word, func(r rune) bool { return !unicode.IsMark(r) }) {
			words = append(words, word)
		}
	}
	return words
}

// isWordRune reports whether words are made of r, as the tokenizers of both engines do.
func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// FTS5 returns the query in the syntax of SQLite's FTS5. Words are quoted, so that none is an operator.
func (q Words) FTS5() string {
	var b strings.Builder
	write := func(operator string, term Term) {
		b.WriteString(operator + `"` + strings.Join(term.words, " ") + `"`)
		if term.prefix {
			b.WriteString(" *")
		}
	}
	b.WriteString("(")
	for i, term := range q.Wanted {
		write([]string{"", " AND "}[min(i, 1)], term)
	}
	b.WriteString(")")
	for _, term := range q.Excluded {
		write(" NOT ", term)
	}
	return b.String()
}

// Arrays returns terms as PostgreSQL's search_query takes them. That splits them into words itself.
func Arrays(terms []Term) (texts []string, prefixes []bool) {
	texts, prefixes = make([]string, len(terms)), make([]bool, len(terms)) // not nil, which would be NULL
	for i, term := range terms {
		texts[i], prefixes[i] = strings.Join(term.words, " "), term.prefix
	}
	return texts, prefixes
}
