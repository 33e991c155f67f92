package listing_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/internal/listing"
	"github.com/dgx-music/storage/internal/postgres"
	"github.com/dgx-music/storage/internal/sqlite"
	"github.com/dgx-music/storage/storagedb"
)

// arguments is a DBTX that keeps the arguments of its query.
type arguments struct {
	storagedb.DBTX
	kept []any
}

var errNotRun = errors.New("not run")

func (a *arguments) Query(_ context.Context, _ string, args ...any) (pgx.Rows, error) {
	a.kept = args
	return nil, errNotRun
}

// Each filter of a list must reach the statement that both engines run for lists by metadata or words. If one of them
// left a filter out, all rows would pass there.
func TestEveryFilterReachesListFound(t *testing.T) {
	set := map[string]func(q *listing.Query){
		"Status":      func(q *listing.Query) { q.Status = storagedb.StatusFailed },
		"ModelName":   func(q *listing.Query) { q.ModelName = "m" },
		"BatchID":     func(q *listing.Query) { q.BatchID = uuid.Max },
		"Favorite":    func(q *listing.Query) { q.Favorite = true },
		"OldestFirst": func(q *listing.Query) { q.OldestFirst = true },
		"Metadata":    func(q *listing.Query) { q.Metadata = metadataFilter(t) },
		"Searches":    func(q *listing.Query) { q.Searches, q.Words = true, listing.ParseWords("beat") },
		"Words":       func(q *listing.Query) { q.Searches, q.Words = true, listing.ParseWords("-rain beat") },
		"Prompts":     func(q *listing.Query) { q.Prompts = []int64{7} },
	}
	bounds := []string{"After", "Before"} // the keys are within them
	for name, queriesOf := range map[string]func(storagedb.DBTX) engine.Queries{
		"sqlite": (&sqlite.Engine{}).Queries, "postgres": (&postgres.Engine{}).Queries,
	} {
		t.Run(name, func(t *testing.T) {
			is := is.New(t)
			argumentsOf := func(q listing.Query) string {
				db := &arguments{}
				_, err := queriesOf(db).ListFound(t.Context(), q, []uuid.UUID{{15: 1}}, 10)
				is.True(errors.Is(err, errNotRun))
				var text string
				for _, arg := range db.kept {
					if v := reflect.ValueOf(arg); v.Kind() == reflect.Pointer && !v.IsNil() {
						arg = v.Elem().Interface()
					}
					text += fmt.Sprintf("%v|", arg)
				}
				return text
			}
			none, seen := argumentsOf(listing.Query{}), make(map[string]string)
			for field := range reflect.TypeFor[listing.Query]().Fields() {
				if !field.IsExported() || field.Name == bounds[0] || field.Name == bounds[1] {
					continue
				}
				fill := set[field.Name]
				if fill == nil {
					t.Fatalf("set %s here", field.Name)
				}
				var q listing.Query
				fill(&q)
				got := argumentsOf(q)
				if got == none {
					t.Errorf("ListFound leaves out %s", field.Name)
				}
				if other := seen[got]; other != "" {
					t.Errorf("ListFound does not tell %s from %s", field.Name, other)
				}
				seen[got] = field.Name
			}
		})
	}
}

func metadataFilter(t *testing.T) listing.MetadataFilter {
	t.Helper()
	q, err := listing.NewQuery(listing.Params{Metadata: map[string]any{"bpm": 140}, Limit: 1})
	is.New(t).NoErr(err)
	return q.Metadata
}
