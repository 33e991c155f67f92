// Package db carries the schema: the migrations of both engines, embedded. The queries and the schema dumps beside them
// are read by sqlc and by people.
package db

import (
	"embed"
	"io/fs"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var files embed.FS

// Migrations returns the dbmate files of an engine, "sqlite" or "postgres".
func Migrations(engine string) (fs.FS, error) {
	return fs.Sub(files, "migrations/"+engine)
}
