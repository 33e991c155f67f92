package store_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// model is the rules of the queue as a map and loops: what the SQL must do, said a second time as simply as possible.
// Its values are the rows that the store should have.
type model struct {
	now         time.Time
	paused      bool
	generations map[uuid.UUID]store.Generation
	errors      map[uuid.UUID][]store.GenerationError
}

func (m *model) clone() *model {
	return &model{now: m.now, paused: m.paused, generations: maps.Clone(m.generations), errors: maps.Clone(m.errors)}
}

// byClaim is claim order.
func byClaim(a, b store.Generation) int {
	return cmp.Or(cmp.Compare(a.Priority, b.Priority), a.ScheduledAt.Compare(b.ScheduledAt),
		bytes.Compare(a.ID[:], b.ID[:]))
}

func (m *model) pending(keep func(store.Generation) bool) (found []store.Generation) {
	for _, g := range m.generations {
		if g.IsPending() && keep(g) {
			found = append(found, g)
		}
	}
	slices.SortFunc(found, byClaim)
	return found
}

func (m *model) due(g store.Generation) bool { return !g.ScheduledAt.After(m.now) }

func (m *model) claim(params store.ClaimParams) (claimed []store.Generation) {
	if m.paused {
		return nil
	}
	for _, g := range m.pending(m.due) {
		if len(claimed) < params.Limit && (len(params.ModelNames) == 0 || slices.Contains(params.ModelNames, g.ModelName)) {
			g.Status, g.Attempt, g.Worker, g.ErrorMessage = store.StatusProcessing, g.Attempt+1, &params.Worker, nil
			g.StartedAt, g.LeaseExpiresAt = new(m.now), new(m.now.Add(params.Lease))
			claimed = append(claimed, m.put(g))
		}
	}
	return claimed
}

func (m *model) put(g store.Generation) store.Generation {
	m.generations[g.ID] = g
	return g
}

// underClaim gets the generation for a call of a worker.
func (m *model) underClaim(id uuid.UUID, attempt int64, heeds bool) (store.Generation, error) {
	g, there := m.generations[id]
	switch {
	case !there:
		return g, store.ErrNotFound
	case g.LeaseExpiresAt == nil || g.Attempt != attempt:
		return g, store.ErrLeaseLost
	case heeds && g.CancelRequestedAt != nil:
		return g, store.ErrCancelRequested
	}
	return g, nil
}

// inStatus gets the generation for a call of anybody.
func (m *model) inStatus(id uuid.UUID, to store.Status, from ...store.Status) (store.Generation, error) {
	g, there := m.generations[id]
	switch {
	case !there:
		return g, store.ErrNotFound
	case !slices.Contains(from, g.Status):
		return g, &store.TransitionError{ID: id, From: g.Status, To: to}
	}
	return g, nil
}

func (m *model) queue(g store.Generation) store.Generation {
	g.Status, g.StartedAt, g.CompletedAt, g.LeaseExpiresAt, g.CancelRequestedAt = store.StatusPending, nil, nil, nil, nil
	g.ProgressStep, g.ProgressFraction = store.StepQueued, 0
	return m.put(g)
}

func (m *model) finish(g store.Generation, status store.Status) store.Generation {
	g.Status, g.CompletedAt, g.LeaseExpiresAt, g.CancelRequestedAt = status, new(m.now), nil, nil
	switch status {
	case store.StatusCompleted:
		g.ProgressStep, g.ProgressFraction = store.StepCompleted, 1
	case store.StatusFailed:
		g.ProgressStep = store.StepFailed
	}
	return m.put(g)
}

func (m *model) extend(id uuid.UUID, attempt int64, lease time.Duration) (store.Generation, error) {
	g, err := m.underClaim(id, attempt, true)
	if err != nil {
		return g, err
	}
	g.LeaseExpiresAt = new(m.now.Add(lease))
	return m.put(g), nil
}

func (m *model) progress(id uuid.UUID, attempt int64, p store.Progress) error {
	g, err := m.underClaim(id, attempt, true)
	if err == nil {
		g.ProgressStep, g.ProgressFraction = cmp.Or(p.Step, g.ProgressStep), p.Fraction
		m.put(g)
	}
	return err
}

func (m *model) release(id uuid.UUID, attempt int64) (store.Generation, error) {
	g, err := m.underClaim(id, attempt, false)
	switch {
	case err != nil:
		return g, err
	case g.CancelRequestedAt != nil:
		return m.finish(g, store.StatusCancelled), nil
	}
	g.MaxAttempts++
	return m.queue(g), nil
}

// fenced gets the generation for a worker's last call, which may also be one without a claim.
func (m *model) fenced(id uuid.UUID, attempt int64, to store.Status) (store.Generation, error) {
	if attempt > 0 {
		return m.underClaim(id, attempt, false)
	}
	if g, there := m.generations[id]; there && g.LeaseExpiresAt != nil {
		return g, store.ErrLeaseLost
	}
	return m.inStatus(id, to, store.StatusPending, store.StatusProcessing)
}

func (m *model) complete(id uuid.UUID, params store.CompleteGenerationParams) (store.Generation, error) {
	g, err := m.fenced(id, params.Attempt, store.StatusCompleted)
	if err != nil {
		return g, err
	}
	g.ErrorMessage, g.FileSizeBytes, g.GenerationTimeSeconds = nil, &params.FileSizeBytes, &params.GenerationTimeSeconds
	return m.finish(g, store.StatusCompleted), nil
}

func (m *model) fail(id uuid.UUID, params store.FailGenerationParams) (store.Generation, error) {
	g, err := m.fenced(id, params.Attempt, store.StatusFailed)
	if err != nil {
		return g, err
	}
	g.ErrorMessage = nil
	if params.ErrorMessage != "" {
		g.ErrorMessage = &params.ErrorMessage
	}
	return m.endAttempt(g, params.ErrorMessage, params.Attempt == 0 || params.NoRetry, m.now.Add(params.RetryAfter)), nil
}

func (m *model) endAttempt(g store.Generation, message string, final bool, retryAt time.Time) store.Generation {
	if g.LeaseExpiresAt != nil {
		m.errors[g.ID] = append(slices.Clone(m.errors[g.ID]), store.GenerationError{
			GenerationID: g.ID, Attempt: g.Attempt, Worker: *g.Worker, Error: message, FailedAt: m.now,
		})
	}
	switch {
	case g.CancelRequestedAt != nil:
		return m.finish(g, store.StatusCancelled)
	case final || g.Attempt >= g.MaxAttempts:
		return m.finish(g, store.StatusFailed)
	}
	g.ScheduledAt = retryAt
	return m.queue(g)
}

func (m *model) rescue(limit int) (rescued []store.Generation) {
	var expired []store.Generation
	for _, g := range m.generations {
		if g.LeaseExpiresAt != nil && !g.LeaseExpiresAt.After(m.now) {
			expired = append(expired, g)
		}
	}
	slices.SortFunc(expired, func(a, b store.Generation) int {
		return cmp.Or(a.LeaseExpiresAt.Compare(*b.LeaseExpiresAt), bytes.Compare(a.ID[:], b.ID[:]))
	})
	for _, g := range expired[:min(limit, len(expired))] {
		g.ErrorMessage = new("lease expired: the worker did not extend it, so it may have been killed")
		rescued = append(rescued, m.endAttempt(g, *g.ErrorMessage, false, g.ScheduledAt))
	}
	return rescued
}

func (m *model) retry(id uuid.UUID) (store.Generation, error) {
	g, err := m.inStatus(id, store.StatusPending, store.StatusFailed, store.StatusCancelled)
	if err != nil {
		return g, err
	}
	g.ScheduledAt, g.ErrorMessage, g.MaxAttempts = m.now, nil, max(g.MaxAttempts, g.Attempt+1)
	return m.queue(g), nil
}

func (m *model) cancel(id uuid.UUID) (store.Generation, error) {
	g, err := m.inStatus(id, store.StatusCancelled, store.StatusPending, store.StatusProcessing)
	switch {
	case err != nil:
		return g, err
	case g.LeaseExpiresAt == nil:
		return m.finish(g, store.StatusCancelled), nil
	case g.CancelRequestedAt == nil:
		g.CancelRequestedAt = new(m.now)
	}
	return m.put(g), nil
}

func (m *model) cancelBatch(batch uuid.UUID) (count int64) {
	for id, g := range m.generations {
		if g.BatchID != nil && *g.BatchID == batch && !g.IsFinished() && g.CancelRequestedAt == nil {
			m.cancel(id)
			count++
		}
	}
	return count
}

func (m *model) update(id uuid.UUID, status store.Status, message string) (store.Generation, error) {
	from := map[store.Status][]store.Status{
		store.StatusPending:    {store.StatusProcessing, store.StatusFailed, store.StatusCancelled},
		store.StatusProcessing: {store.StatusPending},
		store.StatusCompleted:  {store.StatusPending, store.StatusProcessing},
		store.StatusFailed:     {store.StatusPending, store.StatusProcessing},
		store.StatusCancelled:  {store.StatusPending, store.StatusProcessing},
	}
	g, err := m.inStatus(id, status, from[status]...)
	if err != nil {
		return g, err
	}
	g.ErrorMessage = nil
	if message != "" {
		g.ErrorMessage = &message
	}
	switch status {
	case store.StatusPending:
		g.ScheduledAt = m.now
		return m.queue(g), nil
	case store.StatusProcessing:
		g.Status, g.StartedAt = status, new(m.now)
		return m.put(g), nil
	}
	return m.finish(g, status), nil
}

func (m *model) position(id uuid.UUID) (int64, error) {
	g, there := m.generations[id]
	if !there || g.IsFinished() {
		return 0, store.ErrNotFound
	}
	if g.IsProcessing() {
		return 0, nil
	}
	due := m.pending(m.due)
	later := m.pending(func(g store.Generation) bool { return !m.due(g) })
	for i, waiting := range slices.Concat(due, later) {
		if waiting.ID == id {
			return int64(i + 1), nil
		}
	}
	panic("a pending generation is neither due nor later")
}

func (m *model) stats(keep func(store.Generation) bool) (s store.Stats) {
	prompts := map[int64]bool{}
	for _, g := range m.generations {
		if keep(g) {
			s.TotalGenerations++
			*map[store.Status]*int64{
				store.StatusPending: &s.PendingGenerations, store.StatusProcessing: &s.ProcessingGenerations,
				store.StatusCompleted: &s.CompletedGenerations, store.StatusFailed: &s.FailedGenerations,
				store.StatusCancelled: &s.CancelledGenerations,
			}[g.Status]++
			prompts[g.PromptID] = true
		}
	}
	s.TotalPrompts = int64(len(prompts))
	return s
}

// operations are what Store and Tx share, as far as the model goes.
type operations interface {
	CreateGeneration(context.Context, store.CreateGenerationParams) (store.Generation, error)
	DeleteGeneration(context.Context, uuid.UUID) error
	GetGeneration(context.Context, uuid.UUID) (store.Generation, error)
	PendingGenerations(context.Context, int) ([]store.Generation, error)
	UpdateGenerationStatus(context.Context, uuid.UUID, store.Status, string) (store.Generation, error)
	CompleteGeneration(context.Context, uuid.UUID, store.CompleteGenerationParams) (store.Generation, error)
	FailGeneration(context.Context, uuid.UUID, store.FailGenerationParams) (store.Generation, error)
	ClaimGenerations(context.Context, store.ClaimParams) ([]store.Generation, error)
	ExtendLease(context.Context, uuid.UUID, int64, time.Duration) (store.Generation, error)
	ReportProgress(context.Context, uuid.UUID, int64, store.Progress) error
	ReleaseGeneration(context.Context, uuid.UUID, int64) (store.Generation, error)
	RetryGeneration(context.Context, uuid.UUID) (store.Generation, error)
	CancelGeneration(context.Context, uuid.UUID) (store.Generation, error)
	RescueGenerations(context.Context, int) ([]store.Generation, error)
	QueuePosition(context.Context, uuid.UUID) (int64, error)
	GenerationErrors(context.Context, uuid.UUID) ([]store.GenerationError, error)
	BatchStats(context.Context, uuid.UUID) (store.Stats, error)
	CancelBatch(context.Context, uuid.UUID) (int64, error)
	PauseQueue(context.Context) error
	ResumeQueue(context.Context) error
	QueuePausedAt(context.Context) (time.Time, error)
}

var (
	_ operations = (*store.Store)(nil)
	_ operations = (*store.Tx)(nil)
)

// claim is what a worker remembers, true or not any more.
type claim struct {
	id      uuid.UUID
	attempt int64
}

// checker runs random operations on the store and on the model, and stops at the first difference.
type checker struct {
	*testing.T
	random  *rand.Rand
	clock   *testkit.Clock
	model   *model
	claims  map[string][]claim // of each worker
	history []string           // the operations before
	counts  map[string]int     // how often each outcome came up
}

// Several workers and operators run random operations on the store and on the model. Each answer must be the same,
// errors included, on the store and in transactions, some of which are rolled back. A worker calls with what it
// remembers of its claims, so that many calls come from workers that have been asleep. The test sets the clock.
func TestRandomOperationsFollowTheModel(t *testing.T) {
	t.Parallel()
	operations, seed := 100_000, rand.Uint64()
	if testing.Short() {
		operations = 5_000
	}
	for _, engine := range testkit.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			clock := testkit.NewClock()
			s := engine.Open(t, store.Options{Now: clock.Now})
			c := &checker{
				T: t, random: rand.New(rand.NewPCG(seed,
					0)), clock: clock, claims: make(map[string][]claim), counts: make(map[string]int),
				model: &model{generations: make(map[uuid.UUID]store.Generation),
					errors: make(map[uuid.UUID][]store.GenerationError)},
			}
			rolledBack := errors.New("rolled back")
			for done := 0; done < operations; {
				if c.random.IntN(10) == 0 {
					c.step(s)
					done++
					continue
				}
				before, steps := c.model.clone(), 1+c.random.IntN(100)
				rollback := c.random.IntN(10) == 0
				err := s.InTx(t.Context(), func(tx *store.Tx) error {
					for range steps {
						c.step(tx)
					}
					if rollback {
						return rolledBack
					}
					return nil
				})
				if rollback {
					c.model = before
				} else if err != nil {
					t.Fatal(err)
				}
				done += steps
			}
			c.compareAll(s)
			for outcome, count := range c.counts {
				t.Logf("%6d %s", count, outcome)
			}
			c.wantEveryOutcome()
		})
	}
}

// step runs one random operation on both.
func (c *checker) step(s operations) {
	c.clock.Advance(time.Duration(c.random.Int64N(int64(200 * time.Millisecond))).Truncate(time.Microsecond))
	if c.random.IntN(200) == 0 {
		c.clock.Advance(time.Duration(c.random.IntN(120)) * time.Second)
	}
	c.model.now = c.clock.Now()
	ctx, m := c.Context(), c.model
	worker := fmt.Sprintf("worker %d", c.random.IntN(5))
	id, attempt := c.some(worker)
	switch pick := c.random.IntN(100); {
	case pick < 14:
		c.create(s)
	case pick < 30:
		params := store.ClaimParams{Worker: worker, Limit: 1 + c.random.IntN(3), Lease: c.seconds(1, 30)}
		if c.random.IntN(4) == 0 {
			params.ModelNames = []string{"musicgen-large", "unknown"}[:1+c.random.IntN(2)]
		}
		got, err := s.ClaimGenerations(ctx, params)
		c.same("claim", fmt.Sprint(params), got, err, m.claim(params), nil)
		for _, g := range got {
			c.claims[worker] = append(c.claims[worker], claim{g.ID, g.Attempt})
		}
	case pick < 42:
		params := store.CompleteGenerationParams{GenerationTimeSeconds: 1.5, FileSizeBytes: 7, Attempt: attempt}
		got, err := s.CompleteGeneration(ctx, id, params)
		want, wantErr := m.complete(id, params)
		c.same("complete", fmt.Sprint(id, attempt), got, err, want, wantErr)
	case pick < 54:
		c.fail(s, id, attempt)
	case pick < 60:
		lease := c.seconds(1, 30)
		got, err := s.ExtendLease(ctx, id, attempt, lease)
		want, wantErr := m.extend(id, attempt, lease)
		c.same("extend", fmt.Sprint(id, attempt, lease), got, err, want, wantErr)
	case pick < 65:
		progress := store.Progress{Step: []string{"", store.StepGenerating, "mastering"}[c.random.IntN(3)],
			Fraction: c.random.Float64()}
		err := s.ReportProgress(ctx, id, attempt, progress)
		c.same("progress", fmt.Sprint(id, attempt, progress), nil, err, nil, m.progress(id, attempt, progress))
	case pick < 69:
		got, err := s.ReleaseGeneration(ctx, id, attempt)
		want, wantErr := m.release(id, attempt)
		c.same("release", fmt.Sprint(id, attempt), got, err, want, wantErr)
	case pick < 72:
		got, err := s.RetryGeneration(ctx, id)
		want, wantErr := m.retry(id)
		c.same("retry", fmt.Sprint(id), got, err, want, wantErr)
	case pick < 76:
		got, err := s.CancelGeneration(ctx, id)
		want, wantErr := m.cancel(id)
		c.same("cancel", fmt.Sprint(id), got, err, want, wantErr)
	case pick < 80:
		limit := 1 + c.random.IntN(3)
		got, err := s.RescueGenerations(ctx, limit)
		c.same("rescue", fmt.Sprint(limit), byID(got), err, byID(m.rescue(limit)), nil)
	case pick < 83:
		status := storagedb.Statuses()[c.random.IntN(5)]
		message := []string{"", "by hand"}[c.random.IntN(2)]
		got, err := s.UpdateGenerationStatus(ctx, id, status, message)
		want, wantErr := m.update(id, status, message)
		c.same("update to "+string(status), fmt.Sprint(id, message), got, err, want, wantErr)
	case pick < 88:
		got, err := s.QueuePosition(ctx, id)
		want, wantErr := m.position(id)
		c.same("position", fmt.Sprint(id), got, err, want, wantErr)
	case pick < 91:
		got, err := s.GenerationErrors(ctx, id)
		var wantErr error
		if _, there := m.generations[id]; !there {
			wantErr = store.ErrNotFound
		}
		c.same("errors", fmt.Sprint(id), got, err, m.errors[id], wantErr)
	case pick < 93:
		got, err := s.PendingGenerations(ctx, 5)
		want := m.pending(func(store.Generation) bool { return true })
		c.same("list pending", "", got, err, want[:min(5, len(want))], nil)
	case pick < 95:
		batch := batches[c.random.IntN(len(batches))]
		got, err := s.BatchStats(ctx, batch)
		c.same("batch stats", fmt.Sprint(batch), got, err,
			m.stats(func(g store.Generation) bool { return g.BatchID != nil && *g.BatchID == batch }), nil)
	case pick < 96:
		batch := batches[c.random.IntN(len(batches))]
		got, err := s.CancelBatch(ctx, batch)
		c.same("cancel batch", fmt.Sprint(batch), got, err, m.cancelBatch(batch), nil)
	case pick < 97:
		if err := s.ResumeQueue(ctx); c.random.IntN(4) > 0 {
			m.paused = false
			c.same("resume", "", nil, err, nil, nil)
		} else {
			err := s.PauseQueue(ctx)
			m.paused = true
			c.same("pause", "", nil, err, nil, nil)
		}
		at, err := s.QueuePausedAt(ctx)
		c.same("paused", "", !at.IsZero(), err, m.paused, nil)
	default:
		c.delete(s, id)
	}
	if len(m.generations) > 50 { // so that most calls are of generations that others are at, too
		id, _ := c.anyGeneration()
		c.delete(s, id)
	}
}

func (c *checker) delete(s operations, id uuid.UUID) {
	err := s.DeleteGeneration(c.Context(), id)
	_, wantErr := c.model.inStatus(id, "", storagedb.Statuses()...)
	delete(c.model.generations, id)
	delete(c.model.errors, id)
	c.same("delete", fmt.Sprint(id), nil, err, nil, wantErr)
}

var batches = []uuid.UUID{
	uuid.MustParse("01890000-0000-7000-8000-00000000000a"),
	uuid.MustParse("01890000-0000-7000-8000-00000000000b"),
}

func (c *checker) seconds(from, to int) time.Duration {
	return time.Duration(from+c.random.IntN(to-from+1)) * time.Second
}

// some is what a worker remembers of a claim, or any generation with a likely attempt.
func (c *checker) some(worker string) (uuid.UUID, int64) {
	if mine := c.claims[worker]; len(mine) > 0 && c.random.IntN(4) > 0 {
		remembered := mine[max(0, len(mine)-1-c.random.IntN(6))]
		if c.random.IntN(20) == 0 {
			return remembered.id, 0
		}
		return remembered.id, remembered.attempt
	}
	if len(c.model.generations) == 0 || c.random.IntN(50) == 0 {
		return testkit.NoSuchID, 1
	}
	return c.anyGeneration()
}

func (c *checker) anyGeneration() (uuid.UUID, int64) {
	ids := slices.SortedFunc(maps.Keys(c.model.generations), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	g := c.model.generations[ids[c.random.IntN(len(ids))]]
	return g.ID, max(0, g.Attempt-1+c.random.Int64N(3))
}

func (c *checker) create(s operations) {
	params := testkit.Beat(fmt.Sprintf("prompt %d", c.random.IntN(3)))
	c.counts["create"]++
	if c.random.IntN(3) == 0 {
		params.ModelName = "musicgen-large"
	}
	params.Priority = c.random.Int64N(3) - 1
	params.MaxAttempts = c.random.Int64N(4)
	switch c.random.IntN(4) {
	case 0:
		params.ScheduledAt = c.clock.Now().Add(c.seconds(0, 60))
	case 1:
		params.ScheduledAt = c.clock.Now().Add(-c.seconds(0, 60))
	}
	if c.random.IntN(2) == 0 {
		params.BatchID = batches[c.random.IntN(len(batches))]
	}
	g, err := s.CreateGeneration(c.Context(), params)
	want := store.Generation{
		ID: g.ID, Prompt: params.Prompt, ModelName: params.ModelName, DurationSeconds: params.DurationSeconds, SampleRate: params.SampleRate,
		Channels: params.Channels, FilePath: params.FilePath, Status: store.StatusPending, CreatedAt: c.clock.Now(), Metadata: store.Metadata("{}"),
		PromptID: g.PromptID, Priority: params.Priority, ScheduledAt: params.ScheduledAt, MaxAttempts: cmp.Or(params.MaxAttempts, 3),
		ProgressStep: store.StepQueued,
	}
	if want.ScheduledAt.IsZero() {
		want.ScheduledAt = c.clock.Now()
	}
	if params.BatchID != uuid.Nil {
		want.BatchID = &params.BatchID
	}
	c.same("create", "", g, err, c.model.put(want), nil)
}

// fail also looks at the backoff, which is by chance.
func (c *checker) fail(s operations, id uuid.UUID, attempt int64) {
	params := store.FailGenerationParams{Attempt: attempt, ErrorMessage: []string{"",
		"CUDA out of memory"}[c.random.IntN(2)], NoRetry: c.random.IntN(8) == 0}
	if c.random.IntN(2) == 0 {
		params.RetryAfter = c.seconds(1, 20)
	}
	got, err := s.FailGeneration(c.Context(), id, params)
	given := params
	if given.RetryAfter == 0 && err == nil && got.IsPending() {
		params.RetryAfter = got.ScheduledAt.Sub(c.clock.Now())
		exact := time.Second << len(c.model.errors[id]) // and not by the attempt, which a release raises
		if params.RetryAfter < exact*9/10 || params.RetryAfter > exact*11/10 {
			c.Fatalf("the backoff after attempt %d is %s", attempt, params.RetryAfter)
		}
	}
	want, wantErr := c.model.fail(id, params)
	c.same("fail", fmt.Sprint(id, given), got, err, want, wantErr)
}

func (c *checker) same(doing, details string, got any, err error, want any, wantErr error) {
	c.Helper()
	c.history = append(c.history, fmt.Sprintf("%s %s %s", c.clock.Now().Format("15:04:05.000000"), doing, details))
	outcome := doing + ": " + kind(err)
	if rows := reflect.ValueOf(got); err == nil && rows.Kind() == reflect.Slice && rows.Len() == 0 {
		outcome = doing + ": nothing"
	} else if g, ok := got.(store.Generation); ok && err == nil {
		outcome = doing + ": " + string(g.Status)
	}
	c.counts[outcome]++
	if kind(err) != kind(wantErr) || err == nil && !equal(got, want) {
		for _, line := range c.history[max(0, len(c.history)-300):] {
			c.Log(line)
		}
		c.Fatalf("%s %s\ngot  %+v, %v\nwant %+v, %v", doing, details, got, err, want, wantErr)
	}
}

// equal takes an empty list for none.
func equal(got, want any) bool {
	a, b := reflect.ValueOf(got), reflect.ValueOf(want)
	if a.Kind() == reflect.Slice && b.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	return reflect.DeepEqual(got, want)
}

func kind(err error) string {
	var refused *store.TransitionError
	if errors.As(err, &refused) {
		return refused.Error()[len("generation "+testkit.NoSuchID.String()+" "):]
	}
	for _, known := range []error{store.ErrNotFound, store.ErrLeaseLost, store.ErrCancelRequested} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	return fmt.Sprint(err)
}

func byID(generations []store.Generation) []store.Generation {
	slices.SortFunc(generations, func(a, b store.Generation) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return generations
}

func (c *checker) compareAll(s operations) {
	for id, want := range c.model.generations {
		got, err := s.GetGeneration(c.Context(), id)
		c.same("get", fmt.Sprint(id), got, err, want, nil)
	}
}

// wantEveryOutcome makes sure that the random operations went everywhere.
func (c *checker) wantEveryOutcome() {
	for _, outcome := range []string{
		"claim: <nil>", "claim: nothing", "complete: completed", "complete: lease lost", "complete: not found",
		"fail: pending", "fail: failed", "fail: cancelled", "fail: lease lost", "extend: processing", "extend: lease lost",
		"extend: cancel requested", "progress: <nil>", "progress: lease lost", "progress: cancel requested", "release: pending",
		"release: cancelled", "release: lease lost", "retry: pending", "cancel: cancelled", "cancel: processing", "rescue: <nil>",
		"rescue: nothing", "update to pending: pending", "update to processing: processing", "update to completed: completed",
		"errors: <nil>", "errors: nothing", "position: <nil>", "position: not found", "cancel batch: <nil>", "pause: <nil>", "resume: <nil>",
	} {
		if c.counts[outcome] == 0 && !testing.Short() {
			c.Errorf("never came up: %s", outcome)
		}
	}
}
