package transfer

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// encoding is the values of a row, one after the other, in a form that does not depend on the engine. Only equal rows
// have equal encodings.
//   - An integer has 8 bytes. A time is the integer of its microseconds since 1970.
//   - A floating-point number is its bits.
//   - A text follows its length.
//   - Metadata is in its normal form.
//   - Before each nullable value, a byte is 0 if the value is NULL, else 1.
type encoding []byte

func encodePrompt(p *storagedb.Prompt, e encoding) encoding {
	return e.integer(p.ID).text(p.Text).integer(p.UsedCount).time(p.FirstUsedAt).time(p.LastUsedAt)
}

func encodeGeneration(g *storagedb.Generation, e encoding) encoding {
	e = e.id(g.ID).text(g.Prompt).text(g.ModelName).optionalText(g.ModelVersion).float(g.DurationSeconds)
	e = e.integer(g.SampleRate).integer(g.Channels).text(g.FilePath).optionalInteger(g.FileSizeBytes)
	e = e.text(string(g.Status)).time(g.CreatedAt).optionalTime(g.CompletedAt)
	e = e.optionalFloat(g.GenerationTimeSeconds).optionalText(g.ErrorMessage)
	e = e.metadata(g.Metadata).integer(g.PromptID).integer(g.Priority).time(g.ScheduledAt).optionalTime(g.StartedAt)
	e = e.integer(g.Attempt).integer(g.MaxAttempts).optionalText(g.Worker).optionalTime(g.LeaseExpiresAt)
	e = e.optionalID(g.BatchID)
	return e.text(g.ProgressStep).float(g.ProgressFraction).optionalTime(g.CancelRequestedAt).boolean(g.Favorite)
}

func encodeGenerationError(f *storagedb.GenerationError, e encoding) encoding {
	return e.id(f.GenerationID).integer(f.Attempt).text(f.Worker).text(f.Error).time(f.FailedAt)
}

func (e encoding) integer(value int64) encoding {
	return binary.BigEndian.AppendUint64(e, uint64(value))
}

func (e encoding) time(value time.Time) encoding { return e.integer(value.UnixMicro()) }

func (e encoding) id(value uuid.UUID) encoding { return append(e, value[:]...) }

func (e encoding) text(value string) encoding {
	return append(binary.AppendUvarint(e, uint64(len(value))), value...)
}

func (e encoding) boolean(value bool) encoding {
	if value {
		return append(e, 1)
	}
	return append(e, 0)
}

func (e encoding) float(value float64) encoding {
	if value == 0 {
		value = 0 // SQLite stores -0 as 0
	}
	return binary.BigEndian.AppendUint64(e, math.Float64bits(value))
}

// metadata writes the length last, because it is known only then. The normal form of an object shows its own end.
func (e encoding) metadata(value storagedb.Metadata) encoding {
	before := len(e)
	e = value.AppendNormal(e)
	return e.integer(int64(len(e) - before))
}

func (e encoding) optionalInteger(value *int64) encoding  { return optional(e, value, encoding.integer) }
func (e encoding) optionalTime(value *time.Time) encoding { return optional(e, value, encoding.time) }
func (e encoding) optionalID(value *uuid.UUID) encoding   { return optional(e, value, encoding.id) }
func (e encoding) optionalText(value *string) encoding    { return optional(e, value, encoding.text) }
func (e encoding) optionalFloat(value *float64) encoding  { return optional(e, value, encoding.float) }

func optional[T any](e encoding, value *T, put func(encoding, T) encoding) encoding {
	if value == nil {
		return append(e, 0)
	}
	return put(append(e, 1), *value)
}
