package commit

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
)

// ErrLocked is set for a write whose key another transaction has locked, so that its batch went on without it.
var ErrLocked = errors.New("locked by another transaction")

// Keyed is a group commit of writes that each lock a key. While another transaction has locked a key, the writes with
// that one share a queue of their own, and hold up no other write.
//
// Locks: mu is held for moments.
type Keyed[T, R any] struct {
	shared   *Queue[T, R]
	keyOf    func(T) string
	newQueue func(unlocked func()) *Queue[T, R]

	mu     sync.Mutex
	locked map[string]*lockedKey[T, R]
}

// lockedKey is the queue of a key that was locked when a batch last wanted it.
type lockedKey[T, R any] struct {
	*Queue[T, R]
	callers int // guarded by the mu of the Keyed
}

// NewKeyed returns a group commit by keys. Writes run in shared, which sets ErrLocked for those with locked keys.
// newQueue makes the queue of a locked key, which waits for the lock, and calls unlocked when it has got that.
func NewKeyed[T, R any](
	shared *Queue[T, R], keyOf func(T) string, newQueue func(unlocked func()) *Queue[T, R],
) *Keyed[T, R] {
	return &Keyed[T, R]{shared: shared, keyOf: keyOf, newQueue: newQueue, locked: make(map[string]*lockedKey[T, R])}
}

// Do runs op in a batch with others, or after the lock on its key.
func (k *Keyed[T, R]) Do(ctx context.Context, op T) (R, error) {
	key := k.keyOf(op)
	locked := k.join(key, false)
	if locked == nil {
		result, err := k.shared.Do(ctx, op)
		if !errors.Is(err, ErrLocked) {
			return result, err
		}
		locked = k.join(key, true)
	}
	defer k.leave(key, locked)
	return locked.Do(ctx, op)
}

// Close waits for the leaders of the shared queue. Those of locked keys end when they lose their connections.
func (k *Keyed[T, R]) Close() { k.shared.Close() }

// join returns the queue of a locked key, or nil if there is none and none is to be made.
func (k *Keyed[T, R]) join(key string, create bool) *lockedKey[T, R] {
	k.mu.Lock()
	defer k.mu.Unlock()
	locked := k.locked[key]
	if locked == nil && create {
		locked = &lockedKey[T, R]{}
		locked.Queue = k.newQueue(func() { k.forget(key, locked) })
		k.locked[key] = locked
	}
	if locked != nil {
		locked.callers++
	}
	return locked
}

// forget lets new callers share the batches of all again.
func (k *Keyed[T, R]) forget(key string, locked *lockedKey[T, R]) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.locked[key] == locked {
		delete(k.locked, key)
	}
}

func (k *Keyed[T, R]) leave(key string, locked *lockedKey[T, R]) {
	k.mu.Lock()
	locked.callers--
	last := locked.callers == 0
	k.mu.Unlock()
	if last {
		k.forget(key, locked)
	}
}

// LeaveLocked runs the writes of a batch that was refused because of some lock, and leaves those with locked keys with
// ErrLocked. It halves the batch until it knows them. run must take back what it refuses.
func LeaveLocked[T, R any](
	batch []*Write[T, R], keyOf func(T) string, run func([]*Write[T, R]) error, isLocked func(error) bool,
) error {
	byKey := slices.SortedStableFunc(slices.Values(batch), func(a, b *Write[T, R]) int {
		return cmp.Compare(keyOf(a.Op), keyOf(b.Op))
	})
	var parts [][]*Write[T, R] // each of one key
	for i, w := range byKey {
		if i == 0 || keyOf(w.Op) != keyOf(byKey[i-1].Op) {
			parts = append(parts, nil)
		}
		parts[len(parts)-1] = append(parts[len(parts)-1], w)
	}
	return halve(parts, run, isLocked)
}

func halve[T, R any](
	parts [][]*Write[T, R], run func([]*Write[T, R]) error, isLocked func(error) bool,
) error {
	if len(parts) == 1 {
		for _, w := range parts[0] {
			w.Err = ErrLocked
		}
		return nil
	}
	for _, half := range [][][]*Write[T, R]{parts[:len(parts)/2], parts[len(parts)/2:]} {
		err := run(slices.Concat(half...))
		if isLocked(err) {
			err = halve(half, run, isLocked)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
