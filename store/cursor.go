package store

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/google/uuid"
)

// Cursor marks a place in a list: the page that follows starts behind the last row already seen, whatever was inserted
// or deleted in between. It is opaque; keep it and give it back. The zero value is the beginning.
type Cursor string

// position is a row's place in the order of creation.
type position struct {
	createdAt time.Time
	id        uuid.UUID
}

func positionOf(g Generation) position { return position{createdAt: g.CreatedAt, id: g.ID} }

// Before and behind every row.
var (
	beginningOfTime = position{createdAt: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)}
	endOfTime       = position{createdAt: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), id: uuid.Max}
)

func (p position) isBefore(q position) bool {
	return cmp.Or(p.createdAt.Compare(q.createdAt), bytes.Compare(p.id[:], q.id[:])) < 0
}

// A cursor is base64url of: a version byte, the time in microseconds since 1970, the ID, and the CRC-32 of all that, so
// that one which was cut or changed on its way is told from a place in the list.
const (
	cursorVersion = 1
	cursorBytes   = 1 + 8 + 16 + 4
)

func (p position) cursor() Cursor {
	raw := make([]byte, 0, cursorBytes)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.createdAt.UnixMicro()))
	raw = append(raw, p.id[:]...)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return Cursor(base64.RawURLEncoding.EncodeToString(raw))
}

// position reads a cursor that is not empty.
func (c Cursor) position() (position, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(string(c))
	if err != nil || len(c) != base64.RawURLEncoding.EncodedLen(cursorBytes) || len(raw) != cursorBytes || raw[0] != cursorVersion ||
		binary.BigEndian.Uint32(raw[cursorBytes-4:]) != crc32.ChecksumIEEE(raw[:cursorBytes-4]) {
		return position{}, invalid("after", "is not a cursor that this store gave out")
	}
	micros := int64(binary.BigEndian.Uint64(raw[1:9])) // negative before 1970
	createdAt := time.UnixMicro(micros).UTC()
	if err := checkYear("after", createdAt); err != nil { // anybody can compute a CRC
		return position{}, err
	}
	return position{createdAt: createdAt, id: uuid.UUID(raw[9:25])}, nil
}
