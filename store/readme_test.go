package store_test

import (
	"os"
	"strings"
	"testing"

	"github.com/matryer/is"
)

// The quick start of the README is the first example, so that it compiles and does what it says.
func TestReadmeQuickStartIsTheExample(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	examples, err := os.ReadFile("example_test.go")
	is.NoErr(err)
	readme, err := os.ReadFile("../README.md")
	is.NoErr(err)
	_, body, found := strings.Cut(string(examples), "func Example() {\n")
	is.True(found)
	body, _, found = strings.Cut(body, "\t// Output:")
	is.True(found)
	is.True(strings.Contains(string(readme), "func main() {\n"+body+"}\n"))
}
