package pythondb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/sqliteconn"
	"github.com/dgx-music/storage/storagedb"
)

// A page of rows ends after maxPageRows, or after the row that brings it to maxPageBytes.
const (
	maxPageRows  = 500
	maxPageBytes = 4 << 20
)

// eachRow checks all rows in the order in which they are stored. If change is not nil, it calls change for each row
// whose columns need another value.
func (a *adoption) eachRow(change func(table string, rowid int64, changed []columnValue) error) error {
	for _, table := range []string{"prompts", "generations"} {
		columns := make([]string, len(pythonColumns[table]))
		for i, column := range pythonColumns[table] {
			// An expression has no declared type. modernc would convert a column declared as DATETIME to a time.
			columns[i] = "+" + column
		}
		query := "SELECT rowid, " + strings.Join(columns, ", ") + " FROM " + table +
			" WHERE rowid >= $1 ORDER BY rowid LIMIT $2"
		for next, more := int64(math.MinInt64), true; more; {
			read, err := a.rows(query, next)
			if err != nil {
				return err
			}
			for _, values := range read {
				r := pythonRow{adoption: a, table: table, rowid: values[0].(int64), values: values[1:]}
				if err := r.check(); err != nil {
					return err
				}
				if change != nil && len(r.changed) > 0 {
					if err := change(table, r.rowid, r.changed); err != nil {
						return err
					}
				}
				next = r.rowid + 1
			}
			more = len(read) > 0 && next > math.MinInt64 // no row comes after the highest rowid
		}
	}
	return nil
}

func (a *adoption) rows(query string, from int64) ([][]any, error) {
	rows, err := a.conn.Query(a.ctx, query, from, maxPageRows)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var read [][]any
	for bytes := 0; bytes < maxPageBytes && rows.Next(); {
		values, err := rows.Values()
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			switch value := value.(type) {
			case string:
				bytes += len(value)
			case []byte:
				bytes += len(value)
			}
		}
		read = append(read, values)
	}
	return read, rows.Err()
}

// columnValue is the new value of a column.
type columnValue struct {
	column string
	value  string
}

// pythonRow is a row as the service left it. Its columns may have values of any type.
type pythonRow struct {
	*adoption
	table   string
	rowid   int64
	values  []any
	changed []columnValue
}

func (r *pythonRow) column(name string) any {
	return r.values[slices.Index(pythonColumns[r.table], name)]
}

func (r *pythonRow) refuse(column, problem, remedy string) {
	name := fmt.Sprintf("rowid %d", r.rowid)
	if id, ok := r.column("id").(string); ok {
		name = fmt.Sprintf("%.100q (%s)", id, name)
	}
	r.problem(Problem{
		Table: r.table, Row: name, Column: column, Problem: problem,
		Remedy: fmt.Sprintf("%s, or delete the row: DELETE FROM %s WHERE rowid = %d", remedy, r.table, r.rowid),
	})
}

func (r *pythonRow) set(column, value string) {
	r.changed = append(r.changed, columnValue{column, value})
}

// check refuses values that the schema would refuse, or that the store could not read.
func (r *pythonRow) check() error {
	if r.table == "prompts" {
		if r.rowid == math.MaxInt64 {
			r.refuse("id", "leaves no ID for new prompts", "give it a lower one")
		}
		r.text("text", math.MaxInt)
		r.integer("used_count", 0)
		r.time("first_used_at")
		r.time("last_used_at")
		return nil
	}
	if err := r.uuid("id"); err != nil {
		return err
	}
	r.text("prompt", math.MaxInt) // it may be longer than the store accepts
	r.text("model_name", dberr.MaxModelNameBytes)
	r.optional("model_version", func() { r.textOrNothing("model_version", dberr.MaxModelVersionBytes) })
	r.float("duration_seconds", math.SmallestNonzeroFloat64)
	r.integer("sample_rate", 1)
	if channels := r.column("channels"); channels != int64(1) && channels != int64(2) {
		r.refuse("channels", "is "+shown(channels), "set it to 1 (mono) or 2 (stereo)")
	}
	r.text("file_path", dberr.MaxFilePathBytes)
	r.optional("file_size_bytes", func() { r.integer("file_size_bytes", 0) })
	if status, ok := r.column("status").(string); !ok || dberr.CheckStatus(storagedb.Status(status)) != nil {
		r.refuse("status", "is "+shown(r.column("status")), "set it to pending, processing, completed, failed or cancelled")
	}
	r.time("created_at")
	r.optional("completed_at", func() { r.time("completed_at") })
	r.optional("generation_time_seconds", func() { r.float("generation_time_seconds", 0) })
	r.optional("error_message", func() { r.textOrNothing("error_message", dberr.MaxErrorMessageBytes) })
	r.optional("metadata", r.metadata)
	return nil
}

func (r *pythonRow) optional(column string, check func()) {
	if r.column(column) != nil {
		check()
	}
}

// shown returns a value for an error text. It must not be a prompt.
func shown(value any) string {
	if text, ok := value.(string); ok {
		return fmt.Sprintf("%.100q", text)
	}
	return fmt.Sprintf("%.100s", fmt.Sprint(value))
}

func (r *pythonRow) text(column string, maxBytes int) {
	if r.column(column) == "" {
		r.refuse(column, "is empty", "fill it in")
		return
	}
	r.textOrNothing(column, maxBytes)
}

func (r *pythonRow) textOrNothing(column string, maxBytes int) {
	text, ok := r.column(column).(string)
	if !ok {
		r.refuse(column, "is no text", "write it as text")
		return
	}
	if err := dberr.CheckText(column, text, maxBytes); err != nil {
		r.refuse(column, problemOf(err), "correct it")
	}
}

func (r *pythonRow) integer(column string, least int64) {
	if value, ok := r.column(column).(int64); !ok || value < least {
		r.refuse(column, "is "+shown(r.column(column)), fmt.Sprintf("set it to a whole number of %d or more", least))
	}
}

func (r *pythonRow) float(column string, least float64) {
	value, ok := r.column(column).(float64)
	if !ok || !(value >= least && value <= math.MaxFloat64) {
		need := "of 0 or more"
		if least > 0 {
			need = "above 0"
		}
		r.refuse(column, "is "+shown(r.column(column)), "set it to a finite number "+need)
	}
}

// uuid accepts any spelling of a UUID, and changes it to the one in lower case.
func (r *pythonRow) uuid(column string) error {
	text, _ := r.column(column).(string)
	parsed, err := uuid.Parse(text)
	if err != nil || len(text) != 36 && len(text) != 32 { // uuid.Parse ignores the characters around a longer one
		r.refuse(column, "is no UUID", "give the row another ID")
		return nil
	}
	id := parsed.String()
	if id == text {
		return nil
	}
	taken := r.ids[id]
	if !taken {
		err := r.conn.QueryRow(r.ctx, "SELECT EXISTS (SELECT 1 FROM generations WHERE id = $1)", id).Scan(&taken)
		if err != nil {
			return err
		}
	}
	if taken {
		r.refuse(column, "is the UUID of another row, spelled differently", "give one of them another ID")
		return nil
	}
	if r.ids == nil {
		r.ids = make(map[string]bool)
	}
	r.ids[id] = true
	r.set(column, id)
	return nil
}

// pythonTimeLayouts are the forms of times that the service and other programs wrote: ISO 8601 with a T or a space, and
// with or without a zone. Without one it is UTC. Go parses a fraction after the seconds in any layout.
var pythonTimeLayouts = []string{
	"2006-01-02 15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05Z07",
	"2006-01-02 15:04",
}

func (r *pythonRow) time(column string) {
	var text string
	switch value := r.column(column).(type) {
	case string:
		text = value
	case []byte:
		text = string(value)
	}
	at, ok := parsePythonTime(text)
	if !ok {
		r.refuse(column,
			"is "+shown(r.column(column))+", which is no time of the years 1 to 9999 in microseconds",
			"write it like 2026-11-25 09:00:22.123456, in UTC")
		return
	}
	if written := at.UTC().Format(sqliteconn.TimeLayout); r.column(column) != written {
		r.set(column, written)
	}
}

func parsePythonTime(text string) (time.Time, bool) {
	for _, layout := range pythonTimeLayouts {
		at, err := time.Parse(layout, strings.Replace(text, "T", " ", 1))
		if err == nil {
			return at, dberr.CheckYear("", at) == nil && at.Equal(at.Truncate(storagedb.TimePrecision))
		}
	}
	return time.Time{}, false
}

// metadata keeps an object that the store accepts. Of duplicate keys it keeps the last, as Python does. It also keeps
// NULL, a blank text and null, of which the migration makes the empty object. It puts anything else under the key
// legacy_raw, verbatim.
func (r *pythonRow) metadata() {
	var text string
	switch value := r.column("metadata").(type) {
	case string:
		text = value
	case []byte:
		text = string(value)
	}
	if trimmed := strings.Trim(text, " \t\n\r"); trimmed == "" || trimmed == "null" {
		if text != r.column("metadata") {
			r.set("metadata", text)
		}
		return
	}
	kept, err := storagedb.Metadata(text).CanonicalStored()
	if err != nil {
		kept, err = legacyMetadata(text)
	} else if compact := new(bytes.Buffer); len(text) <= storagedb.MaxStoredMetadataBytes &&
		json.Compact(compact, []byte(text)) == nil && compact.String() == kept.String() {
		kept = storagedb.Metadata(text)
	}
	if err != nil { // the store could not return the text as it is
		r.refuse("metadata", problemOf(err), "correct it")
		return
	}
	if kept.String() != r.column("metadata") {
		r.set("metadata", kept.String())
	}
}

func legacyMetadata(text string) (storagedb.Metadata, error) {
	if err := dberr.CheckText("metadata", text, math.MaxInt); err != nil {
		return nil, err
	}
	encoded, err := json.Marshal(map[string]string{"legacy_raw": text})
	if err != nil {
		return nil, err
	}
	return storagedb.Metadata(encoded).CanonicalStored()
}

// problemOf returns the problem of a *ValidationError without its field, or the text of any other error.
func problemOf(err error) string {
	if refusal, ok := errors.AsType[*storagedb.ValidationError](err); ok {
		return refusal.Problem
	}
	return err.Error()
}
