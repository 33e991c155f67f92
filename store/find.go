package store

import (
	"context"
	"math"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

const (
	maxCounted   = 1000   // as far as it is counted how many a filter lets pass
	fewCounted   = 100    // so few that no other filter is asked
	manyOfAll    = 20     // one in so many prompts is many
	maxGroups    = 1000   // prompts with the words, or numbers in a range, that are looked at one by one
	maxSorted    = 20_000 // of a range with more numbers than that: what is sorted for each step
	maxAsked     = 8      // values and ranges that are asked how many they let pass
	firstSteps   = 3      // that look at all there is for what many prompts have
	firstPlaces  = 100    // looked at in the first step, at least
	placesGrowth = 4      // and so many times more in each step behind
	maxPlaces    = 4000
)

// find lists by metadata or words. Each filter that an index serves is a source of places in the order of the list, and the
// rest are conditions on what is there. Which source has the fewest is not known before they are asked, so each counts, as
// far as that is cheap, and guesses behind that.
func (o *operations) find(ctx context.Context, db storagedb.DBTX, l list) (GenerationPage, error) {
	none := GenerationPage{Generations: []Generation{}}
	sources := l.sources(ctx, db, o.dialect)
	if l.searches {
		if len(l.query.wanted) == 0 {
			return none, nil
		}
		prompts, err := o.dialect.findPrompts(ctx, db, l.query, maxGroups+1)
		if err != nil || len(prompts) == 0 {
			return none, err
		}
		if len(prompts) <= maxGroups { // then the prompts are the condition, and not the words
			l.searches, l.prompts = false, prompts
			many, err := areMany(ctx, db, prompts, l.limit)
			if err != nil {
				return none, err
			}
			ofPrompts := promptSource(ctx, db, o.dialect, l, prompts)
			switch {
			case !many:
				sources = append(sources, ofPrompts)
			case len(sources) == 0:
				return o.listFrom(ctx, db, l, atFirst(allPlaces(ctx, db), ofPrompts.places))
			}
		}
	}
	from, err := smallest(ctx, db, sources)
	if err != nil {
		return none, err
	}
	if from.places == nil {
		from.places = allPlaces(ctx, db)
	}
	return o.listFrom(ctx, db, l, from.places)
}

// atFirst looks here in the first steps, and there once these have not been enough: what is common may have been so long ago.
func atFirst(here, there func(list, int64) ([]position, bool, error)) func(list, int64) ([]position, bool, error) {
	steps := 0
	return func(l list, n int64) ([]position, bool, error) {
		if steps++; steps <= firstSteps {
			return here(l, n)
		}
		return there(l, n)
	}
}

// source is where to look: the generations that a filter lets pass.
type source struct {
	// size counts them, as far as atMost.
	size func(atMost int64) (int64, error)
	// guess is how many there are where they are many, of what the schema has counted.
	guess func(storagedb.StatsRow) int64
	// places are the first of those within the list's bounds, in its order: n or so. There may be more behind the last one.
	places func(l list, n int64) (places []position, more bool, err error)
}

// smallest asks the sources. None is the zero source.
func smallest(ctx context.Context, db storagedb.DBTX, sources []source) (best source, err error) {
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
				row, err := storagedb.New(db).Stats(ctx)
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

// shareOf guesses that one generation of so many passes.
func shareOf(one int64) func(storagedb.StatsRow) int64 {
	return func(counts storagedb.StatsRow) int64 { return statsOf(counts).TotalGenerations / one }
}

// listFrom makes a page of what matches of a source's places, step by step until it is full.
func (o *operations) listFrom(ctx context.Context, db storagedb.DBTX, l list, from func(list, int64) ([]position, bool, error)) (GenerationPage, error) {
	page := GenerationPage{Generations: []Generation{}}
	skip, missing := l.offset, l.limit
	wanted := func() int64 {
		if skip > math.MaxInt64-missing {
			return math.MaxInt64
		}
		return skip + missing
	}
	for n := min(max(wanted(), firstPlaces), maxPlaces); ; {
		places, more, err := from(l, n)
		if err != nil {
			return page, err
		}
		places = slices.Compact(places) // two keys of one generation may begin alike
		if len(places) > 0 {
			ids := make([]uuid.UUID, len(places))
			for i, place := range places {
				ids[i] = place.id
			}
			found, err := o.dialect.listFound(ctx, db, l, ids, min(wanted(), int64(len(ids))))
			if err != nil {
				return page, err
			}
			skipped := min(skip, int64(len(found)))
			skip -= skipped
			page.Generations = append(page.Generations, found[skipped:]...)
			missing = l.limit - int64(len(page.Generations))
			l = l.behind(places[len(places)-1])
			// As many as it takes if the rest is like these, and some more.
			likely := float64(wanted()) * float64(len(places)) / float64(max(len(found), 1)) * 1.3
			n = int64(min(max(likely, firstPlaces), float64(placesGrowth*n), maxPlaces))
		}
		if missing == 0 {
			page.Next = positionOf(page.Generations[l.limit-1]).cursor()
			return page, nil
		}
		if !more {
			return page, nil
		}
	}
}

// behind is the rest of the list.
func (l list) behind(p position) list {
	if l.OldestFirst {
		l.after = p
	} else {
		l.before = p
	}
	return l
}

// sources are the filters that an index serves, but for words.
func (l list) sources(ctx context.Context, db storagedb.DBTX, engine finder) (sources []source) {
	queries, from, to := storagedb.New(db), l.after.createdAt, l.before.createdAt
	if l.BatchID != uuid.Nil {
		sources = append(sources, source{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfBatch(ctx, storagedb.CountPlacesOfBatchParams{BatchID: &l.BatchID, CreatedFrom: from, CreatedTo: to, AtMost: atMost})
			},
			guess: shareOf(100),
			places: func(l list, n int64) ([]position, bool, error) {
				p := storagedb.NewestPlacesOfBatchParams{
					BatchID:         &l.BatchID,
					BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
				}
				if l.OldestFirst {
					rows, err := queries.OldestPlacesOfBatch(ctx, storagedb.OldestPlacesOfBatchParams(p))
					return placesOf(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfBatch(ctx, p)
				return placesOf(rows, n, err)
			},
		})
	}
	for _, value := range l.metadata.values[:min(len(l.metadata.values), maxAsked)] {
		sources = append(sources, source{
			size:   func(atMost int64) (int64, error) { return engine.countWithValue(ctx, db, l, value, atMost) },
			guess:  shareOf(10),
			places: func(l list, n int64) ([]position, bool, error) { return engine.placesWithValue(ctx, db, l, value, n) },
		})
	}
	for _, asked := range l.metadata.ranges[:min(len(l.metadata.ranges), maxAsked)] {
		sources = append(sources, rangeSource(ctx, db, engine, asked))
	}
	if l.Favorite {
		sources = append(sources, source{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfFavorites(ctx, storagedb.CountPlacesOfFavoritesParams{CreatedFrom: from, CreatedTo: to, AtMost: atMost})
			},
			guess: shareOf(50),
			places: func(l list, n int64) ([]position, bool, error) {
				p := storagedb.NewestPlacesOfFavoritesParams{
					BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
				}
				if l.OldestFirst {
					rows, err := queries.OldestPlacesOfFavorites(ctx, storagedb.OldestPlacesOfFavoritesParams(p))
					return placesOf(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfFavorites(ctx, p)
				return placesOf(rows, n, err)
			},
		})
	}
	return append(sources, l.statusAndModelSources(ctx, queries, from, to)...)
}

// statusAndModelSources is one source, since the two have an index together.
func (l list) statusAndModelSources(ctx context.Context, queries *storagedb.Queries, from, to time.Time) []source {
	switch {
	case l.Status != "" && l.ModelName != "":
		return []source{{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfStatusAndModel(ctx, storagedb.CountPlacesOfStatusAndModelParams{
					Status: l.Status, ModelName: l.ModelName, CreatedFrom: from, CreatedTo: to, AtMost: atMost,
				})
			},
			guess: func(counts storagedb.StatsRow) int64 { return statsOf(counts).of(l.Status) / 4 },
			places: func(l list, n int64) ([]position, bool, error) {
				p := storagedb.NewestPlacesOfStatusAndModelParams{
					Status: l.Status, ModelName: l.ModelName,
					BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
				}
				if l.OldestFirst {
					rows, err := queries.OldestPlacesOfStatusAndModel(ctx, storagedb.OldestPlacesOfStatusAndModelParams(p))
					return placesOf(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfStatusAndModel(ctx, p)
				return placesOf(rows, n, err)
			},
		}}
	case l.Status != "":
		return []source{{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfStatus(ctx, storagedb.CountPlacesOfStatusParams{Status: l.Status, CreatedFrom: from, CreatedTo: to, AtMost: atMost})
			},
			guess: func(counts storagedb.StatsRow) int64 { return statsOf(counts).of(l.Status) },
			places: func(l list, n int64) ([]position, bool, error) {
				p := storagedb.NewestPlacesOfStatusParams{
					Status:          l.Status,
					BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
				}
				if l.OldestFirst {
					rows, err := queries.OldestPlacesOfStatus(ctx, storagedb.OldestPlacesOfStatusParams(p))
					return placesOf(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfStatus(ctx, p)
				return placesOf(rows, n, err)
			},
		}}
	case l.ModelName != "":
		return []source{{
			size: func(atMost int64) (int64, error) {
				return queries.CountPlacesOfModel(ctx, storagedb.CountPlacesOfModelParams{ModelName: l.ModelName, CreatedFrom: from, CreatedTo: to, AtMost: atMost})
			},
			guess: shareOf(4),
			places: func(l list, n int64) ([]position, bool, error) {
				p := storagedb.NewestPlacesOfModelParams{
					ModelName:       l.ModelName,
					BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
				}
				if l.OldestFirst {
					rows, err := queries.OldestPlacesOfModel(ctx, storagedb.OldestPlacesOfModelParams(p))
					return placesOf(rows, n, err)
				}
				rows, err := queries.NewestPlacesOfModel(ctx, p)
				return placesOf(rows, n, err)
			},
		}}
	}
	return nil
}

// allPlaces is where to look when no filter has an index.
func allPlaces(ctx context.Context, db storagedb.DBTX) func(list, int64) ([]position, bool, error) {
	queries := storagedb.New(db)
	return func(l list, n int64) ([]position, bool, error) {
		p := storagedb.NewestPlacesParams{
			BeforeCreatedAt: l.before.createdAt, BeforeID: l.before.id, AfterCreatedAt: l.after.createdAt, AfterID: l.after.id, RowLimit: n,
		}
		if l.OldestFirst {
			rows, err := queries.OldestPlaces(ctx, storagedb.OldestPlacesParams(p))
			return placesOf(rows, n, err)
		}
		rows, err := queries.NewestPlaces(ctx, p)
		return placesOf(rows, n, err)
	}
}

// rangeSource merges what there is of each of the numbers in a range; where these are too many it sorts what is in the range,
// and where that is too much it looks at all there is.
func rangeSource(ctx context.Context, db storagedb.DBTX, engine finder, asked jsonRange) source {
	counted, size := int64(0), int64(0)
	count := func(atMost int64) (_ int64, err error) {
		if counted < atMost {
			counted = atMost
			size, err = engine.countInRange(ctx, db, asked, atMost)
		}
		return min(size, atMost), err
	}
	sorted := func(l list, n int64) ([]position, bool, error) { return engine.placesInRange(ctx, db, l, asked, n) }
	var chosen func(list, int64) ([]position, bool, error)
	choose := func() error {
		numbers, err := engine.numbersInRange(ctx, db, asked, maxGroups+1)
		if err != nil || len(numbers) <= maxGroups {
			chosen = func(l list, n int64) ([]position, bool, error) {
				return l.merged(len(numbers), n, func(each int64) ([]groupPosition, error) {
					return engine.placesOfNumbers(ctx, db, l, asked.Name, numbers, each)
				})
			}
			return err
		}
		size, err := count(maxSorted + 1)
		if chosen = sorted; size > maxSorted {
			chosen = allPlaces(ctx, db)
		}
		return err
	}
	return source{size: count, guess: shareOf(5), places: func(l list, n int64) ([]position, bool, error) {
		if chosen == nil {
			if err := choose(); err != nil {
				return nil, false, err
			}
		}
		return chosen(l, n)
	}}
}

// areMany tells of prompts that are many, and many of all: to look at what there is without them costs less than to merge
// what there is of each.
func areMany(ctx context.Context, db storagedb.DBTX, prompts []int64, limit int64) (bool, error) {
	if int64(len(prompts)) <= limit {
		return false, nil
	}
	counts, err := storagedb.New(db).Stats(ctx)
	return int64(len(prompts))*manyOfAll > counts.TotalPrompts, err
}

// promptSource merges what there is of each of some prompts.
func promptSource(ctx context.Context, db storagedb.DBTX, engine finder, whole list, prompts []int64) source {
	return source{
		size: func(atMost int64) (int64, error) { return engine.countOfPrompts(ctx, db, whole, prompts, atMost) },
		guess: func(counts storagedb.StatsRow) int64 {
			return int64(float64(statsOf(counts).TotalGenerations) / float64(max(counts.TotalPrompts, 1)) * float64(len(prompts)))
		},
		places: func(l list, n int64) ([]position, bool, error) {
			return l.merged(len(prompts), n, func(each int64) ([]groupPosition, error) {
				return engine.placesOfPrompts(ctx, db, l, prompts, each)
			})
		},
	}
}

// merged are the first n places of some groups: of the first few of each, or of more, where those turn out to be too few.
func (l list) merged(groups int, n int64, first func(each int64) ([]groupPosition, error)) (places []position, more bool, err error) {
	if groups == 0 {
		return nil, false, nil
	}
	for each := max(4, min(n, 2*n/int64(groups))); ; each = min(4*each, n) {
		some, err := first(each)
		if err != nil {
			return nil, false, err
		}
		if places, more = l.knownPlaces(some, each); !more || int64(len(places)) >= n || each >= n {
			return places, more, nil
		}
	}
}

// knownPlaces are those up to which nothing can be missing, in the list's order. A group that has as many as were asked for
// may have more behind its last one.
func (l list) knownPlaces(some []groupPosition, each int64) (places []position, more bool) {
	slices.SortFunc(some, func(a, b groupPosition) int { return l.inOrder(a.position, b.position) })
	seen := make(map[any]int64)
	for _, one := range some {
		places = append(places, one.position)
		if seen[one.group]++; seen[one.group] == each {
			return places, true
		}
	}
	return places, false
}

func (l list) inOrder(a, b position) int {
	switch {
	case a == b:
		return 0
	case a.isBefore(b) == l.OldestFirst:
		return -1
	}
	return 1
}

// placesOf are an engine's rows, of a query for n at the most, as places.
func placesOf[Row ~struct {
	ID        uuid.UUID `json:"id"`
	CreatedAt time.Time `json:"created_at"`
}](rows []Row, n int64, err error) (places []position, more bool, _ error) {
	places = make([]position, len(rows))
	for i, row := range rows {
		row := storagedb.NewestPlacesRow(row)
		places[i] = position{createdAt: row.CreatedAt, id: row.ID}
	}
	return places, int64(len(rows)) == n, err
}
