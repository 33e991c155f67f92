package listing

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/storagedb"
)

// Key is a row's key in the order of creation.
type Key struct {
	CreatedAt time.Time
	ID        uuid.UUID
}

func keyOf(g storagedb.Generation) Key { return Key{CreatedAt: g.CreatedAt, ID: g.ID} }

// The bounds of a list without bounds.
var (
	beforeAll = Key{CreatedAt: time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)}
	afterAll  = Key{CreatedAt: time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), ID: uuid.Max}
)

func (k Key) isBefore(other Key) bool {
	return cmp.Or(k.CreatedAt.Compare(other.CreatedAt), bytes.Compare(k.ID[:], other.ID[:])) < 0
}

// GroupedKey is the key of a row, and the group that it was looked up by: the ID of a prompt, or a number in metadata.
type GroupedKey struct {
	Key
	Group any
}

// A cursor is the base64url form of a version byte, the time in microseconds since 1970, the ID, and the CRC-32 of all
// that. The checksum tells a cursor that was cut or changed on its way from a valid one.
const (
	cursorVersion = 1
	cursorBytes   = 1 + 8 + 16 + 4
)

// Cursor returns the key as an opaque text.
func (k Key) Cursor() string {
	raw := make([]byte, 0, cursorBytes)
	raw = append(raw, cursorVersion)
	raw = binary.BigEndian.AppendUint64(raw, uint64(k.CreatedAt.UnixMicro()))
	raw = append(raw, k.ID[:]...)
	raw = binary.BigEndian.AppendUint32(raw, crc32.ChecksumIEEE(raw))
	return base64.RawURLEncoding.EncodeToString(raw)
}

// parseCursor returns the key of a cursor that is not empty.
func parseCursor(cursor string) (Key, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(cursor) != base64.RawURLEncoding.EncodedLen(cursorBytes) ||
		len(raw) != cursorBytes || raw[0] != cursorVersion ||
		binary.BigEndian.Uint32(raw[cursorBytes-4:]) != crc32.ChecksumIEEE(raw[:cursorBytes-4]) {
		return Key{}, dberr.Invalid("after", "is not a cursor that this store gave out")
	}
	micros := int64(binary.BigEndian.Uint64(raw[1:9])) // negative before 1970
	createdAt := time.UnixMicro(micros).UTC()
	if err := dberr.CheckYear("after", createdAt); err != nil { // anybody can compute a CRC
		return Key{}, err
	}
	return Key{CreatedAt: createdAt, ID: uuid.UUID(raw[9:25])}, nil
}
