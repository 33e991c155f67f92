package main

import (
	"cmp"
	"context"
	"net/url"
	"os"
	"strings"

	"github.com/dgx-music/storage/store"
)

// chosenURL is the database that the store will open: for it to be named, since the store takes the flag as it is.
func (a *app) chosenURL() string {
	return cmp.Or(a.database, os.Getenv("DATABASE_URL"), "sqlite:data/generations.db")
}

// shownURL is a URL without its password, whichever way that is given.
func shownURL(text string) string {
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
	if parsed.RawQuery == "" { // otherwise it stays as it was typed
		parsed.RawQuery = query.Encode()
	}
	return parsed.String()
}

func isPostgres(text string) bool { return strings.HasPrefix(strings.ToLower(text), "postgres") }

// databaseFacts are what the store has no method for, since it needs none of it. Both statements cost the same at any size.
type databaseFacts struct {
	Engine        string `json:"engine"` // sqlite or postgres
	EngineVersion string `json:"engine_version"`
	SizeBytes     int64  `json:"size_bytes"` // on disk, indexes included; SQLite's log beside the file is not
}

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
