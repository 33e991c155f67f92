package sqliteconn

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// TimeLayout is the layout of stored times, which are in UTC. It has a fixed width, so that times sort as text.
// SQLite's date functions and the Python service can read it.
const TimeLayout = "2006-01-02 15:04:05.000000"

// arguments converts arguments to the types that SQLite has. modernc binds $1 and ?1 by position.
func arguments(args []any) ([]driver.NamedValue, error) {
	values := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		value, err := argument(arg)
		if err != nil {
			return nil, fmt.Errorf("store: argument %d: %w", i+1, err)
		}
		values[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	return values, nil
}

func argument(arg any) (driver.Value, error) {
	switch arg := arg.(type) {
	case nil, int64, float64, bool, string, []byte:
		return arg, nil
	case time.Time:
		return arg.UTC().Format(TimeLayout), nil
	case *time.Time:
		if arg == nil {
			return nil, nil
		}
		return arg.UTC().Format(TimeLayout), nil
	case uuid.UUID:
		return arg.String(), nil
	case driver.Valuer:
		if v := reflect.ValueOf(arg); v.Kind() == reflect.Pointer && v.IsNil() {
			return nil, nil
		}
		value, err := arg.Value()
		if err != nil {
			return nil, err
		}
		return argument(value)
	}
	v := reflect.ValueOf(arg)
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil, nil
		}
		return argument(v.Elem().Interface())
	case reflect.String:
		return v.String(), nil
	case reflect.Bool:
		return v.Bool(), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int(), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if v.Uint() > 1<<63-1 {
			return nil, errors.New("is greater than SQLite's largest integer")
		}
		return int64(v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return v.Float(), nil
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return v.Bytes(), nil
		}
	}
	return nil, fmt.Errorf("SQLite has no type for %T", arg)
}

// scanValue stores a column's value in the variable that dest points to. The types of the store's own rows come first,
// for speed.
func scanValue(value driver.Value, dest any) error {
	switch dest := dest.(type) {
	case *string:
		if text, ok := value.(string); ok {
			*dest = text
			return nil
		}
	case *int64:
		if number, ok := value.(int64); ok {
			*dest = number
			return nil
		}
	case *float64:
		if number, ok := value.(float64); ok {
			*dest = number
			return nil
		}
	case *bool:
		if number, ok := value.(int64); ok && (number == 0 || number == 1) {
			*dest = number == 1
			return nil
		}
	case *time.Time:
		return scanTime(value, dest)
	case **time.Time:
		return scanNullable(value, dest, scanTime)
	case **string:
		return scanNullable(value, dest, scanValue)
	case **uuid.UUID:
		return scanNullable(value, dest, scanValue)
	case **int64:
		return scanNullable(value, dest, scanValue)
	case **float64:
		return scanNullable(value, dest, scanValue)
	case *storagedb.Status:
		if text, ok := value.(string); ok {
			*dest = storagedb.Status(text)
			return nil
		}
	case *storagedb.Metadata:
		if text, ok := value.(string); ok {
			*dest = storagedb.Metadata(text)
			return nil
		}
	case *uuid.UUID:
		if text, ok := value.(string); ok {
			parsed, err := uuid.Parse(text)
			*dest = parsed
			return err
		}
	}
	return scanAny(value, dest)
}

func scanNullable[T any](value driver.Value, dest **T, scan func(driver.Value, any) error) error {
	if value == nil {
		*dest = nil
		return nil
	}
	*dest = new(T)
	return scan(value, *dest)
}

// scanAny scans into the types of a user's own queries. database/sql has this conversion, but does not export it.
func scanAny(value driver.Value, dest any) error {
	if scanner, ok := dest.(sql.Scanner); ok {
		return scanInto(scanner, value)
	}
	pointer := reflect.ValueOf(dest)
	if pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return fmt.Errorf("destination %T is no pointer", dest)
	}
	into := pointer.Elem()
	if into.Kind() == reflect.Pointer {
		if value == nil {
			into.SetZero()
			return nil
		}
		into.Set(reflect.New(into.Type().Elem()))
		return scanValue(value, into.Interface())
	}
	if into.Kind() == reflect.Interface && into.NumMethod() == 0 {
		into.Set(reflect.ValueOf(&value).Elem())
		return nil
	}
	if value == nil && into.Kind() == reflect.Slice { // such as sqlc's nullable bytea and jsonb
		into.SetZero()
		return nil
	}
	switch value := value.(type) {
	case string:
		if into.Kind() == reflect.String || into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Uint8 {
			into.Set(reflect.ValueOf(value).Convert(into.Type()))
			return nil
		}
	case []byte:
		if into.Kind() == reflect.String || into.Kind() == reflect.Slice && into.Type().Elem().Kind() == reflect.Uint8 {
			into.Set(reflect.ValueOf(value).Convert(into.Type()))
			return nil
		}
	case float64:
		if into.CanFloat() {
			into.SetFloat(value)
			return nil
		}
	case int64:
		switch {
		case into.CanInt() && !into.OverflowInt(value):
			into.SetInt(value)
			return nil
		case into.CanUint() && value >= 0 && !into.OverflowUint(uint64(value)):
			into.SetUint(uint64(value))
			return nil
		case into.CanFloat():
			into.SetFloat(float64(value))
			return nil
		case into.Kind() == reflect.Bool && (value == 0 || value == 1):
			into.SetBool(value == 1)
			return nil
		}
	}
	if value == nil {
		return fmt.Errorf("cannot scan NULL into %s", into.Type())
	}
	return fmt.Errorf("cannot scan %T into %s", value, into.Type())
}

// scanInto passes a scanner the value as SQLite stores it and, if the scanner refuses that, what the value may mean.
// SQLite stores times, booleans and decimals as texts and numbers. pgtype's types, which sqlc uses for pgx, refuse
// those.
func scanInto(scanner sql.Scanner, value driver.Value) error {
	err := scanner.Scan(value)
	if err == nil {
		return nil
	}
	var meanings []driver.Value
	switch value := value.(type) {
	case string:
		var at time.Time
		if scanTime(value, &at) == nil {
			meanings = append(meanings, at)
		}
	case int64:
		meanings = append(meanings, value != 0, strconv.FormatInt(value, 10))
	case float64:
		meanings = append(meanings, strconv.FormatFloat(value, 'g', -1, 64))
	}
	for _, meaning := range meanings {
		if scanner.Scan(meaning) == nil {
			return nil
		}
	}
	return err
}

func scanTime(value driver.Value, pointer any) error {
	dest := pointer.(*time.Time)
	switch value := value.(type) {
	case time.Time: // modernc parses columns declared as DATETIME, which a user's table may have
		*dest = value.UTC()
		return nil
	case string:
		for _, layout := range []string{TimeLayout, time.DateTime, time.RFC3339Nano} {
			if parsed, err := time.Parse(layout, value); err == nil {
				*dest = parsed.UTC()
				return nil
			}
		}
		return errors.New("is no time as SQLite stores it")
	}
	return fmt.Errorf("cannot scan %T into a time", value)
}

// readableIDs reports whether each value is NULL or can be scanned as a UUID.
func readableIDs(values []driver.Value) bool {
	for _, value := range values {
		if value != nil && scanValue(value, new(uuid.UUID)) != nil {
			return false
		}
	}
	return true
}

// readableTimes reports whether each value is NULL or can be scanned as a time.
func readableTimes(values []driver.Value) bool {
	for _, value := range values {
		if value != nil && scanTime(value, new(time.Time)) != nil {
			return false
		}
	}
	return true
}
