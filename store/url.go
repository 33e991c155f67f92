package store

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

// target is a database URL, taken apart.
type target struct {
	engine string // the folder of its migrations: "sqlite" or "postgres"
	path   string // of the SQLite file
	memory string // the name of a SQLite database in memory, new with each parseURL
	url    string // for pgx; it may hold a password
}

var errUnparsablePostgresURL = errors.New("store: the postgres URL cannot be used: check its parameters, and that special characters in a user name or password are escaped, such as %40 for @")

var errUnparsableURL = errors.New("store: the database URL cannot be parsed; special characters must be escaped: in a user name or password %40 for @, %2F for /, in the absolute path of a SQLite file %20 for a space, %2525 for %")

var leadingSlashes = regexp.MustCompile("^//+")

// parseURL reads a database URL. A SQLite one means exactly what dbmate takes it to mean, since both read DATABASE_URL
// (ConnectionString in dbmate's pkg/driver/sqlite). No error repeats the URL: it may hold a password.
func parseURL(text string) (target, error) {
	text = cmp.Or(text, os.Getenv("DATABASE_URL"), defaultURL)
	parsed, err := url.Parse(text)
	if err != nil {
		return target{}, errUnparsableURL
	}
	switch parsed.Scheme {
	case "sqlite", "sqlite3":
		return parseSQLiteURL(parsed)
	case "postgres", "postgresql":
		return parsePostgresURL(parsed, text)
	case "":
		return target{}, errors.New("store: the database URL has no scheme: it starts with sqlite: or postgres://")
	}
	if !strings.Contains(text, "://") { // what stands before a colon may be anything
		return target{}, errors.New("store: the database URL's scheme is none of sqlite, postgres and postgresql")
	}
	if base, driver, found := strings.Cut(parsed.Scheme, "+"); found {
		return target{}, fmt.Errorf("store: the database URL's scheme %q names a Python driver: write %s: instead", base+"+"+driver, base)
	}
	return target{}, fmt.Errorf("store: the database URL's scheme %q is none of sqlite, postgres and postgresql", parsed.Scheme)
}

// parsePostgresURL leaves the URL to pgx, but for one with a stray @: what stands before it is likely to be part of a
// password, and would come back in an error as the name of a host or a database.
func parsePostgresURL(parsed *url.URL, text string) (target, error) {
	withoutQuery, _, _ := strings.Cut(text, "?")
	stray := strings.Count(withoutQuery, "@") > 1 || strings.Contains(parsed.User.Username(), ":")
	if parsed.User == nil {
		stray = stray || strings.Contains(text, "@")
	} else {
		stray = stray || strings.Contains(parsed.RawQuery, "@")
	}
	if stray {
		return target{}, errUnparsableURL
	}
	// pgx knows the scheme in small letters alone.
	return target{engine: "postgres", url: parsed.Scheme + text[len(parsed.Scheme):]}, nil
}

func parseSQLiteURL(parsed *url.URL) (target, error) {
	if parsed.RawQuery != "" || parsed.ForceQuery {
		return target{}, errors.New("store: a SQLite URL takes no parameters; what a SQLite store needs is set by the store itself")
	}
	path := url.URL{Opaque: parsed.Opaque, Fragment: parsed.Fragment, RawFragment: parsed.RawFragment}
	if parsed.Opaque == "" && parsed.Host+parsed.Path != "" {
		unescaped, err := url.PathUnescape(parsed.Path) // a second time, as dbmate does
		if err != nil {
			return target{}, errUnparsableURL
		}
		path.Opaque = "//" + parsed.Host + unescaped
	}
	switch file := leadingSlashes.ReplaceAllString(path.String(), "/"); file {
	case "", "/":
		return target{}, errors.New("store: the SQLite URL names no file; sqlite:data/generations.db is a relative path, sqlite:///var/lib/generations.db an absolute one")
	case ":memory:":
		return target{engine: "sqlite", memory: "dgx-music-" + uuid.NewString()}, nil
	default:
		if strings.HasPrefix(file, "file:") || strings.Contains(file, "?") {
			return target{}, errors.New("store: a SQLite URL holds the file's path itself: without file:, and without a question mark, which dbmate takes for the start of parameters")
		}
		return target{engine: "sqlite", path: file}, nil
	}
}

// hasParameter tells whether a postgres URL sets a parameter itself.
func hasParameter(text, name string) bool {
	parsed, err := url.Parse(text)
	return err == nil && parsed.Query().Has(name)
}

// sqliteFileURL is the URL of a file, whatever its path holds; see parseSQLiteURL. A path of Windows is taken as it is.
func sqliteFileURL(path string) (string, error) {
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
