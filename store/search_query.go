package store

import (
	"slices"
	"strings"
	"unicode"
)

// searchQuery is what a user typed, understood: words, "quoted phrases", -excluded and prefix*. Whatever else is typed only
// stands between words, so there are no syntax errors.
type searchQuery struct {
	wanted   []searchTerm
	excluded []searchTerm
}

// searchTerm is a word, or words that follow each other.
type searchTerm struct {
	words  []string // as typed, of letters, digits and their accents
	prefix bool     // the last word may go on
}

// How much is searched for; what is typed behind it is ignored. The engines' cost is by the words, and they fail on very many.
const (
	maxSearchTerms = 64
	maxSearchWords = 256
)

// parseSearch understands what a user typed. A minus excludes where no word ends before it: "lo-fi" is two words that follow
// each other, as everything is that has no space in it.
func parseSearch(typed string) searchQuery {
	var q searchQuery
	rest := []rune(typed)
	words := 0
	for len(rest) > 0 && len(q.wanted)+len(q.excluded) < maxSearchTerms && words < maxSearchWords {
		excluded := false
		for len(rest) > 0 && !isWordRune(rest[0]) && rest[0] != '"' {
			excluded = rest[0] == '-'
			rest = rest[1:]
		}
		var text []rune
		text, rest = nextTerm(rest)
		term := searchTerm{words: splitWords(text)}
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
			q.excluded, words = term.addTo(q.excluded, words)
		default:
			q.wanted, words = term.addTo(q.wanted, words)
		}
	}
	return q
}

// addTo adds a term that is not there yet, and its words to the count.
func (t searchTerm) addTo(terms []searchTerm, words int) ([]searchTerm, int) {
	if slices.ContainsFunc(terms, func(known searchTerm) bool { return known.prefix == t.prefix && slices.Equal(known.words, t.words) }) {
		return terms, words
	}
	return append(terms, t), words + len(t.words)
}

// nextTerm cuts off what is within quotes, or up to the next space, quote or star.
func nextTerm(rest []rune) (text, behind []rune) {
	if len(rest) == 0 {
		return nil, nil
	}
	if rest[0] == '"' {
		for i, r := range rest[1:] {
			if r == '"' {
				return rest[1 : 1+i], rest[2+i:]
			}
		}
		return rest[1:], nil // a quote that is not closed goes to the end
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

// isWordRune tells what words are made of, as the tokenizers of the engines do.
func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// fts5 is the query as FTS5 reads it. Words are quoted, so that none is an operator.
func (q searchQuery) fts5() string {
	var b strings.Builder
	write := func(operator string, term searchTerm) {
		b.WriteString(operator + `"` + strings.Join(term.words, " ") + `"`)
		if term.prefix {
			b.WriteString(" *")
		}
	}
	b.WriteString("(")
	for i, term := range q.wanted {
		write([]string{"", " AND "}[min(i, 1)], term)
	}
	b.WriteString(")")
	for _, term := range q.excluded {
		write(" NOT ", term)
	}
	return b.String()
}

// asArrays are terms as PostgreSQL's search_query takes them, which cuts them into words itself.
func asArrays(terms []searchTerm) (texts []string, prefixes []bool) {
	texts, prefixes = make([]string, len(terms)), make([]bool, len(terms)) // not nil, which would be NULL
	for i, term := range terms {
		texts[i], prefixes[i] = strings.Join(term.words, " "), term.prefix
	}
	return texts, prefixes
}
