package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

// CreateGenerationParams is a generation that is asked for.
type CreateGenerationParams struct {
	ID              uuid.UUID // zero: a new UUIDv7; never one that was deleted, which a worker may still hold under the same attempt
	Prompt          string    // what the music is to be; 1 to 2,000 bytes
	ModelName       string    // such as "musicgen-small"; 1 to 255 bytes
	ModelVersion    *string   // at most 255 bytes; nil and the empty text are the same
	DurationSeconds float64   // the length of the audio asked for; positive and finite
	SampleRate      int64     // in Hz; 32000 for MusicGen
	Channels        int64     // 1 mono, 2 stereo
	FilePath        string    // where the audio will be; 1 to 4,096 bytes
	Metadata        Metadata  // a JSON object of at most 1 MiB; zero: the empty one
	Priority        int64     // lower is claimed first, as in River; meant for a few levels, since a claim looks at each
	ScheduledAt     time.Time // not to be claimed before; zero: now. In the past, it is claimed before what came later
	MaxAttempts     int64     // how often it may be tried, at most 2,147,483,647; 0: 3
	BatchID         uuid.UUID // what it is asked for together with, see BatchStats and CancelBatch; zero: on its own
}

// CompleteGenerationParams is what is known once the audio is there.
type CompleteGenerationParams struct {
	GenerationTimeSeconds float64  // how long the model took; finite, 0 or more
	FileSizeBytes         int64    // of the audio file; 0 or more, and stored as it is
	Metadata              Metadata // merged over what is there, top-level key by top-level key
	Attempt               int64    // the attempt of the claim that the worker holds; 0: not under a claim
}

// FailGenerationParams is why it did not work.
type FailGenerationParams struct {
	ErrorMessage string        // at most 1 MiB
	Attempt      int64         // the attempt of the claim that the worker holds; 0: not under a claim
	RetryAfter   time.Duration // when to try again; 0: after 1, 2, 4 ... seconds by the failures before, at most 10 minutes
	NoRetry      bool          // the failure is final, whatever attempts are left
}

// CreateGeneration creates a pending generation and counts a use of its prompt, together.
//
// It returns a *ValidationError for bad input, and ErrConflict where a generation with the given ID exists already.
func (o *operations) CreateGeneration(ctx context.Context, params CreateGenerationParams) (Generation, error) {
	created, err := o.createGenerations(ctx, "create generation", []CreateGenerationParams{params})
	if err != nil {
		return Generation{}, err
	}
	return created[0], nil
}

// CreateGenerations creates all of the generations or none, and returns them in the order of the parameters. Of two
// whose IDs the store draws the earlier one is claimed first. None at all is no error.
//
// It returns a *ValidationError for bad input, wrapped in an error that tells its place in the list, and ErrConflict
// where one of the IDs exists already or is given twice.
func (o *operations) CreateGenerations(ctx context.Context, params []CreateGenerationParams) ([]Generation, error) {
	if len(params) == 0 {
		return nil, nil
	}
	return o.createGenerations(ctx, "create generations", params)
}

func (o *operations) createGenerations(ctx context.Context, doing string, params []CreateGenerationParams) ([]Generation, error) {
	rows := make([]CreateGenerationParams, len(params))
	for i, given := range params {
		var err error
		if rows[i], err = given.checked(); err != nil {
			if len(params) > 1 {
				err = fmt.Errorf("number %d: %w", i+1, err)
			}
			return nil, describe(doing, err)
		}
	}
	var created []Generation
	create := func(db storagedb.DBTX) (err error) {
		created, err = o.dialect.createGenerations(ctx, db, rows, o.clock.Now())
		return err
	}
	var err error
	if len(rows) == 1 {
		err = o.session.writeJoint(ctx, &jointWrite{create: &rows[0], atomic: true, now: o.clock.Now(), set: func(g Generation) { created = []Generation{g} }}, create)
	} else if len(rows) <= maxCreatedTogether {
		err = o.session.writeMany(ctx, create)
	} else {
		err = o.session.writeAll(ctx, create)
	}
	if err != nil {
		return nil, describe(doing, err)
	}
	o.announceDue(created...)
	return created, nil
}

// maxCreatedTogether is how many generations one statement creates: the trips of a transaction around several are nothing
// beside more of them.
const maxCreatedTogether = 500

// copyCreated inserts the generations, whose prompts have these IDs, by the engine's bulk path. What it returns is what it has
// inserted: to ask the database for it would cost as much again.
func copyCreated(ctx context.Context, db storagedb.DBTX, rows []CreateGenerationParams, prompts map[string]int64, now time.Time) ([]Generation, error) {
	created, inserted := make([]Generation, len(rows)), make([]storagedb.InsertGenerationsParams, len(rows))
	for i, row := range rows {
		g := row.created(now, prompts[row.Prompt])
		created[i] = g
		inserted[i] = storagedb.InsertGenerationsParams{
			ID: g.ID, Prompt: g.Prompt, ModelName: g.ModelName, ModelVersion: g.ModelVersion, DurationSeconds: g.DurationSeconds,
			SampleRate: g.SampleRate, Channels: g.Channels, FilePath: g.FilePath, Status: g.Status, CreatedAt: g.CreatedAt,
			Metadata: g.Metadata, PromptID: g.PromptID, Priority: g.Priority, ScheduledAt: g.ScheduledAt, MaxAttempts: g.MaxAttempts,
			BatchID: g.BatchID,
		}
	}
	if _, err := storagedb.New(db).InsertGenerations(ctx, inserted); err != nil {
		return nil, err
	}
	return created, nil
}

// GetGeneration returns ErrNotFound where there is no such generation.
func (o *operations) GetGeneration(ctx context.Context, id uuid.UUID) (Generation, error) {
	var g Generation
	err := o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		g, err = storagedb.New(db).GetGeneration(ctx, id)
		return err
	})
	return g, describe("get generation "+id.String(), err)
}

// PendingGenerations returns the generations that wait, in the order in which they will be claimed: by priority, then
// by the time they are due, then by ID. A limit of 0 is 100; a negative one is a *ValidationError.
func (o *operations) PendingGenerations(ctx context.Context, limit int) ([]Generation, error) {
	rowLimit, err := limitOrDefault(limit, defaultListLimit)
	if err != nil {
		return nil, describe("list pending generations", err)
	}
	var pending []Generation
	err = o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		pending, err = storagedb.New(db).PendingGenerations(ctx, rowLimit)
		return err
	})
	return pending, describe("list pending generations", err)
}

// UpdateGenerationStatus sets a status by hand, and the error message with it: the empty one takes an earlier one away.
// Processing sets started_at; completed, failed and cancelled set completed_at; pending puts the generation at the end
// of the queue again. A claim on the generation ends.
//
// It returns ErrNotFound, a *TransitionError where the generation's status does not allow it, and a *ValidationError
// for an unknown status or a message with invalid UTF-8 or a NUL byte.
func (o *operations) UpdateGenerationStatus(ctx context.Context, id uuid.UUID, status Status, errorMessage string) (Generation, error) {
	doing := "update generation " + id.String()
	if err := checkStatus(status); err != nil {
		return Generation{}, describe(doing, err)
	}
	if err := checkErrorMessage(errorMessage); err != nil {
		return Generation{}, describe(doing, err)
	}
	g, err := o.transition(ctx, transition{id: id, to: status}, func(db storagedb.DBTX) (Generation, error) {
		queries, now, message := storagedb.New(db), o.clock.Now(), nullIfEmpty(errorMessage)
		switch status {
		case StatusPending:
			return queries.RequeueGeneration(ctx, storagedb.RequeueGenerationParams{ScheduledAt: now, ErrorMessage: message, ID: id})
		case StatusProcessing:
			return queries.StartGeneration(ctx, storagedb.StartGenerationParams{StartedAt: &now, ErrorMessage: message, ID: id})
		default:
			finish := storagedb.FinishGenerationParams{Status: status, CompletedAt: &now, ErrorMessage: message, ID: id}
			switch status {
			case StatusCompleted:
				finish.ProgressStep, finish.ProgressFraction = new(StepCompleted), new(1.0)
			case StatusFailed:
				finish.ProgressStep = new(StepFailed)
			}
			return queries.FinishGeneration(ctx, finish)
		}
	})
	o.announceDue(g)
	return g, describe(doing, err)
}

// CompleteGeneration records that the audio is there. The metadata given is merged over what is there, top-level key
// by top-level key, as the Python dict.update did; an error message of an earlier attempt goes away.
//
// It returns ErrNotFound, ErrLeaseLost where an attempt is given that does not hold the generation, whatever its status,
// or none where one holds it, a *TransitionError where the generation is finished already, and a *ValidationError for
// bad input.
func (o *operations) CompleteGeneration(ctx context.Context, id uuid.UUID, params CompleteGenerationParams) (Generation, error) {
	doing := "complete generation " + id.String()
	params, err := params.checked()
	if err != nil {
		return Generation{}, describe(doing, err)
	}
	t := transition{id: id, to: StatusCompleted, attempt: &params.Attempt}
	atomic := len(params.Metadata) > len("{}") // merged, it may be too large
	t.joint = &jointWrite{complete: &params, atomic: atomic, id: id, attempt: params.Attempt, now: o.clock.Now()}
	g, err := o.transition(ctx, t, func(db storagedb.DBTX) (Generation, error) {
		return o.dialect.completeGeneration(ctx, db, id, params, o.clock.Now())
	})
	return g, describe(doing, err)
}

// Completion is one of those that CompleteGenerations completes.
type Completion struct {
	ID uuid.UUID
	CompleteGenerationParams
}

// CompleteGenerations does as CompleteGeneration for all of the generations or for none, and returns them in the order of the
// completions: for workers that finish many. None at all is no error.
//
// It returns the errors of CompleteGeneration, of the first for which there is one, and a *ValidationError where a generation
// is given twice.
func (o *operations) CompleteGenerations(ctx context.Context, completions []Completion) ([]Generation, error) {
	if len(completions) == 0 {
		return nil, nil
	}
	completed, err := o.completeGenerations(ctx, completions)
	return completed, describe("complete generations", err)
}

func (o *operations) completeGenerations(ctx context.Context, given []Completion) ([]Generation, error) {
	completions, place := slices.Clone(given), make(map[uuid.UUID]int, len(given))
	for i := range completions {
		c := &completions[i]
		var err error
		if c.CompleteGenerationParams, err = c.checked(); err != nil {
			return nil, fmt.Errorf("number %d: %w", i+1, err)
		}
		if before, twice := place[c.ID]; twice {
			return nil, fmt.Errorf("number %d: %w", i+1, invalid("id", fmt.Sprintf("is that of number %d, too", before+1)))
		}
		place[c.ID] = i
	}
	inOrder := make([]Generation, len(completions))
	err := o.session.writeAll(ctx, func(db storagedb.DBTX) error {
		completed, err := o.dialect.completeGenerations(ctx, db, completions, o.clock.Now())
		if err != nil {
			return err
		}
		done := make(map[uuid.UUID]bool, len(completed))
		for _, g := range completed {
			inOrder[place[g.ID]], done[g.ID] = g, true
		}
		for _, c := range completions {
			if done[c.ID] {
				continue
			}
			current, err := storagedb.New(db).GetGeneration(ctx, c.ID)
			if err == nil {
				err = transition{id: c.ID, to: StatusCompleted, attempt: &c.Attempt}.allowedFor(current)
			}
			if err == nil { // somebody has changed it since
				err = fmt.Errorf("%w: the generation's status kept changing", ErrBusy)
			}
			return fmt.Errorf("generation %s: %w", c.ID, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inOrder, nil
}

// MergeMetadata merges metadata over what is there, top-level key by top-level key, whatever the generation's status.
// It returns ErrNotFound, and a *ValidationError for bad metadata or a result of more than 16 MiB.
func (o *operations) MergeMetadata(ctx context.Context, id uuid.UUID, metadata Metadata) (Generation, error) {
	doing := "merge metadata of generation " + id.String()
	patch, err := metadata.Canonical()
	if err != nil {
		return Generation{}, describe(doing, err)
	}
	var g Generation
	err = o.session.writeAtomic(ctx, func(db storagedb.DBTX) (err error) { // the result may be too large
		g, err = o.dialect.mergeMetadata(ctx, db, id, patch)
		return err
	})
	return g, describe(doing, err)
}

// SetFavorite marks a generation as one to find again, or takes the mark away, whatever its status. It returns ErrNotFound
// where there is no such generation.
func (o *operations) SetFavorite(ctx context.Context, id uuid.UUID, favorite bool) (Generation, error) {
	var g Generation
	err := o.session.write(ctx, func(db storagedb.DBTX) (err error) {
		g, err = storagedb.New(db).SetFavorite(ctx, storagedb.SetFavoriteParams{Favorite: favorite, ID: id})
		return err
	})
	return g, describe("set favorite of generation "+id.String(), err)
}

// DeleteGeneration deletes the row; the audio file is the caller's to delete. The prompt's count stays, since it was
// used. It returns ErrNotFound where there is no such generation.
func (o *operations) DeleteGeneration(ctx context.Context, id uuid.UUID) error {
	err := o.session.write(ctx, func(db storagedb.DBTX) error {
		return foundOne(storagedb.New(db).DeleteGeneration(ctx, id))
	})
	return describe("delete generation "+id.String(), err)
}

// foundOne makes an ErrNotFound of a statement that affected no row.
func foundOne(rows int64, err error) error {
	if err == nil && rows == 0 {
		return ErrNotFound
	}
	return err
}

func nullIfEmpty(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// scheduledAt is when a new generation is due.
func (p CreateGenerationParams) scheduledAt(now time.Time) time.Time {
	if p.ScheduledAt.IsZero() {
		return now
	}
	return p.ScheduledAt
}

// created is the row that a creation makes, with the schema's defaults.
func (p CreateGenerationParams) created(now time.Time, promptID int64) Generation {
	return Generation{
		ID: p.ID, Prompt: p.Prompt, ModelName: p.ModelName, ModelVersion: p.ModelVersion, DurationSeconds: p.DurationSeconds,
		SampleRate: p.SampleRate, Channels: p.Channels, FilePath: p.FilePath, Status: StatusPending, CreatedAt: now,
		Metadata: p.Metadata, PromptID: promptID, Priority: p.Priority, ScheduledAt: p.scheduledAt(now),
		MaxAttempts: p.MaxAttempts, BatchID: p.batchID(), ProgressStep: StepQueued,
	}
}

func (p CreateGenerationParams) batchID() *uuid.UUID {
	if p.BatchID == uuid.Nil {
		return nil
	}
	return &p.BatchID
}
