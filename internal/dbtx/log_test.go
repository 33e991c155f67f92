package dbtx

import (
	"testing"

	"github.com/matryer/is"
)

func TestQueryName(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	is.Equal(queryName("-- name: GetGeneration :one\nSELECT 1"), "GetGeneration")
	is.Equal(queryName("  select 1"), "select")
	is.Equal(queryName("'a-secret-that-is-long'"), "unnamed")
	is.Equal(queryName(""), "unnamed")
}
