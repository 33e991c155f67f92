// Package dburl reads a database URL as dbmate does.
package dburl

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

const defaultURL = "sqlite:data/generations.db"

// Target is a parsed database URL.
type Target struct {
	Engine string // the directory of its migrations: "sqlite" or "postgres"
	Path   string // the SQLite file
	Memory string // the name of a SQLite database in memory, a new one for each Parse
	URL    string // for pgx; it may hold a password
}

// ErrUnparsablePostgres is returned for a PostgreSQL URL that pgx cannot parse. pgx's own error may quote the password.
var ErrUnparsablePostgres = errors.New("the postgres URL cannot be used: check its parameters, " +
	"and that special characters in a user name or password are escaped, such as %40 for @")

var errUnparsable = errors.New("the database URL cannot be parsed; special characters must be escaped: " +
	"in a user name or password %40 for @, %2F for /, " +
	"in the absolute path of a SQLite file %20 for a space, %2525 for %")

var leadingSlashes = regexp.MustCompile("^//+")

// Parse reads a database URL. If text is empty, it reads $DATABASE_URL, and if that is empty, the default.
//
// A SQLite URL means what it means to dbmate, since both read DATABASE_URL (ConnectionString in dbmate's
// pkg/driver/sqlite). No error repeats the URL: it may hold a password.
func Parse(text string) (Target, error) {
	text = cmp.Or(text, os.Getenv("DATABASE_URL"), defaultURL)
	parsed, err := url.Parse(text)
	if err != nil {
		return Target{}, errUnparsable
	}
	switch parsed.Scheme {
	case "sqlite", "sqlite3":
		return parseSQLiteURL(parsed)
	case "postgres", "postgresql":
		return parsePostgresURL(parsed, text)
	case "":
		return Target{}, errors.New("the database URL has no scheme: it starts with sqlite: or postgres://")
	}
	if !strings.Contains(text, "://") { // what stands before a colon may be anything
		return Target{}, errors.New("the database URL's scheme is none of sqlite, postgres and postgresql")
	}
	if base, driver, found := strings.Cut(parsed.Scheme, "+"); found {
		return Target{}, fmt.Errorf("the database URL's scheme %q names a Python driver: write %s: instead",
			base+"+"+driver, base)
	}
	return Target{}, fmt.Errorf("the database URL's scheme %q is none of sqlite, postgres and postgresql",
		parsed.Scheme)
}

// parsePostgresURL leaves the URL to pgx, except one with a stray @. The text before it is likely part of a password,
// and pgx would return it in an error as the name of a host or a database.
func parsePostgresURL(parsed *url.URL, text string) (Target, error) {
	withoutQuery, _, _ := strings.Cut(text, "?")
	stray := strings.Count(withoutQuery, "@") > 1 || strings.Contains(parsed.User.Username(), ":")
	if parsed.User == nil {
		stray = stray || strings.Contains(text, "@")
	} else {
		stray = stray || strings.Contains(parsed.RawQuery, "@")
	}
	if stray {
		return Target{}, errUnparsable
	}
	// pgx knows the scheme in small letters alone.
	return Target{Engine: "postgres", URL: parsed.Scheme + text[len(parsed.Scheme):]}, nil
}

func parseSQLiteURL(parsed *url.URL) (Target, error) {
	if parsed.RawQuery != "" || parsed.ForceQuery {
		return Target{}, errors.New("a SQLite URL takes no parameters; " +
			"what a SQLite store needs is set by the store itself")
	}
	path := url.URL{Opaque: parsed.Opaque, Fragment: parsed.Fragment, RawFragment: parsed.RawFragment}
	if parsed.Opaque == "" && parsed.Host+parsed.Path != "" {
		unescaped, err := url.PathUnescape(parsed.Path) // a second time, as dbmate does
		if err != nil {
			return Target{}, errUnparsable
		}
		path.Opaque = "//" + parsed.Host + unescaped
	}
	switch file := leadingSlashes.ReplaceAllString(path.String(), "/"); file {
	case "", "/":
		return Target{}, errors.New("the SQLite URL names no file; " +
			"sqlite:data/generations.db is a relative path, sqlite:///var/lib/generations.db an absolute one")
	case ":memory:":
		return Target{Engine: "sqlite", Memory: "dgx-music-" + uuid.NewString()}, nil
	default:
		if strings.HasPrefix(file, "file:") || strings.Contains(file, "?") {
			return Target{}, errors.New("a SQLite URL holds the file's path itself: " +
				"without file:, and without a question mark, which dbmate takes for the start of parameters")
		}
		return Target{Engine: "sqlite", Path: file}, nil
	}
}

// HasParameter reports whether a PostgreSQL URL sets the parameter.
func HasParameter(text, name string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.Query().Has(name)
}

// OfFile returns the URL of a file. It escapes the path twice, because parseSQLiteURL unescapes it twice; a path on
// Windows stays as it is.
func OfFile(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if filepath.VolumeName(path) != "" {
		return "sqlite:" + filepath.ToSlash(path), nil
	}
	once := (&url.URL{Path: path}).EscapedPath()
	return "sqlite://" + (&url.URL{Path: once}).EscapedPath(), nil
}
