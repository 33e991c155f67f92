package main

import (
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/store"
)

// outcome is the result of a command on generations named by ID. A failed generation does not stop the others.
type outcome struct {
	Generations []changedGeneration `json:"generations"`
	Failed      []failedGeneration  `json:"failed"`
	errs        []error
}

type changedGeneration struct {
	ID              uuid.UUID    `json:"id"`
	Status          store.Status `json:"status"`
	CancelRequested bool         `json:"cancel_requested"` // true if its worker was asked to stop
}

type failedGeneration struct {
	ID    uuid.UUID `json:"id"`
	Error string    `json:"error"`
}

func newOutcome() *outcome {
	return &outcome{Generations: []changedGeneration{}, Failed: []failedGeneration{}}
}

func (o *outcome) add(id uuid.UUID, g store.Generation, err error) {
	if err != nil {
		o.Failed = append(o.Failed, failedGeneration{id, strings.TrimPrefix(err.Error(), "store: ")})
		o.errs = append(o.errs, err)
		return
	}
	o.Generations = append(o.Generations, changedGeneration{g.ID, g.Status, g.CancelRequestedAt != nil})
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
			state = "asked to stop"
		}
		a.printf("%s %s\n", g.ID, state)
	}
	return o.err()
}

// err returns an error for all failed generations. Its exit code is theirs if they share one, or else exitError.
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
	message := fmt.Sprintf("%d of %d failed:", len(o.errs), len(o.errs)+len(o.Generations))
	for _, failed := range o.Failed {
		message += "\n- " + failed.Error
	}
	return &codedError{code, message}
}
