package main

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/store"
)

// outcome is what became of the generations that a command named one by one. One that went wrong does not keep the others
// back.
type outcome struct {
	Generations []changed `json:"generations"`
	Failed      []refused `json:"failed"`
	errs        []error
}

type changed struct {
	ID              uuid.UUID    `json:"id"`
	Status          store.Status `json:"status"`
	CancelRequested bool         `json:"cancel_requested"` // its worker was asked to stop
}

type refused struct {
	ID    uuid.UUID `json:"id"`
	Error string    `json:"error"`
}

func newOutcome() *outcome { return &outcome{Generations: []changed{}, Failed: []refused{}} }

func (o *outcome) add(id uuid.UUID, g store.Generation, err error) {
	if err != nil {
		o.Failed = append(o.Failed, refused{id, strings.TrimPrefix(err.Error(), "store: ")})
		o.errs = append(o.errs, err)
		return
	}
	o.Generations = append(o.Generations, changed{g.ID, g.Status, g.CancelRequestedAt != nil})
}

func (a *app) printOutcome(o *outcome) error {
	if a.json {
		if err := a.printJSON(o); err != nil {
			return err
		}
		return o.err()
	}
	for _, g := range o.Generations {
		state := string(g.Status)
		if g.CancelRequested {
			state = "is told to stop"
		}
		a.printf("%s %s\n", g.ID, state)
	}
	return o.err()
}

// err has the exit code of all that went wrong where that is one, or else that of an error.
func (o *outcome) err() error {
	switch len(o.errs) {
	case 0:
		return nil
	case 1:
		return o.errs[0]
	}
	code := exitCode(o.errs[0])
	for _, err := range o.errs {
		if exitCode(err) != code {
			code = exitError
		}
	}
	message := fmt.Sprintf("%d of %d went wrong:", len(o.errs), len(o.errs)+len(o.Generations))
	for _, failed := range o.Failed {
		message += "\n- " + failed.Error
	}
	return &codedError{code, message}
}
