package store

import (
	"fmt"
	"strings"

	"github.com/dgx-music/storage/internal/pythondb"
)

// AdoptionError is returned by [Migrate] for a database of the Python service that holds what the store cannot. The
// database was left as it is. Match it with errors.As.
type AdoptionError struct {
	Problems []AdoptionProblem // the first 100
	Total    int               // the number of all problems
}

// AdoptionProblem is one thing that keeps a database from being adopted.
type AdoptionProblem struct {
	Table   string `json:"table"`   // or another object of the schema
	Row     string `json:"row"`     // the row's ID as stored, or its rowid; empty if the table itself is wrong
	Column  string `json:"column"`  // empty if the table itself is wrong
	Problem string `json:"problem"` // what is wrong; never a prompt's text
	Remedy  string `json:"remedy"`  // what to do about it
}

// shownProblems is how many problems the text of an AdoptionError has.
const shownProblems = 10

func newAdoptionError(e *pythondb.Error) *AdoptionError {
	public := &AdoptionError{Total: e.Total}
	for _, problem := range e.Problems {
		public.Problems = append(public.Problems, AdoptionProblem(problem))
	}
	return public
}

func (e *AdoptionError) Error() string {
	var text strings.Builder
	fmt.Fprintf(&text, "the database of the Python service holds %d things that the store cannot carry, "+
		"and nothing was changed:", e.Total)
	shown := e.Problems[:min(len(e.Problems), shownProblems)]
	for _, p := range shown {
		fmt.Fprintf(&text, "\n- %s", p)
	}
	if more := e.Total - len(shown); more > 0 {
		fmt.Fprintf(&text, "\n- and %d more", more)
	}
	return text.String()
}

// String returns the problem in one line.
func (p AdoptionProblem) String() string {
	place := p.Table
	if p.Row != "" {
		place += " " + p.Row
	}
	if p.Column != "" {
		place += ", " + p.Column
	}
	return place + " " + p.Problem + ": " + p.Remedy
}
