package store

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/storagedb"
)

// copied is a DBTX that keeps the row which was copied to it.
type copied struct {
	storagedb.DBTX
	row map[string]any
}

func (c *copied) CopyFrom(
	_ context.Context, _ pgx.Identifier, columns []string, source pgx.CopyFromSource,
) (int64, error) {
	c.row = make(map[string]any)
	source.Next()
	values, err := source.Values()
	for i, column := range columns {
		c.row[column] = values[i]
	}
	return 1, err
}

// What a creation returns is what it inserts: a parameter must not be in the row alone.
func TestEveryColumnOfACreationIsInserted(t *testing.T) {
	is := is.New(t)
	var params CreateGenerationParams
	for _, value := range reflect.ValueOf(&params).Elem().Fields() {
		all := samples(t, value.Type())
		value.Set(reflect.ValueOf(all[len(all)-1]))
	}
	db := &copied{}
	rows, prompts := []CreateGenerationParams{params}, map[string]int64{params.Prompt: 7}
	created, err := copyCreated(t.Context(), db, rows, prompts, time.Now())
	is.NoErr(err)
	row := reflect.ValueOf(created[0])
	for field := range reflect.TypeFor[CreateGenerationParams]().Fields() {
		if row.FieldByName(field.Name).IsZero() {
			t.Errorf("created leaves out %s of the parameters", field.Name)
		}
	}
	for field, value := range row.Fields() {
		column := field.Tag.Get("json")
		inserted, ok := db.row[column]
		switch {
		case ok && !reflect.DeepEqual(inserted, value.Interface()):
			t.Errorf("copyCreated inserts %v as %s, and returns %v", inserted, column, value)
		case !ok && !value.IsZero() && column != "progress_step": // the schema's default
			t.Errorf("InsertGenerations in db/queries/generations.sql lacks %s, which created sets", column)
		}
	}
}
