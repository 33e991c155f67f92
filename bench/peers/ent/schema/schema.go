// Package schema describes the store's tables to ent. The store's migrations create them; ent migrates nothing.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/dgx-music/storage/bench/peers/stamp"
)

// Prompt is a row of prompts.
type Prompt struct{ ent.Schema }

func (Prompt) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "prompts"}}
}

func (Prompt) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id"),
		field.String("text").Unique(),
		field.Int64("used_count"),
		at("first_used_at"),
		at("last_used_at"),
	}
}

// Generation is a row of generations with all columns.
type Generation struct{ ent.Schema }

func (Generation) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Annotation{Table: "generations"}}
}

func (Generation) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}),
		field.String("prompt"),
		field.String("model_name"),
		field.String("model_version").Optional().Nillable(),
		field.Float("duration_seconds"),
		field.Int64("sample_rate"),
		field.Int64("channels"),
		field.String("file_path"),
		field.Int64("file_size_bytes").Optional().Nillable(),
		field.String("status"),
		at("created_at"),
		maybeAt("completed_at"),
		field.Float("generation_time_seconds").Optional().Nillable(),
		field.String("error_message").Optional().Nillable(),
		field.String("metadata"), // ent would store JSON as a BLOB, which SQLite's STRICT table refuses
		field.Int64("prompt_id"),
		field.Int64("priority").Default(0),
		at("scheduled_at"),
		maybeAt("started_at"),
		field.Int64("attempt").Default(0),
		field.Int64("max_attempts").Default(3),
		field.String("worker").Optional().Nillable(),
		maybeAt("lease_expires_at"),
		field.UUID("batch_id", uuid.UUID{}).Optional().Nillable(),
		field.String("progress_step").Default("queued"),
		field.Float("progress_fraction").Default(0),
		maybeAt("cancel_requested_at"),
		field.Bool("favorite").Default(false),
	}
}

func at(name string) ent.Field { return field.String(name).GoType(stamp.Time{}) }

func maybeAt(name string) ent.Field {
	return field.String(name).GoType(stamp.Time{}).Optional().Nillable()
}
