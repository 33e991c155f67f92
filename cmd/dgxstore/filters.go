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

// filters are the flags that choose generations, of the commands that take many.
type filters struct {
	status   string
	model    string
	batch    id
	favorite bool
	since    moment
	until    moment
	metadata []string
	ranges   []string
	prompt   string
}

func (a *app) addFilters(cmd *cobra.Command, f *filters) {
	flags := cmd.Flags()
	flags.StringVar(&f.model, "model", "", "of this `model`, such as musicgen-small")
	flags.Var(&f.batch, "batch", "of this batch")
	flags.BoolVar(&f.favorite, "favorite", false, "favorites alone")
	flags.Var(&f.since, "since", "created then or later")
	flags.Var(&f.until, "until", "created before")
	flags.StringArrayVar(&f.metadata, "metadata", nil, "with `key=value` in the metadata; the value is JSON, or else a string; may be repeated")
	flags.StringArrayVar(&f.ranges, "metadata-range", nil, "with `key=min..max` in the metadata, a number; either end may be left out; may be repeated")
	flags.StringVar(&f.prompt, "prompt", "", "with these `words` in the prompt, typed as for search")
	a.completeModels(cmd)
	a.completeBatches(cmd)
}

func (a *app) addStatusFilter(cmd *cobra.Command, f *filters) {
	cmd.Flags().StringVar(&f.status, "status", "", "in this `status`: "+strings.Join(statusNames(), ", "))
	a.completeStatuses(cmd)
}

// params are the filters as the store takes them.
func (f *filters) params() (store.ListGenerationsParams, error) {
	params := store.ListGenerationsParams{
		Status: store.Status(f.status), ModelName: f.model, BatchID: f.batch.UUID, Favorite: f.favorite,
		CreatedFrom: f.since.Time, CreatedTo: f.until.Time, Search: f.prompt,
	}
	if f.status != "" && !params.Status.Valid() {
		return params, usageError(fmt.Sprintf("invalid status %q: it is one of %s", f.status, strings.Join(statusNames(), ", ")))
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
			params.Metadata[key] = json.RawMessage(value) // to the last digit
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
	wrong := usageError(fmt.Sprintf("invalid --metadata-range %q: write key=min..max, such as bpm=135..145 or bpm=135..", text))
	key, ends, found := strings.Cut(text, "=")
	low, high, isRange := strings.Cut(ends, "..")
	if !found || !isRange {
		return store.MetadataRange{}, wrong
	}
	r := store.MetadataRange{Key: key}
	for _, end := range []struct {
		text string
		to   **float64
	}{{low, &r.Min}, {high, &r.Max}} {
		if end.text == "" {
			continue
		}
		number, err := strconv.ParseFloat(end.text, 64)
		if err != nil {
			return store.MetadataRange{}, wrong
		}
		*end.to = &number
	}
	return r, nil
}

func statusNames() (names []string) {
	for _, status := range storagedb.Statuses() {
		names = append(names, string(status))
	}
	return names
}

// id is a flag that takes a UUID.
type id struct{ uuid.UUID }

func (i *id) String() string {
	if i.UUID == uuid.Nil {
		return ""
	}
	return i.UUID.String()
}

func (i *id) Type() string { return "ID" }

func (i *id) Set(text string) (err error) {
	i.UUID, err = parseID(text)
	return err
}

func parseID(text string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(text)
	if err != nil {
		return uuid.Nil, usageError(fmt.Sprintf("%q is no ID: it is a UUID, such as dgxstore list shows in its first column", text))
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
