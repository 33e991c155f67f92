package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// filters are the flags that select generations.
type filters struct {
	status   string
	model    string
	batch    idFlag
	favorite bool
	since    timeFlag
	until    timeFlag
	metadata []string
	ranges   []string
	prompt   string
}

func (a *app) addFilters(cmd *cobra.Command, f *filters) {
	flags := cmd.Flags()
	flags.StringVar(&f.model, "model", "", "only this `model`, such as musicgen-small")
	flags.Var(&f.batch, "batch", "only this batch")
	flags.BoolVar(&f.favorite, "favorite", false, "only favorites")
	flags.Var(&f.since, "since", "only created at this time or later")
	flags.Var(&f.until, "until", "only created before this time")
	flags.StringArrayVar(&f.metadata, "metadata", nil,
		"only with this `key=value` in the metadata; value is JSON, or else a string (repeatable)")
	flags.StringArrayVar(&f.ranges, "metadata-range", nil,
		"only with a number in this range, `key=min..max`; min or max may be empty (repeatable)")
	flags.StringVar(&f.prompt, "prompt", "", "only with these `words` in the prompt; see search for the syntax")
	a.completeModels(cmd)
	a.completeBatches(cmd)
}

func (a *app) addStatusFilter(cmd *cobra.Command, f *filters) {
	cmd.Flags().StringVar(&f.status, "status", "", "only this `status`: "+strings.Join(statusNames(), ", "))
	a.completeStatuses(cmd)
}

// params converts the filters for the store.
func (f *filters) params() (store.ListGenerationsParams, error) {
	params := store.ListGenerationsParams{
		Status: store.Status(f.status), ModelName: f.model, BatchID: f.batch.UUID, Favorite: f.favorite,
		CreatedFrom: f.since.Time, CreatedTo: f.until.Time, Search: f.prompt,
	}
	if f.status != "" && !params.Status.Valid() {
		return params, usageError(fmt.Sprintf("invalid status %q: must be one of %s",
			f.status, strings.Join(statusNames(), ", ")))
	}
	for _, text := range f.metadata {
		key, value, found := strings.Cut(text, "=")
		if !found {
			return params, usageError(fmt.Sprintf("invalid --metadata %q: write key=value", text))
		}
		if params.Metadata == nil {
			params.Metadata = make(map[string]any)
		}
		if json.Valid([]byte(value)) {
			params.Metadata[key] = json.RawMessage(value) // keeps every digit of a number
		} else {
			params.Metadata[key] = value
		}
	}
	for _, text := range f.ranges {
		r, err := parseRange(text)
		if err != nil {
			return params, err
		}
		params.MetadataRanges = append(params.MetadataRanges, r)
	}
	return params, nil
}

func parseRange(text string) (store.MetadataRange, error) {
	invalid := usageError(fmt.Sprintf(
		"invalid --metadata-range %q: write key=min..max, such as bpm=135..145 or bpm=135..", text))
	key, bounds, found := strings.Cut(text, "=")
	low, high, isRange := strings.Cut(bounds, "..")
	if !found || !isRange {
		return store.MetadataRange{}, invalid
	}
	r := store.MetadataRange{Key: key}
	for _, bound := range []struct {
		text string
		to   **float64
	}{{low, &r.Min}, {high, &r.Max}} {
		if bound.text == "" {
			continue
		}
		number, err := strconv.ParseFloat(bound.text, 64)
		if err != nil {
			return store.MetadataRange{}, invalid
		}
		*bound.to = &number
	}
	return r, nil
}

func statusNames() (names []string) {
	for _, status := range storagedb.Statuses() {
		names = append(names, string(status))
	}
	return names
}

// idFlag is a flag that takes a UUID.
type idFlag struct{ uuid.UUID }

func (i *idFlag) String() string {
	if i.UUID == uuid.Nil {
		return ""
	}
	return i.UUID.String()
}

func (i *idFlag) Type() string { return "ID" }

func (i *idFlag) Set(text string) (err error) {
	i.UUID, err = parseID(text)
	return err
}

func parseID(text string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, usageError(fmt.Sprintf(
			"%q is not an ID: an ID is a UUID, such as 01890000-0000-7000-8000-000000000000", text))
	}
	return parsed, nil
}

func parseIDs(texts []string) ([]uuid.UUID, error) {
	ids := make([]uuid.UUID, 0, len(texts))
	for _, text := range texts {
		parsed, err := parseID(text)
		if err != nil {
			return nil, err
		}
		ids = append(ids, parsed)
	}
	return ids, nil
}
