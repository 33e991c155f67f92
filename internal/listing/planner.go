package listing

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

const (
	maxCounted = 1000   // the rows of a filter are counted up to this number, and guessed beyond
	fewCounted = 100    // a filter with no more rows than this is taken without a look at the others
	mostShare  = 20     // prompts are most if they are more than one in so many
	maxGroups  = 1000   // prompts or numbers up to this number are read one by one, and merged
	maxSorted  = 20_000 // a range of more different numbers is sorted if it has at most so many rows
	maxAsked   = 8      // the number of values and of ranges whose rows are counted
	firstSteps = 3      // steps that scan the list, before the rows of each prompt are merged
	firstKeys  = 100    // the least number of keys in the first step
	keysGrowth = 4      // how much each step may grow
	maxKeys    = 4000   // the most keys of a step
)

// Finder is the part of an engine's dialect that lists by metadata and words. Equality of JSON, full-text search and
// lists as parameters are each engine's own. Count methods honour only the time range of the list; key methods also
// honour its cursor bounds and its order.
type Finder interface {
	CountWithValue(ctx context.Context, q Query, value storagedb.Metadata, atMost int64) (int64, error)
	KeysWithValue(ctx context.Context, q Query, value storagedb.Metadata, n int64) (keys []Key, more bool, err error)

	CountInRange(ctx context.Context, r Range, atMost int64) (int64, error)
	KeysInRange(ctx context.Context, q Query, r Range, n int64) (keys []Key, more bool, err error)
	// NumbersInRange returns the different numbers in a range, and KeysOfNumbers up to each keys of each number.
	NumbersInRange(ctx context.Context, r Range, atMost int64) ([]float64, error)
	KeysOfNumbers(ctx context.Context, q Query, name string, numbers []float64, each int64) ([]GroupedKey, error)

	// FindPrompts returns the IDs of prompts that have the words, and KeysOfPrompts up to each keys of each prompt.
	FindPrompts(ctx context.Context, words Words, atMost int64) ([]int64, error)
	CountOfPrompts(ctx context.Context, q Query, prompts []int64, atMost int64) (int64, error)
	KeysOfPrompts(ctx context.Context, q Query, prompts []int64, each int64) ([]GroupedKey, error)

	// ListFound returns the first of the given generations that match all filters of the list.
	ListFound(ctx context.Context, q Query, ids []uuid.UUID, limit int64) ([]storagedb.Generation, error)
}

// planner chooses where to look for the rows of one list.
type planner struct {
	ctx     context.Context
	queries *storagedb.Queries
	finder  Finder
}

// readKeys returns the next n keys within the bounds of the list, in its order. more reports whether there may be
// others.
type readKeys func(q Query, n int64) (keys []Key, more bool, err error)

// find lists by metadata or words. Each filter that an index serves is a source of keys in the order of the list; the
// other filters are conditions on the rows. Which source has the fewest rows is not known in advance. So each counts
// its rows as far as that is cheap, and guesses beyond.
func find(ctx context.Context, queries *storagedb.Queries, finder Finder, q Query) (Page, error) {
	p, none := planner{ctx, queries, finder}, Page{Generations: []storagedb.Generation{}}
	sources := p.sources(q)
	if q.Searches {
		if len(q.Words.Wanted) == 0 {
			return none, nil
		}
		prompts, err := finder.FindPrompts(ctx, q.Words, maxGroups+1)
		if err != nil || len(prompts) == 0 {
			return none, err
		}
		if len(prompts) <= maxGroups { // then the prompts are the condition, instead of the words
			q.Searches, q.Prompts = false, prompts
			most, err := p.matchesMostPrompts(prompts, q.limit)
			if err != nil {
				return none, err
			}
			ofPrompts := p.promptSource(q, prompts)
			switch {
			case !most:
				sources = append(sources, ofPrompts)
			case len(sources) == 0:
				return p.listFrom(q, tryFirst(p.allKeys, ofPrompts.keys))
			}
		}
	}
	from, err := p.smallest(sources)
	if err != nil {
		return none, err
	}
	if from.keys == nil {
		from.keys = p.allKeys
	}
	return p.listFrom(q, from.keys)
}

// tryFirst reads by one source in the first steps, and by the other if these were not enough: rows with a common word
// may all be old.
func tryFirst(first, then readKeys) readKeys {
	steps := 0
	return func(q Query, n int64) ([]Key, bool, error) {
		if steps++; steps <= firstSteps {
			return first(q, n)
		}
		return then(q, n)
	}
}

// source is where to look: the generations that pass a filter.
type source struct {
	size  func(atMost int64) (int64, error)     // counts them, up to atMost
	guess func(counts storagedb.StatsRow) int64 // guesses how many there are beyond that, from the schema's counters
	keys  readKeys
}

// smallest returns the source with the fewest rows, or the zero source if there is none.
func (p planner) smallest(sources []source) (best source, err error) {
	if len(sources) == 1 {
		return sources[0], nil
	}
	var counts *storagedb.StatsRow
	fewest := int64(-1)
	for _, s := range sources {
		size, err := s.size(maxCounted + 1)
		if err != nil {
			return source{}, err
		}
		if size > maxCounted {
			if counts == nil {
				row, err := p.queries.Stats(p.ctx)
				if err != nil {
					return source{}, err
				}
				counts = &row
			}
			size = max(size, s.guess(*counts))
		}
		if fewest < 0 || size < fewest {
			best, fewest = s, size
		}
		if fewest <= fewCounted {
			break
		}
	}
	return best, nil
}

// shareOf guesses that one generation in so many passes.
func shareOf(one int64) func(storagedb.StatsRow) int64 {
	return func(counts storagedb.StatsRow) int64 { return counts.TotalGenerations() / one }
}

// listFrom fills a page with the rows of a source that match, step by step.
func (p planner) listFrom(q Query, from readKeys) (Page, error) {
	page := Page{Generations: []storagedb.Generation{}}
	skip, missing := q.offset, q.limit
	wanted := func() int64 {
		if skip > math.MaxInt64-missing {
			return math.MaxInt64
		}
		return skip + missing
	}
	for n := min(max(wanted(), firstKeys), maxKeys); ; {
		keys, more, err := from(q, n)
		if err != nil {
			return page, err
		}
		keys = slices.Compact(keys) // a generation comes twice if two of its metadata's keys begin alike
		if len(keys) > 0 {
			ids := make([]uuid.UUID, len(keys))
			for i, key := range keys {
				ids[i] = key.ID
			}
			found, err := p.finder.ListFound(p.ctx, q, ids, min(wanted(), int64(len(ids))))
			if err != nil {
				return page, err
			}
			skipped := min(skip, int64(len(found)))
			skip -= skipped
			page.Generations = append(page.Generations, found[skipped:]...)
			missing = q.limit - int64(len(page.Generations))
			q = q.from(keys[len(keys)-1])
			// As many as it takes if the rest is like these, and 30 % more.
			likely := float64(wanted()) * float64(len(keys)) / float64(max(len(found), 1)) * 1.3
			n = int64(min(max(likely, firstKeys), float64(keysGrowth*n), maxKeys))
		}
		if missing == 0 {
			page.Next = keyOf(page.Generations[q.limit-1]).Cursor()
			return page, nil
		}
		if !more {
			return page, nil
		}
	}
}

// from returns the rest of the list, after the key.
func (q Query) from(k Key) Query {
	if q.OldestFirst {
		q.After = k
	} else {
		q.Before = k
	}
	return q
}

// sources returns the filters that an index serves, except words.
func (p planner) sources(q Query) (sources []source) {
	ctx, queries, from, to := p.ctx, p.queries, q.After.CreatedAt, q.Before.CreatedAt
	if q.BatchID != uuid.Nil {
		sources = append(sources, source{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfBatch(ctx, storagedb.CountPlacesOfBatchParams{
					BatchID: &q.BatchID, CreatedFrom: from, CreatedTo: to, AtMost: atMost,
				})
			},
			guess: shareOf(100),
			keys: func(q Query, n int64) ([]Key, bool, error) {
				params := storagedb.NewestPlacesOfBatchParams{
					BatchID:         &q.BatchID,
					BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
					AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
				}
				if q.OldestFirst {
					rows, err := queries.OldestPlacesOfBatch(ctx, storagedb.OldestPlacesOfBatchParams(params))
					return Keys(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfBatch(ctx, params)
				return Keys(rows, n, err)
			},
		})
	}
	for _, value := range q.Metadata.Values[:min(len(q.Metadata.Values), maxAsked)] {
		sources = append(sources, source{
			size:  func(atMost int64) (int64, error) { return p.finder.CountWithValue(ctx, q, value, atMost) },
			guess: shareOf(10),
			keys:  func(q Query, n int64) ([]Key, bool, error) { return p.finder.KeysWithValue(ctx, q, value, n) },
		})
	}
	for _, asked := range q.Metadata.Ranges[:min(len(q.Metadata.Ranges), maxAsked)] {
		sources = append(sources, p.rangeSource(asked))
	}
	if q.Favorite {
		sources = append(sources, source{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfFavorites(ctx, storagedb.CountPlacesOfFavoritesParams{
					CreatedFrom: from, CreatedTo: to, AtMost: atMost,
				})
			},
			guess: shareOf(50),
			keys: func(q Query, n int64) ([]Key, bool, error) {
				params := storagedb.NewestPlacesOfFavoritesParams{
					BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
					AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
				}
				if q.OldestFirst {
					rows, err := queries.OldestPlacesOfFavorites(ctx, storagedb.OldestPlacesOfFavoritesParams(params))
					return Keys(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfFavorites(ctx, params)
				return Keys(rows, n, err)
			},
		})
	}
	return append(sources, p.statusAndModelSources(q)...)
}

// statusAndModelSources returns one source at most, because the two filters share an index.
func (p planner) statusAndModelSources(q Query) []source {
	ctx, queries, from, to := p.ctx, p.queries, q.After.CreatedAt, q.Before.CreatedAt
	switch {
	case q.Status != "" && q.ModelName != "":
		return []source{{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfStatusAndModel(ctx, storagedb.CountPlacesOfStatusAndModelParams{
					Status: q.Status, ModelName: q.ModelName, CreatedFrom: from, CreatedTo: to, AtMost: atMost,
				})
			},
			guess: func(counts storagedb.StatsRow) int64 { return counts.OfStatus(q.Status) / 4 },
			keys: func(q Query, n int64) ([]Key, bool, error) {
				params := storagedb.NewestPlacesOfStatusAndModelParams{
					Status: q.Status, ModelName: q.ModelName,
					BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
					AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
				}
				if q.OldestFirst {
					rows, err := queries.OldestPlacesOfStatusAndModel(ctx, storagedb.OldestPlacesOfStatusAndModelParams(params))
					return Keys(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfStatusAndModel(ctx, params)
				return Keys(rows, n, err)
			},
		}}
	case q.Status != "":
		return []source{{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfStatus(ctx, storagedb.CountPlacesOfStatusParams{
					Status: q.Status, CreatedFrom: from, CreatedTo: to, AtMost: atMost,
				})
			},
			guess: func(counts storagedb.StatsRow) int64 { return counts.OfStatus(q.Status) },
			keys: func(q Query, n int64) ([]Key, bool, error) {
				params := storagedb.NewestPlacesOfStatusParams{
					Status:          q.Status,
					BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
					AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
				}
				if q.OldestFirst {
					rows, err := queries.OldestPlacesOfStatus(ctx, storagedb.OldestPlacesOfStatusParams(params))
					return Keys(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfStatus(ctx, params)
				return Keys(rows, n, err)
			},
		}}
	case q.ModelName != "":
		return []source{{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfModel(ctx, storagedb.CountPlacesOfModelParams{
					ModelName: q.ModelName, CreatedFrom: from, CreatedTo: to, AtMost: atMost,
				})
			},
			guess: shareOf(4),
			keys: func(q Query, n int64) ([]Key, bool, error) {
				params := storagedb.NewestPlacesOfModelParams{
					ModelName:       q.ModelName,
					BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
					AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
				}
				if q.OldestFirst {
					rows, err := queries.OldestPlacesOfModel(ctx, storagedb.OldestPlacesOfModelParams(params))
					return Keys(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfModel(ctx, params)
				return Keys(rows, n, err)
			},
		}}
	}
	return nil
}

// allKeys reads the whole list. It is where to look if no filter has an index.
func (p planner) allKeys(q Query, n int64) ([]Key, bool, error) {
	params := storagedb.NewestPlacesParams{
		BeforeCreatedAt: q.Before.CreatedAt, BeforeID: q.Before.ID,
		AfterCreatedAt: q.After.CreatedAt, AfterID: q.After.ID, RowLimit: n,
	}
	if q.OldestFirst {
		rows, err := p.queries.OldestPlaces(p.ctx, storagedb.OldestPlacesParams(params))
		return Keys(rows, n, err)
	}
	rows, err := p.queries.NewestPlaces(p.ctx, params)
	return Keys(rows, n, err)
}

// rangeSource merges the rows of each number in a range. If there are too many numbers, it sorts the rows of the range;
// if there are too many rows, it reads the whole list.
func (p planner) rangeSource(asked Range) source {
	counted, size := int64(0), int64(0)
	count := func(atMost int64) (_ int64, err error) {
		if counted < atMost {
			counted = atMost
			size, err = p.finder.CountInRange(p.ctx, asked, atMost)
		}
		return min(size, atMost), err
	}
	sorted := func(q Query, n int64) ([]Key, bool, error) { return p.finder.KeysInRange(p.ctx, q, asked, n) }
	var chosen readKeys
	choose := func() error {
		numbers, err := p.finder.NumbersInRange(p.ctx, asked, maxGroups+1)
		if err != nil || len(numbers) <= maxGroups {
			chosen = func(q Query, n int64) ([]Key, bool, error) {
				return q.merged(len(numbers), n, func(each int64) ([]GroupedKey, error) {
					return p.finder.KeysOfNumbers(p.ctx, q, asked.Name, numbers, each)
				})
			}
			return err
		}
		size, err := count(maxSorted + 1)
		if chosen = sorted; size > maxSorted {
			chosen = p.allKeys
		}
		return err
	}
	return source{size: count, guess: shareOf(5), keys: func(q Query, n int64) ([]Key, bool, error) {
		if chosen == nil {
			if err := choose(); err != nil {
				return nil, false, err
			}
		}
		return chosen(q, n)
	}}
}

// matchesMostPrompts reports whether scanning the list is cheaper than merging one stream per prompt.
func (p planner) matchesMostPrompts(prompts []int64, limit int64) (bool, error) {
	if int64(len(prompts)) <= limit {
		return false, nil
	}
	counts, err := p.queries.Stats(p.ctx)
	return int64(len(prompts))*mostShare > counts.TotalPrompts, err
}

// promptSource merges the rows of each prompt.
func (p planner) promptSource(whole Query, prompts []int64) source {
	return source{
		size: func(atMost int64) (int64, error) { return p.finder.CountOfPrompts(p.ctx, whole, prompts, atMost) },
		guess: func(counts storagedb.StatsRow) int64 {
			return int64(float64(counts.TotalGenerations()) / float64(max(counts.TotalPrompts, 1)) * float64(len(prompts)))
		},
		keys: func(q Query, n int64) ([]Key, bool, error) {
			return q.merged(len(prompts), n, func(each int64) ([]GroupedKey, error) {
				return p.finder.KeysOfPrompts(p.ctx, q, prompts, each)
			})
		},
	}
}

// merged returns the first n keys of some groups. It reads the first few keys of each group, and more if these are too
// few.
func (q Query) merged(
	groups int, n int64, first func(each int64) ([]GroupedKey, error),
) (keys []Key, more bool, err error) {
	if groups == 0 {
		return nil, false, nil
	}
	for each := max(4, min(n, 2*n/int64(groups))); ; each = min(4*each, n) {
		some, err := first(each)
		if err != nil {
			return nil, false, err
		}
		if keys, more = q.knownKeys(some, each); !more || int64(len(keys)) >= n || each >= n {
			return keys, more, nil
		}
	}
}

// knownKeys returns the keys up to which none can be missing, in the list's order. A group with as many keys as were
// asked for may have more after its last one.
func (q Query) knownKeys(some []GroupedKey, each int64) (keys []Key, more bool) {
	slices.SortFunc(some, func(a, b GroupedKey) int { return q.compare(a.Key, b.Key) })
	seen := make(map[any]int64)
	for _, one := range some {
		keys = append(keys, one.Key)
		if seen[one.Group]++; seen[one.Group] == each {
			return keys, true
		}
	}
	return keys, false
}

// compare compares keys by the list's order.
func (q Query) compare(a, b Key) int {
	switch {
	case a == b:
		return 0
	case a.isBefore(b) == q.OldestFirst:
		return -1
	}
	return 1
}

// Keys converts the rows of a query for at most n keys. more reports whether there may be others.
func Keys[Row ~struct {
	ID        uuid.UUID `json:"id"`
	CreatedAt time.Time `json:"created_at"`
}](rows []Row, n int64, err error) (keys []Key, more bool, _ error) {
	keys = make([]Key, len(rows))
	for i, row := range rows {
		row := storagedb.NewestPlacesRow(row)
		keys[i] = Key{CreatedAt: row.CreatedAt, ID: row.ID}
	}
	return keys, int64(len(rows)) == n, err
}

// KeysByPrompt converts the rows of a query for some keys of each prompt.
func KeysByPrompt[Row ~struct {
	ID        uuid.UUID `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	PromptID  int64     `json:"prompt_id"`
}](rows []Row) []GroupedKey {
	type keyOfPrompt struct {
		ID        uuid.UUID
		CreatedAt time.Time
		PromptID  int64
	}
	keys := make([]GroupedKey, len(rows))
	for i, row := range rows {
		row := keyOfPrompt(row)
		keys[i] = GroupedKey{Key{CreatedAt: row.CreatedAt, ID: row.ID}, row.PromptID}
	}
	return keys
}

// KeysByNumber converts the rows of a query for some keys of each number.
func KeysByNumber[Row ~struct {
	ID        uuid.UUID `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	Number    float64   `json:"number"`
}](rows []Row) []GroupedKey {
	type keyOfNumber struct {
		ID        uuid.UUID
		CreatedAt time.Time
		Number    float64
	}
	keys := make([]GroupedKey, len(rows))
	for i, row := range rows {
		row := keyOfNumber(row)
		keys[i] = GroupedKey{Key{CreatedAt: row.CreatedAt, ID: row.ID}, row.Number}
	}
	return keys
}
