package postgres

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/dgx-music/storage/storagedb"
)

// registerTypes teaches a connection the types of our rows. pgx reads uuid.UUID and Metadata by their database/sql
// methods: through text, two errors that it drops, and several allocations for each value. It returns times in the
// machine's zone, and finds a status, and the target of a pointer, by reflection.
func registerTypes(types *pgtype.Map) {
	types.TryWrapScanPlanFuncs = append([]pgtype.TryWrapScanPlanFunc{wrapNullable}, types.TryWrapScanPlanFuncs...)
	for _, t := range []struct {
		name       string
		oid, array uint32
		codec      pgtype.Codec
	}{
		{"timestamptz", pgtype.TimestamptzOID, pgtype.TimestamptzArrayOID, &pgtype.TimestamptzCodec{ScanLocation: time.UTC}},
		{"uuid", pgtype.UUIDOID, pgtype.UUIDArrayOID, uuidCodec{}},
		{"text", pgtype.TextOID, pgtype.TextArrayOID, textCodec{defaultCodec(types, pgtype.TextOID)}},
		{"jsonb", pgtype.JSONBOID, pgtype.JSONBArrayOID, metadataCodec{defaultCodec(types, pgtype.JSONBOID)}},
	} {
		element := &pgtype.Type{Name: t.name, OID: t.oid, Codec: t.codec}
		types.RegisterType(element)
		types.RegisterType(&pgtype.Type{Name: "_" + t.name, OID: t.array, Codec: &pgtype.ArrayCodec{ElementType: element}})
	}
}

func defaultCodec(types *pgtype.Map, oid uint32) pgtype.Codec {
	known, _ := types.TypeForOID(oid) // the types of PostgreSQL itself are all known
	return known.Codec
}

// uuidCodec is pgx's codec that also knows uuid.UUID.
type uuidCodec struct{ pgtype.UUIDCodec }

func (c uuidCodec) PlanEncode(types *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(uuid.UUID); ok && format == pgtype.BinaryFormatCode {
		return uuidPlan{}
	}
	return c.UUIDCodec.PlanEncode(types, oid, format, value)
}

func (c uuidCodec) PlanScan(types *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*uuid.UUID); ok && format == pgtype.BinaryFormatCode {
		return uuidPlan{}
	}
	return c.UUIDCodec.PlanScan(types, oid, format, target)
}

type uuidPlan struct{}

func (uuidPlan) Encode(value any, buf []byte) ([]byte, error) {
	id := value.(uuid.UUID)
	return append(buf, id[:]...), nil
}

func (uuidPlan) Scan(source []byte, target any) error {
	if source == nil {
		return errors.New("cannot scan NULL into a uuid.UUID")
	}
	id := target.(*uuid.UUID)
	if len(source) != len(id) {
		return fmt.Errorf("a UUID of %d bytes", len(source))
	}
	copy(id[:], source)
	return nil
}

// metadataCodec is pgx's codec for JSONB that also knows Metadata.
type metadataCodec struct{ pgtype.Codec }

func (c metadataCodec) PlanEncode(types *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if _, ok := value.(storagedb.Metadata); ok {
		return metadataPlan{format}
	}
	return c.Codec.PlanEncode(types, oid, format, value)
}

func (c metadataCodec) PlanScan(types *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*storagedb.Metadata); ok {
		return metadataPlan{format}
	}
	return c.Codec.PlanScan(types, oid, format, target)
}

type metadataPlan struct{ format int16 }

// jsonbVersion precedes the text in the binary format.
const jsonbVersion = 1

func (p metadataPlan) Encode(value any, buf []byte) ([]byte, error) {
	if p.format == pgtype.BinaryFormatCode {
		buf = append(buf, jsonbVersion)
	}
	metadata := value.(storagedb.Metadata)
	if len(metadata) == 0 {
		return append(buf, "{}"...), nil
	}
	return append(buf, metadata...), nil
}

func (p metadataPlan) Scan(source []byte, target any) error {
	if p.format == pgtype.BinaryFormatCode && source != nil {
		if len(source) == 0 || source[0] != jsonbVersion {
			return errors.New("JSONB of an unknown version")
		}
		source = source[1:]
	}
	if source == nil {
		return target.(*storagedb.Metadata).Scan(nil)
	}
	return target.(*storagedb.Metadata).Scan(source) // a copy: pgx uses the buffer again
}

// textCodec is pgx's codec that also knows Status.
type textCodec struct{ pgtype.Codec }

func (c textCodec) PlanScan(types *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*storagedb.Status); ok {
		return statusPlan{}
	}
	return c.Codec.PlanScan(types, oid, format, target)
}

type statusPlan struct{}

// Scan allocates no text for a known status.
func (statusPlan) Scan(source []byte, target any) error {
	if source == nil {
		return errors.New("cannot scan NULL into a Status")
	}
	status := target.(*storagedb.Status)
	for _, known := range statuses {
		if string(source) == string(known) {
			*status = known
			return nil
		}
	}
	*status = storagedb.Status(source)
	return nil
}

var statuses = storagedb.Statuses()

// wrapNullable plans the scan of the nullable columns of our rows.
func wrapNullable(target any) (plan pgtype.WrappedScanPlanNextSetter, next any, ok bool) {
	switch target.(type) {
	case **string:
		return &nullable[string]{}, planned.text, true
	case **int64:
		return &nullable[int64]{}, planned.integer, true
	case **float64:
		return &nullable[float64]{}, planned.number, true
	case **time.Time:
		return &nullable[time.Time]{}, planned.time, true
	case **uuid.UUID:
		return &nullable[uuid.UUID]{}, planned.id, true
	}
	return nil, nil, false
}

// planned are the targets that pgx inspects to make a plan, once for each column of each query. It scans nothing into
// them.
var planned = struct {
	text    *string
	integer *int64
	number  *float64
	time    *time.Time
	id      *uuid.UUID
}{new(string), new(int64), new(float64), new(time.Time), new(uuid.UUID)}

type nullable[T any] struct{ next pgtype.ScanPlan }

func (n *nullable[T]) SetNext(next pgtype.ScanPlan) { n.next = next }

func (n *nullable[T]) Scan(source []byte, target any) error {
	if source == nil {
		*target.(**T) = nil
		return nil
	}
	value := new(T)
	*target.(**T) = value
	return n.next.Scan(source, value)
}
