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

// output is stdout. It keeps the first error, so that the command fails if the disk is full.
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

// printf writes to stdout and escapes nothing. Pass values of the database through safe.
func (a *app) printf(format string, values ...any) { fmt.Fprintf(a.out, format, values...) }

// printJSON writes v to stdout as the command's only document.
func (a *app) printJSON(v any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	a.printf("%s", escapedJSON(text.String()))
	return nil
}

// safe escapes text for a terminal. A prompt or an error message can then neither move the cursor, nor change colours
// or the direction of writing.
func safe(text string) string {
	if utf8.ValidString(text) && strings.IndexFunc(text, isUnsafe) < 0 {
		return text
	}
	var b strings.Builder
	for i, size := 0, 0; i < len(text); i += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
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

// isUnsafe reports whether r is a control character (C0 or C1), a mark of the writing direction, a line separator or an
// unassigned code point. Joiners are safe: emoji and several scripts need them.
func isUnsafe(r rune) bool {
	return !unicode.IsGraphic(r) && r != '\u200c' && r != '\u200d'
}

// safeLines splits text into lines and escapes each.
func safeLines(text string) []string {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	for i, line := range lines {
		lines[i] = safe(strings.ReplaceAll(line, "\t", "    "))
	}
	return lines
}

// escapedJSON escapes the characters of a JSON document that a terminal would interpret. encoding/json already escapes
// those of ASCII, except DEL. All others can only be in strings.
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
