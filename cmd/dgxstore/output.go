package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// output is stdout. It keeps the first error, so that a full disk is not taken for success.
type output struct {
	file *os.File
	err  error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.file.Write(p)
	if o.err == nil && err != nil {
		o.err = fmt.Errorf("write the output: %w", err)
	}
	return n, err
}

// printf writes what the format itself says as it is: values of the database go through safe.
func (a *app) printf(format string, values ...any) { fmt.Fprintf(a.out, format, values...) }

// printJSON writes v as the one document on stdout.
func (a *app) printJSON(v any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("encode the answer as JSON: %w", err)
	}
	a.printf("%s", escapedJSON(text.String()))
	return nil
}

// safe is text for a terminal: what would move the cursor, change colours or turn the direction of writing is escaped, so
// that a prompt or an error message can do none of that.
func safe(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, isUnsafe) < 0 {
		return text
	}
	var b strings.Builder
	for i, width := 0, 0; i < len(text); i += width {
		var r rune
		r, width = utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case isUnsafe(r) && r <= unicode.MaxASCII:
			fmt.Fprintf(&b, `\x%02x`, r)
		case isUnsafe(r) && r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		case isUnsafe(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isUnsafe tells of control characters, those of C1 included, marks of the writing's direction, line separators and what
// Unicode has no use for. The joiners stay: emoji and several scripts are written with them.
func isUnsafe(r rune) bool {
	return !unicode.IsGraphic(r) && r != '\u200c' && r != '\u200d'
}

// safeLines is safe for a text of several lines.
func safeLines(text string) []string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	for i, line := range lines {
		lines[i] = safe(strings.ReplaceAll(line, "\t", "    "))
	}
	return lines
}

// escapedJSON is the same document without characters that a terminal would heed. encoding/json escapes those of ASCII
// itself, but for DEL; beyond ASCII they can only be in strings.
func escapedJSON(document string) string {
	var b strings.Builder
	for _, r := range document {
		switch {
		case r < 0x7f || !isUnsafe(r):
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
