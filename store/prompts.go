package store

import (
	"context"
	"strconv"

	"github.com/dgx-music/storage/storagedb"
)

// ListPromptsParams chooses a page of prompts. The zero value is the first hundred.
type ListPromptsParams struct {
	Limit  int // rows; 0: 100
	Offset int // rows to skip
}

// TrackPrompt counts a use of a prompt, and creates it with a first use where it is new. CreateGeneration does so by
// itself. It returns a *ValidationError for a text that is empty, over 2,000 bytes, invalid UTF-8 or has a NUL byte.
func (o *operations) TrackPrompt(ctx context.Context, text string) (Prompt, error) {
	if err := checkPrompt("text", text); err != nil {
		return Prompt{}, describe("track prompt", err)
	}
	var p Prompt
	joint := &jointWrite{track: &text, now: o.clock.Now(), setPrompt: func(tracked Prompt) { p = tracked }}
	err := o.session.writeJoint(ctx, joint, func(db storagedb.DBTX) (err error) {
		p, err = storagedb.New(db).TrackPrompt(ctx, storagedb.TrackPromptParams{Text: text, UsedAt: o.clock.Now()})
		return err
	})
	if err != nil { // where its context ended p may still be set by another caller
		return Prompt{}, describe("track prompt", err)
	}
	return p, nil
}

// GetPrompt returns ErrNotFound where there is no such prompt.
func (o *operations) GetPrompt(ctx context.Context, id int64) (Prompt, error) {
	var p Prompt
	err := o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		p, err = storagedb.New(db).GetPrompt(ctx, id)
		return err
	})
	return p, describe("get prompt "+strconv.FormatInt(id, 10), err)
}

// GetPromptByText finds a prompt by its exact text. It returns ErrNotFound where there is none, and a *ValidationError
// for a text that no prompt can have: an empty one, invalid UTF-8 or a NUL byte. Prompts of the Python service may be longer than
// new ones, so any length can be asked for.
func (o *operations) GetPromptByText(ctx context.Context, text string) (Prompt, error) {
	if err := checkRequiredText("text", text, len(text)); err != nil {
		return Prompt{}, describe("get prompt by text", err)
	}
	var p Prompt
	err := o.session.read(ctx, func(db storagedb.DBTX) (err error) {
		p, err = storagedb.New(db).GetPromptByText(ctx, text)
		return err
	})
	return p, describe("get prompt by text", err)
}

// ListPrompts returns prompts, most used first; of equals the latest used first. A negative limit or offset is a
// *ValidationError.
func (o *operations) ListPrompts(ctx context.Context, params ListPromptsParams) ([]Prompt, error) {
	return o.listPrompts(ctx, "list prompts", params, defaultListLimit)
}

// MostUsedPrompts returns the prompts used most. A limit of 0 is 10; a negative one is a *ValidationError.
func (o *operations) MostUsedPrompts(ctx context.Context, limit int) ([]Prompt, error) {
	return o.listPrompts(ctx, "list most used prompts", ListPromptsParams{Limit: limit}, defaultMostUsedPrompts)
}

func (o *operations) listPrompts(ctx context.Context, doing string, params ListPromptsParams, defaultLimit int) ([]Prompt, error) {
	limit, err := limitOrDefault(params.Limit, defaultLimit)
	if err != nil {
		return nil, describe(doing, err)
	}
	if err := checkOffset(params.Offset); err != nil {
		return nil, describe(doing, err)
	}
	var prompts []Prompt
	err = o.session.readStale(ctx, func(db storagedb.DBTX) (err error) {
		prompts, err = storagedb.New(db).ListPrompts(ctx, storagedb.ListPromptsParams{RowLimit: limit, RowOffset: int64(params.Offset)})
		return err
	})
	return prompts, describe(doing, err)
}

// DeletePrompt deletes a prompt and all its generations; their audio files are the caller's to delete. It returns
// ErrNotFound where there is no such prompt.
func (o *operations) DeletePrompt(ctx context.Context, id int64) error {
	err := o.session.writeMany(ctx, func(db storagedb.DBTX) error {
		return foundOne(storagedb.New(db).DeletePrompt(ctx, id))
	})
	return describe("delete prompt "+strconv.FormatInt(id, 10), err)
}
