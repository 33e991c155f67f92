package main

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"strings"

	"github.com/dgx-music/storage/store"
)

// chosenURL returns the URL of the database that the store will open. It is for messages: the store applies the same
// defaults itself.
func (a *app) chosenURL() string {
	return cmp.Or(a.database, os.Getenv("DATABASE_URL"), "sqlite:data/generations.db")
}

// displayURL returns the URL without its password, in whichever part of the URL that is.
func displayURL(text string) string {
	if !isPostgres(text) {
		return text
	}
	parsed, err := url.Parse(text)
	if err != nil {
		return "the PostgreSQL database"
	}
	if parsed.User != nil {
		parsed.User = url.User(parsed.User.Username())
	}
	query := parsed.Query()
	for name := range query {
		if strings.Contains(strings.ToLower(name), "pass") { // password, sslpassword, passfile
			query.Del(name)
			parsed.RawQuery = ""
		}
	}
	if parsed.RawQuery == "" { // otherwise keep the query as the user typed it
		parsed.RawQuery = query.Encode()
	}
	return parsed.String()
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
