package main

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/dgx-music/storage/store"
)

// chosenURL returns the URL of the database that the store will open. It is for messages: the store applies the same
// defaults itself.
func (a *app) chosenURL() string {
	return cmp.Or(a.database, os.Getenv("DATABASE_URL"), "sqlite:data/generations.db")
}

// displayURL returns a URL for messages. It has only the parts that cannot hold a password. If the store
// cannot read the URL, any part may be the password, so displayURL shows none of it.
func displayURL(text string) string {
	scheme, rest, _ := strings.Cut(text, ":")
	switch strings.ToLower(scheme) {
	case "sqlite", "sqlite3":
		if strings.ContainsAny(rest, "@?") {
			return "the SQLite database"
		}
		return text
	case "postgres", "postgresql":
		return displayPostgres(text)
	}
	return "the database of a URL that is none of sqlite: and postgres://"
}

// shownParameters are the parameters of a PostgreSQL URL that messages show.
var shownParameters = []string{"host", "port", "user", "dbname", "sslmode", "search_path"}

func displayPostgres(text string) string {
	const unknown = "the PostgreSQL database"
	parsed, err := url.Parse(text)
	if err != nil || parsed.Opaque != "" || parsed.Fragment != "" ||
		strings.ContainsAny(parsed.Path+parsed.User.Username(), "@:") { // a part of a password that was not escaped
		return unknown
	}
	shown := url.URL{Scheme: parsed.Scheme, Host: parsed.Host, Path: parsed.Path}
	if parsed.User != nil {
		shown.User = url.User(parsed.User.Username())
	}
	query := parsed.Query()
	maps.DeleteFunc(query, func(name string, values []string) bool {
		return !slices.Contains(shownParameters, name) || strings.Contains(strings.Join(values, ""), "@")
	})
	shown.RawQuery = strings.NewReplacer("%2F", "/", "%2C", ",").Replace(query.Encode())
	return shown.String()
}

// passwords matches the parts of a message that may hold a password, such as a URL given as the wrong argument.
var passwords = []struct {
	where *regexp.Regexp
	with  string
}{
	{regexp.MustCompile(`(//[^\s:@/%]*)(?::|%3[aA])\S*@`), "$1:***@"},
	{regexp.MustCompile(`[^\s:/"'` + "`" + `]+:[^\s/]\S*@`), "***@"},
	{regexp.MustCompile(`(?i)(pass[a-z]*=)[^\s&"'` + "`" + `]*`), "$1***"},
}

// withoutPasswords returns a message without what looks like a password.
func withoutPasswords(message string) string {
	for _, p := range passwords {
		message = p.where.ReplaceAllString(message, p.with)
	}
	return message
}

func isPostgres(text string) bool { return strings.HasPrefix(strings.ToLower(text), "postgres") }

// databaseFacts describes the engine and the size of a database.
type databaseFacts struct {
	Engine        string `json:"engine"` // sqlite or postgres
	EngineVersion string `json:"engine_version"`
	SizeBytes     int64  `json:"size_bytes"` // on disk, with indexes, without SQLite's -wal file
}

// facts asks the engine, since the store has no method for it. The cost does not depend on the size of the database.
func (a *app) facts(ctx context.Context, s *store.Store) (databaseFacts, error) {
	facts := databaseFacts{Engine: "sqlite"}
	sql := "SELECT sqlite_version(), page_count * page_size FROM pragma_page_count, pragma_page_size"
	if isPostgres(a.chosenURL()) {
		facts.Engine = "postgres"
		sql = "SELECT current_setting('server_version'), pg_database_size(current_database())"
	}
	err := s.DB().QueryRow(ctx, sql).Scan(&facts.EngineVersion, &facts.SizeBytes)
	return facts, err
}

func (f databaseFacts) name() string {
	if f.Engine == "postgres" {
		return "PostgreSQL " + f.EngineVersion
	}
	return "SQLite " + f.EngineVersion
}
