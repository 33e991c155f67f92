package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/dgx-music/storage/store"
)

// problem is a row that a migration or a transfer cannot carry over. The JSON of an error lists it.
type problem struct {
	Table   string `json:"table"`
	Row     string `json:"row"`    // ID of the row; empty if the problem is the table itself
	Column  string `json:"column"` // empty if the problem is the whole row or the table
	Problem string `json:"problem"`
	Remedy  string `json:"remedy"`
}

func (p problem) String() string {
	where := strings.TrimSpace(p.Table + " " + p.Row)
	if p.Column != "" {
		where += ", " + p.Column
	}
	return where + " " + p.Problem + ": " + p.Remedy
}

// problemsOf returns the problems that an error of migrate or transfer lists, with a title for them. Other errors have
// none. The store lists at most a hundred.
func problemsOf(err error) (title string, problems []problem) {
	var total int64
	if adoption, ok := errors.AsType[*store.AdoptionError](err); ok {
		total = int64(adoption.Total)
		title = "nothing was changed: this database of the Python service has %s"
		for _, p := range adoption.Problems {
			problems = append(problems, problem(p))
		}
	}
	if unfit, ok := errors.AsType[*store.UnfitRowsError](err); ok {
		total = unfit.Total
		title = "nothing was written: the source has %s"
		for _, row := range unfit.Rows {
			const remedy = "correct or delete it in the source"
			problems = append(problems, problem{row.Table, row.Key, row.Field, row.Problem, remedy})
		}
	}
	if len(problems) == 0 {
		return "", nil
	}
	title = fmt.Sprintf(title, plural(total, "problem", "problems"))
	if listed := int64(len(problems)); listed < total {
		title += fmt.Sprintf("; the first %s are", humanize.Comma(listed))
	}
	return title, problems
}

// forOperators replaces store errors whose text is for Go programmers with text for operators.
func forOperators(err error) error {
	if mismatch, ok := errors.AsType[*store.TransferMismatchError](err); ok {
		return &codedError{exitData, fmt.Sprintf(
			"table %s differs: %s in the source, %s in the destination; another process wrote to one of them meanwhile",
			mismatch.Table, plural(mismatch.Source.Rows, "row", "rows"), humanize.Comma(mismatch.Destination.Rows))}
	}
	if errors.Is(err, store.ErrNotEmpty) {
		return &codedError{exitData,
			"the destination is not empty, and was not changed; use a new SQLite file, or dropdb and createdb"}
	}
	refused, ok := errors.AsType[*store.ValidationError](err)
	if ok && !slices.Contains([]string{"batch_size", "to_url", "path"}, refused.Field) {
		return &codedError{exitData, "the destination's schema refuses a row: " + strings.TrimPrefix(err.Error(), "store: ")}
	}
	return err
}
