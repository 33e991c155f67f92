package dburl

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/matryer/is"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Target{
		"sqlite:data/generations.db":     {Engine: "sqlite", Path: "data/generations.db"},
		"sqlite3:plain.db":               {Engine: "sqlite", Path: "plain.db"},
		"sqlite:with%20escape.db":        {Engine: "sqlite", Path: "with%20escape.db"}, // a relative one is taken as it is
		"sqlite:hash#tag.db":             {Engine: "sqlite", Path: "hash#tag.db"},
		"sqlite:///var/lib/x.db":         {Engine: "sqlite", Path: "/var/lib/x.db"},
		"sqlite:////many/x.db":           {Engine: "sqlite", Path: "/many/x.db"},
		"sqlite:///a%20b.db":             {Engine: "sqlite", Path: "/a b.db"}, // an absolute one is unescaped
		"sqlite:///100%2525.db":          {Engine: "sqlite", Path: "/100%.db"},
		"postgres://u:p@host/x?a=b":      {Engine: "postgres", URL: "postgres://u:p@host/x?a=b"},
		"postgresql://host/x":            {Engine: "postgres", URL: "postgresql://host/x"},
		"POSTGRES://host/x":              {Engine: "postgres", URL: "postgres://host/x"},
		"postgres:///x?host=/run&user=u": {Engine: "postgres", URL: "postgres:///x?host=/run&user=u"},
	} {
		got, err := Parse(text)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, part := range map[string]string{
		"data/generations.db":            "no scheme",
		"mysql://u:s3cret@host/x":        `"mysql" is none of`,
		"s3cret:foo@host/x":              "scheme is none of",
		"postgresql+psycopg2://u@host/x": "write postgresql: instead",
		"sqlite:":                        "names no file",
		"sqlite:///":                     "names no file",
		"sqlite:x.db?mode=ro":            "takes no parameters",
		"sqlite:x.db?":                   "takes no parameters",
		"sqlite:file:x.db":               "without file:",
		"sqlite:///what%3f.db":           "question mark",
		"sqlite:///100%25.db":            "cannot be parsed",
		"postgres://u:pa@s3cret@host/x":  "cannot be parsed",
		"postgres://u:s3cret%zz@host/x":  "cannot be parsed",
		"postgres://u:a@b?s3cret@host/x": "cannot be parsed",
		"postgres://host/x@s3cret":       "cannot be parsed",
		"postgres://u%3As3cret@host/x":   "cannot be parsed",
	} {
		target, err := Parse(text)
		switch {
		case err == nil:
			t.Errorf("%s: %+v", text, target)
		case !strings.Contains(err.Error(), part):
			t.Errorf("%s: %v, want %q in it", text, err, part)
		case strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%s: the error holds the password: %v", text, err)
		}
	}
}

func TestParseMemory(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	one, err := Parse("sqlite::memory:")
	is.NoErr(err)
	other, err := Parse("sqlite::memory:")
	is.NoErr(err)
	is.Equal(one.Engine, "sqlite")
	is.Equal(one.Path, "")
	is.True(one.Memory != "" && one.Memory != other.Memory) // a new database each time
}

func TestParseEnvironment(t *testing.T) {
	is := is.New(t)
	for variable, path := range map[string]string{"": "data/generations.db", "sqlite:other.db": "other.db"} {
		t.Setenv("DATABASE_URL", variable)
		got, err := Parse("")
		is.NoErr(err)
		is.Equal(got.Path, path)
	}
}

func TestURLOfAFileNamesIt(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	for _, name := range []string{"plain.db", "a b.db", "100%.db", "%20.db", "hash#tag.db", "日本.db"} {
		path := filepath.Join(t.TempDir(), name)
		text, err := OfFile(path)
		is.NoErr(err)
		got, err := Parse(text)
		is.NoErr(err)
		is.Equal(got.Path, path)
	}
}

func TestHasParameter(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	is.True(HasParameter("postgres://host/x?pool_max_conns=5", "pool_max_conns"))
	is.True(!HasParameter("postgres://host/x?pool_max_conns=5", "pool_min_conns"))
	is.True(!HasParameter("postgres://host:port/x?a=b", "a")) // which cannot be parsed
}
