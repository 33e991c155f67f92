package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// CreateGenerationParams are those of a generation to create.
type CreateGenerationParams struct {
	// ID is the generation's ID. If zero, a new UUIDv7. Never give the ID of a deleted generation: a worker may still hold
	// that under the same attempt.
	ID uuid.UUID
	// Prompt describes the music, in 1 to 2,000 bytes.
	Prompt string
	// ModelName is the model, such as "musicgen-small", in 1 to 255 bytes.
	ModelName string
	// ModelVersion has at most 255 bytes. Nil and the empty text are the same.
	ModelVersion *string
	// DurationSeconds is the length of the audio; positive and finite.
	DurationSeconds float64
	// SampleRate is in Hz, at least 1; 32000 for MusicGen.
	SampleRate int64
	// Channels is 1 for mono or 2 for stereo.
	Channels int64
	// FilePath is where the audio file will be, in 1 to 4,096 bytes.
	FilePath string
	// Metadata is a JSON object of at most 1 MiB. If zero, the empty one.
	Metadata Metadata
	// Priority orders claims, the lowest first, as in River. It is meant for a few levels: a claim looks at each.
	Priority int64
	// ScheduledAt is the time before which the generation is not claimed. If zero, now. Of two generations with the same
	// priority, the one with the earlier time is claimed first.
	ScheduledAt time.Time
	// MaxAttempts is how often the generation may be tried, at most 2,147,483,647. If zero, 3.
	MaxAttempts int64
	// BatchID groups generations for BatchStats and CancelBatch. If zero, the generation is in no batch.
	BatchID uuid.UUID
}

// CompleteGenerationParams are what is known when the audio file exists.
type CompleteGenerationParams struct {
	// GenerationTimeSeconds is how long the model took; finite, 0 or more.
	GenerationTimeSeconds float64
	// FileSizeBytes is the size of the audio file; 0 or more. The store does not look at the file.
	FileSizeBytes int64
	// Metadata is merged over the generation's metadata, top-level key by top-level key.
	Metadata Metadata
	// Attempt is the attempt of the worker's claim. If zero, the generation must not be under a claim.
	Attempt int64
}

// FailGenerationParams say why an attempt failed.
type FailGenerationParams struct {
	// ErrorMessage has at most 1 MiB.
	ErrorMessage string
	// Attempt is the attempt of the worker's claim. If zero, the generation must not be under a claim.
	Attempt int64
	// RetryAfter is the delay before the next attempt. If zero, 1, 2, 4 ... seconds by the number of earlier failures, at
	// most 10 minutes.
	RetryAfter time.Duration
	// NoRetry makes the failure final, however many attempts are left.
	NoRetry bool
}

// CreateGeneration creates a pending generation and counts a use of its prompt, in one transaction.
//
// It returns a *ValidationError for bad input, and ErrConflict if a generation with the given ID exists.
func (o *operations) CreateGeneration(ctx context.Context, params CreateGenerationParams) (Generation, error) {
	return o.createGeneration(ctx, "create generation", params)
}

func (o *operations) createGeneration(
	ctx context.Context,
	doing string,
	params CreateGenerationParams,
) (Generation, error) {
	params, err := params.normalized()
	if err != nil {
		return Generation{}, describe(doing, err)
	}
	g, err := o.session.CreateGeneration(ctx, engine.Creation(params))
	if err != nil {
		return Generation{}, describe(doing, err)
	}
	o.notifyDue(g)
	return g, nil
}

// CreateGenerations creates all of the generations or none, and returns them in the order of the parameters.
// Generations whose IDs the store draws are claimed in that order. An empty list is no error.
//
// It returns a *ValidationError for bad input, wrapped in an error with its place in the list, and ErrConflict if one
// of the IDs exists or is given twice.
func (o *operations) CreateGenerations(ctx context.Context, params []CreateGenerationParams) ([]Generation, error) {
	const doing = "create generations"
	switch len(params) {
	case 0:
		return nil, nil
	case 1:
		g, err := o.createGeneration(ctx, doing, params[0])
		if err != nil {
			return nil, err
		}
		return []Generation{g}, nil
	}
	creations := make([]engine.Creation, len(params))
	for i, given := range params {
		normalized, err := given.normalized()
		if err != nil {
			return nil, describe(doing, fmt.Errorf("number %d: %w", i+1, err))
		}
		creations[i] = engine.Creation(normalized)
	}
	mode := engine.Bulk
	if len(creations) > engine.MaxCreatedTogether {
		mode = engine.Transaction
	}
	var created []Generation
	err := o.session.Write(ctx, mode, func(q engine.Queries) (err error) {
		created, err = q.CreateGenerations(ctx, creations, o.clock.Now())
		return err
	})
	if err != nil {
		return nil, describe(doing, err)
	}
	o.notifyDue(created...)
	return created, nil
}

// GetGeneration returns a generation by its ID, or ErrNotFound.
func (o *operations) GetGeneration(ctx context.Context, id uuid.UUID) (Generation, error) {
	g, err := o.getGeneration(ctx, id)
	return g, describe("get generation "+id.String(), err)
}

func (o *operations) getGeneration(ctx context.Context, id uuid.UUID) (g Generation, err error) {
	err = o.session.Read(ctx, func(q engine.Queries) (err error) {
		g, err = q.GetGeneration(ctx, id)
		return err
	})
	return g, err
}

// PendingGenerations returns waiting generations in the order in which they will be claimed: by priority, then by the
// time they are due, then by ID. If limit is 0, it is 100; if negative, a *ValidationError is returned.
func (o *operations) PendingGenerations(ctx context.Context, limit int) ([]Generation, error) {
	rowLimit, err := limitOrDefault(limit, defaultListLimit)
	if err != nil {
		return nil, describe("list pending generations", err)
	}
	var pending []Generation
	err = o.session.Read(ctx, func(q engine.Queries) (err error) {
		pending, err = q.PendingGenerations(ctx, rowLimit)
		return err
	})
	return pending, describe("list pending generations", err)
}

// UpdateGenerationStatus sets a status by hand, and the error message with it; the empty message removes an earlier
// one. Processing sets started_at. Completed, failed and cancelled set completed_at. Pending puts the generation at the
// end of the queue. A claim on the generation ends.
//
// It returns ErrNotFound, a *TransitionError if the generation's status does not allow it, and a *ValidationError for
// an unknown status or a message with invalid UTF-8 or a NUL byte.
func (o *operations) UpdateGenerationStatus(
	ctx context.Context, id uuid.UUID, status Status, errorMessage string,
) (Generation, error) {
	doing := "update generation " + id.String()
	if err := dberr.CheckStatus(status); err != nil {
		return Generation{}, describe(doing, err)
	}
	if err := dberr.CheckErrorMessage(errorMessage); err != nil {
		return Generation{}, describe(doing, err)
	}
	g, err := o.changeStatement(ctx, transition{id: id, to: status}, func(q engine.Queries) (Generation, error) {
		now, message := o.clock.Now(), engine.NullIfEmpty(errorMessage)
		switch status {
		case StatusPending:
			return q.RequeueGeneration(ctx, storagedb.RequeueGenerationParams{ScheduledAt: now, ErrorMessage: message, ID: id})
		case StatusProcessing:
			return q.StartGeneration(ctx, storagedb.StartGenerationParams{StartedAt: &now, ErrorMessage: message, ID: id})
		default:
			finish := storagedb.FinishGenerationParams{Status: status, CompletedAt: &now, ErrorMessage: message, ID: id}
			switch status {
			case StatusCompleted:
				finish.ProgressStep, finish.ProgressFraction = new(StepCompleted), new(1.0)
			case StatusFailed:
				finish.ProgressStep = new(StepFailed)
			}
			return q.FinishGeneration(ctx, finish)
		}
	})
	o.notifyDue(g)
	return g, describe(doing, err)
}

// changeStatement makes a transition by one statement, which changes one row.
func (o *operations) changeStatement(
	ctx context.Context, t transition, statement func(engine.Queries) (Generation, error),
) (Generation, error) {
	return o.transition(ctx, t, func() (Generation, error) {
		return engine.Returning(ctx, o.session.Write, engine.Statement, statement)
	})
}

// CompleteGeneration records that the audio file exists. It merges the given metadata over the generation's, top-level
// key by top-level key, as the Python dict.update did, and removes the error message of an earlier attempt.
//
// It returns ErrNotFound; ErrLeaseLost if the given attempt does not hold the generation, whatever its status, or if
// none is given and one holds it; a *TransitionError if the generation is finished; and a *ValidationError for bad
// input.
func (o *operations) CompleteGeneration(
	ctx context.Context, id uuid.UUID, params CompleteGenerationParams,
) (Generation, error) {
	doing := "complete generation " + id.String()
	params, err := params.normalized()
	if err != nil {
		return Generation{}, describe(doing, err)
	}
	completion := params.completion(id)
	t := transition{id: id, to: StatusCompleted, attempt: &params.Attempt}
	g, err := o.transition(ctx, t, func() (Generation, error) {
		return o.session.CompleteGeneration(ctx, completion)
	})
	return g, describe(doing, err)
}

func (p CompleteGenerationParams) completion(id uuid.UUID) engine.Completion {
	return engine.Completion{
		ID: id, GenerationTimeSeconds: p.GenerationTimeSeconds, FileSizeBytes: p.FileSizeBytes, Metadata: p.Metadata,
		Attempt: p.Attempt,
	}
}

// Completion is one generation that CompleteGenerations completes.
type Completion struct {
	ID uuid.UUID
	CompleteGenerationParams
}

// CompleteGenerations completes all of the generations or none, each as CompleteGeneration does, and returns them in
// the order of the completions. An empty list is no error.
//
// It returns the error of the first completion that CompleteGeneration would refuse, and a *ValidationError if a
// generation is given twice.
func (o *operations) CompleteGenerations(ctx context.Context, completions []Completion) ([]Generation, error) {
	if len(completions) == 0 {
		return nil, nil
	}
	completed, err := o.completeGenerations(ctx, completions)
	return completed, describe("complete generations", err)
}

func (o *operations) completeGenerations(ctx context.Context, given []Completion) ([]Generation, error) {
	completions, place := make([]engine.Completion, len(given)), make(map[uuid.UUID]int, len(given))
	for i, c := range given {
		params, err := c.normalized()
		if err != nil {
			return nil, fmt.Errorf("number %d: %w", i+1, err)
		}
		if before, twice := place[c.ID]; twice {
			return nil, fmt.Errorf("number %d: %w", i+1, dberr.Invalid("id", fmt.Sprintf("is that of number %d, too", before+1)))
		}
		completions[i], place[c.ID] = params.completion(c.ID), i
	}
	inOrder := make([]Generation, len(completions))
	err := o.session.Write(ctx, engine.Transaction, func(q engine.Queries) error {
		completed, err := q.CompleteGenerations(ctx, completions, o.clock.Now())
		if err != nil {
			return err
		}
		done := make(map[uuid.UUID]bool, len(completed))
		for _, g := range completed {
			inOrder[place[g.ID]], done[g.ID] = g, true
		}
		for _, c := range completions {
			if !done[c.ID] {
				return whyNotCompleted(ctx, q, c)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inOrder, nil
}

// whyNotCompleted returns the reason why a completion changed nothing.
func whyNotCompleted(ctx context.Context, q engine.Queries, c engine.Completion) error {
	current, err := q.GetGeneration(ctx, c.ID)
	if err == nil {
		err = transition{id: c.ID, to: StatusCompleted, attempt: &c.Attempt}.allowedFor(current)
	}
	if err == nil { // another transaction has changed it since
		err = errKeptChanging
	}
	return fmt.Errorf("generation %s: %w", c.ID, err)
}

// MergeMetadata merges metadata over the generation's, top-level key by top-level key, whatever its status. It returns
// ErrNotFound, and a *ValidationError for bad metadata or a result of more than 16 MiB.
func (o *operations) MergeMetadata(ctx context.Context, id uuid.UUID, metadata Metadata) (Generation, error) {
	doing := "merge metadata of generation " + id.String()
	patch, err := metadata.Canonical()
	if err != nil {
		return Generation{}, describe(doing, err)
	}
	g, err := engine.Returning(ctx, o.session.Write, engine.Operation, func(q engine.Queries) (Generation, error) {
		return q.MergeMetadata(ctx, id, patch)
	})
	return g, describe(doing, err)
}

// SetFavorite marks a generation as a favorite, or removes the mark, whatever its status. It returns ErrNotFound if
// there is no such generation.
func (o *operations) SetFavorite(ctx context.Context, id uuid.UUID, favorite bool) (Generation, error) {
	g, err := engine.Returning(ctx, o.session.Write, engine.Statement, func(q engine.Queries) (Generation, error) {
		return q.SetFavorite(ctx, storagedb.SetFavoriteParams{Favorite: favorite, ID: id})
	})
	return g, describe("set favorite of generation "+id.String(), err)
}

// DeleteGeneration deletes the row. It leaves the audio file to the caller, and the prompt's count as it is. It returns
// ErrNotFound if there is no such generation.
func (o *operations) DeleteGeneration(ctx context.Context, id uuid.UUID) error {
	err := o.session.Write(ctx, engine.Statement, func(q engine.Queries) error {
		return foundOne(q.DeleteGeneration(ctx, id))
	})
	return describe("delete generation "+id.String(), err)
}

// foundOne returns ErrNotFound for a statement that changed no row.
func foundOne(rows int64, err error) error {
	if err == nil && rows == 0 {
		return ErrNotFound
	}
	return err
}
