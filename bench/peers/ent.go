package peers

import (
	"context"
	"slices"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/dgx-music/storage/bench/peers/ent"
	"github.com/dgx-music/storage/bench/peers/ent/generation"
	"github.com/dgx-music/storage/bench/peers/ent/prompt"
	"github.com/dgx-music/storage/bench/peers/stamp"
)

type entClient struct {
	*ent.Client
	asText bool // whether times are stored as text
}

func openEntSQLite(connections int) func(context.Context, string) (Client, error) {
	return func(_ context.Context, url string) (Client, error) {
		db, err := openPool("sqlite", moderncDSN(url), connections)
		if err != nil {
			return nil, err
		}
		return entClient{ent.NewClient(ent.Driver(entsql.OpenDB(dialect.SQLite, db))), true}, nil
	}
}

func openEntPostgres(connections int) func(context.Context, string) (Client, error) {
	return func(_ context.Context, url string) (Client, error) {
		db, err := openPool("pgx", url, connections)
		if err != nil {
			return nil, err
		}
		return entClient{ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db))), false}, nil
	}
}

func (e entClient) inTx(ctx context.Context, fn func(tx *ent.Tx) error) error {
	tx, err := e.Tx(ctx)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		tx.Rollback()
		return err
	}
	return tx.Commit()
}

func (e entClient) Create(ctx context.Context, job Job) error {
	return e.inTx(ctx, func(tx *ent.Tx) error {
		at := stamp.Time{Time: job.At, AsText: e.asText}
		addUse := func(u *ent.PromptUpsert) { u.AddUsedCount(1).UpdateLastUsedAt() }
		id, err := tx.Prompt.Create().SetText(job.Prompt).SetUsedCount(1).SetFirstUsedAt(at).SetLastUsedAt(at).
			OnConflictColumns(prompt.FieldText).Update(addUse).ID(ctx)
		if err != nil {
			return err
		}
		create, err := e.generation(tx, job, id)
		if err != nil {
			return err
		}
		return create.Exec(ctx)
	})
}

func (e entClient) generation(tx *ent.Tx, job Job, prompt int64) (*ent.GenerationCreate, error) {
	at := stamp.Time{Time: job.At, AsText: e.asText}
	id, err := uuid.Parse(job.ID)
	return tx.Generation.Create().SetID(id).SetPrompt(job.Prompt).SetModelName(modelName).SetDurationSeconds(duration).
		SetSampleRate(sampleRate).SetChannels(channels).SetFilePath(job.FilePath).SetStatus("pending").
		SetMetadata(job.Metadata).SetPromptID(prompt).SetCreatedAt(at).SetScheduledAt(at), err
}

// CreateAll reads the IDs of the prompts after the upsert, because ent's bulk upsert does not return them.
func (e entClient) CreateAll(ctx context.Context, jobs []Job) error {
	return e.inTx(ctx, func(tx *ent.Tx) error {
		at := stamp.Time{Time: jobs[len(jobs)-1].At, AsText: e.asText}
		texts, counts := countPrompts(jobs)
		prompts := make([]*ent.PromptCreate, len(texts))
		for i := range prompts {
			prompts[i] = tx.Prompt.Create().SetText(texts[i]).SetUsedCount(counts[i]).SetFirstUsedAt(at).SetLastUsedAt(at)
		}
		addUses := entsql.ResolveWith(func(u *entsql.UpdateSet) {
			u.Set(prompt.FieldUsedCount, entsql.Expr("prompts.used_count + excluded.used_count")).
				SetExcluded(prompt.FieldLastUsedAt)
		})
		err := tx.Prompt.CreateBulk(prompts...).OnConflict(entsql.ConflictColumns(prompt.FieldText), addUses).Exec(ctx)
		if err != nil {
			return err
		}
		found, err := tx.Prompt.Query().Where(prompt.TextIn(texts...)).Select(prompt.FieldID, prompt.FieldText).All(ctx)
		if err != nil {
			return err
		}
		ids := make(map[string]int64, len(found))
		for _, p := range found {
			ids[p.Text] = p.ID
		}
		for chunk := range slices.Chunk(jobs, 1000) {
			creates := make([]*ent.GenerationCreate, len(chunk))
			for i, job := range chunk {
				if creates[i], err = e.generation(tx, job, ids[job.Prompt]); err != nil {
					return err
				}
			}
			if err := tx.Generation.CreateBulk(creates...).Exec(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (e entClient) Get(ctx context.Context, id uuid.UUID) (string, error) {
	found, err := e.Generation.Get(ctx, id)
	if err != nil {
		return "", err
	}
	return found.Prompt, nil
}

func (e entClient) List(ctx context.Context, limit int) (uuid.UUID, int, error) {
	newestFirst := ent.Desc(generation.FieldCreatedAt, generation.FieldID)
	list, err := e.Generation.Query().Order(newestFirst).Limit(limit).All(ctx)
	if err != nil || len(list) == 0 {
		return uuid.UUID{}, 0, err
	}
	return list[0].ID, len(list), nil
}
