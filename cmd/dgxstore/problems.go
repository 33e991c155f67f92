package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/dgx-music/storage/store"
)

// problem is a row that stands in the way, as the JSON of an error lists it.
type problem struct {
	Table   string `json:"table"`
	Row     string `json:"row"`    // its ID; empty for what is wrong with the table itself
	Column  string `json:"column"` // empty likewise
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

// problemsOf are those that an error of migrate or transfer names, under a title; none for other errors. The store names the
// first hundred.
func problemsOf(err error) (title string, problems []problem) {
	var total int64
	if adoption, ok := errors.AsType[*store.AdoptionError](err); ok {
		total = int64(adoption.Total)
		title = "%s in this database of the Python service cannot be carried, and nothing was changed"
		for _, p := range adoption.Problems {
			problems = append(problems, problem(p))
		}
	}
	if unfit, ok := errors.AsType[*store.UnfitRowsError](err); ok {
		total = unfit.Total
		title = "%s of the source cannot be carried, and nothing was written"
		for _, row := range unfit.Rows {
			problems = append(problems, problem{row.Table, row.Key, row.Field, row.Problem, "mend or delete it in the source"})
		}
	}
	if len(problems) == 0 {
		return "", nil
	}
	return fmt.Sprintf(title, plural(total, "thing", "things")) + firstOf(int64(len(problems)), total), problems
}

func firstOf(listed, total int64) string {
	if listed == total {
		return ""
	}
	return fmt.Sprintf("; these are the first %s", humanize.Comma(listed))
}

// forOperators says with an operator's commands what the store says with a Go programmer's.
func forOperators(err error) error {
	const emptyIt = "dropdb and createdb, or a file that does not exist yet"
	if mismatch, ok := errors.AsType[*store.TransferMismatchError](err); ok {
		rows := fmt.Sprintf("%s in the source, %s in the destination", plural(mismatch.Source.Rows, "row", "rows"), humanize.Comma(mismatch.Destination.Rows))
		return &codedError{exitData, fmt.Sprintf("%s is not the same in both, %s: somebody has written to one of them meanwhile; stop the writers, empty the destination (%s), and begin again", mismatch.Table, rows, emptyIt)}
	}
	if errors.Is(err, store.ErrNotEmpty) {
		return &codedError{exitData, "the destination has data already, and was left as it is; it must be empty: " + emptyIt}
	}
	if refused, ok := errors.AsType[*store.ValidationError](err); ok && !slices.Contains([]string{"batch_size", "to_url", "path"}, refused.Field) {
		return &codedError{exitData, "a row is refused by the destination's schema, mend or delete it in the source: " + err.Error()}
	}
	return err
}
