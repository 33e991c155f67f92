package engine

import (
	"context"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
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
	t.Parallel()
	is := is.New(t)
	creation := Creation{
		ID: uuid.UUID{15: 1}, Prompt: "p", ModelName: "m", ModelVersion: new("v"), DurationSeconds: 1,
		SampleRate: 2, Channels: 2, FilePath: "f", Metadata: storagedb.Metadata(`{"a":1}`), Priority: 3,
		ScheduledAt: time.UnixMicro(1), MaxAttempts: 4, BatchID: uuid.UUID{15: 2},
	}
	for field, value := range reflect.ValueOf(creation).Fields() {
		if value.IsZero() {
			t.Fatalf("give %s a value here", field.Name)
		}
	}
	db := &copied{}
	created, err := CopyCreations(t.Context(), storagedb.New(db), []Creation{creation}, map[string]int64{"p": 7},
		time.Now())
	is.NoErr(err)
	row := reflect.ValueOf(created[0])
	for field := range reflect.TypeFor[Creation]().Fields() {
		if row.FieldByName(field.Name).IsZero() {
			t.Errorf("Creation.Row leaves out %s", field.Name)
		}
	}
	for field, value := range row.Fields() {
		column := field.Tag.Get("json")
		inserted, ok := db.row[column]
		switch {
		case ok && !reflect.DeepEqual(inserted, value.Interface()):
			t.Errorf("CopyCreations inserts %v as %s, and returns %v", inserted, column, value)
		case !ok && !value.IsZero() && column != "progress_step": // the schema's default
			t.Errorf("InsertGenerations in db/queries/generations.sql lacks %s, which Creation.Row sets", column)
		}
	}
}
