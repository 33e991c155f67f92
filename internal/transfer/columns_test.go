package transfer

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// The hash that proves a transfer covers every column: two rows that differ in one alone must have different encodings.
func TestEveryColumnIsHashed(t *testing.T) {
	t.Parallel()
	everyColumnIsHashed(t, "encodePrompt", encodePrompt)
	everyColumnIsHashed(t, "encodeGeneration", encodeGeneration)
	everyColumnIsHashed(t, "encodeGenerationError", encodeGenerationError)
}

func everyColumnIsHashed[Row any](t *testing.T, name string, encode func(*Row, encoding) encoding) {
	t.Helper()
	for field := range reflect.TypeFor[Row]().Fields() {
		values, encodings := samples(t, field.Type), make(map[string]bool)
		for _, value := range values {
			var row Row
			reflect.ValueOf(&row).Elem().FieldByIndex(field.Index).Set(reflect.ValueOf(value))
			encodings[string(encode(&row, nil))] = true
		}
		if len(encodings) != len(values) {
			t.Errorf("%s leaves out %s: %d different values have %d different encodings",
				name, field.Tag.Get("json"), len(values), len(encodings))
		}
	}
}

// samples are different values of a column's type, the zero value first.
func samples(t *testing.T, of reflect.Type) []any {
	t.Helper()
	if of.Kind() == reflect.Pointer {
		all := []any{reflect.Zero(of).Interface()}
		for _, value := range samples(t, of.Elem()) {
			pointer := reflect.New(of.Elem())
			pointer.Elem().Set(reflect.ValueOf(value))
			all = append(all, pointer.Interface())
		}
		return all
	}
	switch reflect.Zero(of).Interface().(type) {
	case int64:
		return []any{int64(0), int64(1), int64(-1)}
	case float64:
		return []any{0.0, 0.5, -0.5}
	case bool:
		return []any{false, true}
	case string:
		return []any{"", "a", "b"}
	case storagedb.Status:
		return []any{storagedb.Status(""), storagedb.StatusPending, storagedb.StatusFailed}
	case storagedb.Metadata:
		return []any{storagedb.Metadata(""), storagedb.Metadata(`{"a":1}`), storagedb.Metadata(`{"a":2}`)}
	case uuid.UUID:
		return []any{uuid.Nil, uuid.UUID{15: 1}, uuid.Max}
	case time.Time:
		return []any{time.Time{}, time.UnixMicro(0), time.UnixMicro(1)}
	}
	t.Fatalf("no column has been a %s yet: add values of it here", of)
	return nil
}

// A row that one of the engines refuses is named before anything is copied, whichever of its columns is to blame.
func TestEveryColumnIsCheckedBeforeTransfer(t *testing.T) {
	t.Parallel()
	everyColumnIsChecked(t, "fitPrompt", engine.Prompts.Fit)
	everyColumnIsChecked(t, "fitGeneration", engine.Generations.Fit)
	everyColumnIsChecked(t, "fitGenerationError", engine.GenerationErrors.Fit)
}

func everyColumnIsChecked[Row any](t *testing.T, name string, fit func(*Row) error) {
	t.Helper()
	// PostgreSQL refuses the text, and SQLite sorts the time wrongly.
	badText, badTime := "\xff", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	for field := range reflect.TypeFor[Row]().Fields() {
		row := new(Row)
		for i, value := range reflect.ValueOf(row).Elem().Fields() {
			if text, ok := value.Addr().Interface().(*string); ok {
				*text = fmt.Sprint("text of ", i.Name)
			}
		}
		switch value := reflect.ValueOf(row).Elem().FieldByIndex(field.Index).Addr().Interface().(type) {
		case *string:
			*value = badText
		case **string:
			*value = &badText
		case *time.Time:
			*value = badTime
		case **time.Time:
			*value = &badTime
		default:
			continue // the CHECK constraints of both engines say the same of it
		}
		var invalid *storagedb.ValidationError
		column := field.Tag.Get("json")
		if err := fit(row); !errors.As(err, &invalid) || invalid.Field != column {
			t.Errorf("%s leaves out %s: a value that no store holds returns %v", name, column, err)
		}
	}
}
