package store

import (
	"context"
	"strconv"

	"github.com/dgx-music/storage/internal/dberr"
	"github.com/dgx-music/storage/internal/engine"
	"github.com/dgx-music/storage/storagedb"
)

// ListPromptsParams choose a page of prompts. The zero value is the first hundred.
type ListPromptsParams struct {
	Limit  int // the page size; if zero, 100
	Offset int // the number of rows to skip
}

// TrackPrompt counts a use of a prompt, and creates the prompt at its first use. CreateGeneration does so by itself. It
// returns a *ValidationError for a text that is empty, is over 2,000 bytes, or has invalid UTF-8 or a NUL byte.
func (o *operations) TrackPrompt(ctx context.Context, text string) (Prompt, error) {
	if err := dberr.CheckPrompt("text", text); err != nil {
		return Prompt{}, describe("track prompt", err)
	}
	p, err := o.session.TrackPrompt(ctx, text)
	return p, describe("track prompt", err)
}

// GetPrompt returns a prompt by its ID, or ErrNotFound.
func (o *operations) GetPrompt(ctx context.Context, id int64) (Prompt, error) {
	var p Prompt
	err := o.session.Read(ctx, func(q engine.Queries) (err error) {
		p, err = q.GetPrompt(ctx, id)
		return err
	})
	return p, describe("get prompt "+strconv.FormatInt(id, 10), err)
}

// GetPromptByText returns a prompt by its exact text, or ErrNotFound. It returns a *ValidationError for a text that no
// prompt can have: an empty one, or one with invalid UTF-8 or a NUL byte. The text may have any length: prompts of the
// Python service may be longer than new ones.
func (o *operations) GetPromptByText(ctx context.Context, text string) (Prompt, error) {
	if err := dberr.CheckRequiredText("text", text, len(text)); err != nil {
		return Prompt{}, describe("get prompt by text", err)
	}
	var p Prompt
	err := o.session.Read(ctx, func(q engine.Queries) (err error) {
		p, err = q.GetPromptByText(ctx, text)
		return err
	})
	return p, describe("get prompt by text", err)
}

// ListPrompts returns prompts, the most used first, and of equally used ones the latest used first. A negative limit or
// offset is a *ValidationError.
func (o *operations) ListPrompts(ctx context.Context, params ListPromptsParams) ([]Prompt, error) {
	return o.listPrompts(ctx, "list prompts", params, defaultListLimit)
}

// MostUsedPrompts returns the most used prompts. If limit is 0, it is 10; if negative, a *ValidationError is returned.
func (o *operations) MostUsedPrompts(ctx context.Context, limit int) ([]Prompt, error) {
	return o.listPrompts(ctx, "list most used prompts", ListPromptsParams{Limit: limit}, defaultMostUsedPrompts)
}

func (o *operations) listPrompts(
	ctx context.Context, doing string, params ListPromptsParams, defaultLimit int,
) ([]Prompt, error) {
	limit, err := limitOrDefault(params.Limit, defaultLimit)
	if err != nil {
		return nil, describe(doing, err)
	}
	if err := checkOffset(params.Offset); err != nil {
		return nil, describe(doing, err)
	}
	var prompts []Prompt
	err = o.session.ReadStale(ctx, func(q engine.Queries) (err error) {
		prompts, err = q.ListPrompts(ctx, storagedb.ListPromptsParams{RowLimit: limit, RowOffset: int64(params.Offset)})
		return err
	})
	return prompts, describe(doing, err)
}

// DeletePrompt deletes a prompt and all its generations, and leaves their audio files to the caller. It returns
// ErrNotFound if there is no such prompt.
func (o *operations) DeletePrompt(ctx context.Context, id int64) error {
	err := o.session.Write(ctx, engine.Bulk, func(q engine.Queries) error { return foundOne(q.DeletePrompt(ctx, id)) })
	return describe("delete prompt "+strconv.FormatInt(id, 10), err)
}
