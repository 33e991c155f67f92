package store

import (
	"context"
	"slices"

	"github.com/google/uuid"

	"github.com/dgx-music/storage/storagedb"
)

const (
	maxFound  = 1000 // what is collected of a filter: IDs, prompts or numbers; one that lets more pass is common
	fewFound  = 100  // so few that no other filter is asked
	maxProbes = 8    // filters on metadata that are asked
)

// find lists by metadata or words. Which filter leaves the fewest rows is not known before they are asked, so each gives at
// most a thousand IDs. Where one has no more, the page is made of those. Where all have more, the rows of the page are not
// far to seek: of the prompts that have the words, or of the numbers in a range, where they are few, the first of each in the
// list's order; of those that have a value, in its index; else one by one of all.
func (o *operations) find(ctx context.Context, db storagedb.DBTX, l list) (GenerationPage, error) {
	none := GenerationPage{Generations: []Generation{}}
	var prompts []int64
	if l.searches {
		if len(l.query.wanted) == 0 {
			return none, nil
		}
		var err error
		if prompts, err = o.dialect.findPrompts(ctx, db, l.query, maxFound+1); err != nil || len(prompts) == 0 {
			return none, err
		}
	}
	ofPrompts := l.searches && len(prompts) <= maxFound
	// The only filter needs no other to be compared with.
	if probes := l.probes(ctx, db, o.dialect); len(probes) > 1 || len(probes) == 1 && l.searches {
		found, rare, err := fewest(probes)
		if err != nil {
			return none, err
		}
		if rare {
			return l.page(o.dialect.listFound(ctx, db, l, found))
		}
	}
	switch {
	case ofPrompts:
		matching := l
		matching.searches = false // they match
		return o.listOfGroups(ctx, db, matching, len(prompts), func(each int64) ([]groupPosition, error) {
			return o.dialect.firstOfPrompts(ctx, db, matching, prompts, each)
		})
	case len(l.metadata.values) > 0:
		return l.page(o.dialect.listWithValue(ctx, db, l, l.metadata.values[0]))
	case len(l.metadata.ranges) > 0:
		asked := l.metadata.ranges[0]
		numbers, err := o.dialect.numbersBetween(ctx, db, asked, maxFound+1)
		if err != nil || len(numbers) == 0 {
			return none, err
		}
		if len(numbers) <= maxFound {
			return o.listOfGroups(ctx, db, l, len(numbers), func(each int64) ([]groupPosition, error) {
				return o.dialect.firstOfNumbers(ctx, db, l, asked.Name, numbers, each)
			})
		}
	}
	return l.page(o.dialect.listMatching(ctx, db, l))
}

// probe asks a filter for at most so many IDs.
type probe func(limit int64) ([]uuid.UUID, error)

// fewest asks the filters, and returns the IDs of the one that has the fewest, where they are all that it lets pass.
func fewest(probes []probe) (found []uuid.UUID, rare bool, err error) {
	for _, ask := range probes {
		ids, err := ask(maxFound + 1)
		if err != nil {
			return nil, false, err
		}
		if len(ids) <= maxFound && (!rare || len(ids) < len(found)) {
			found, rare = ids, true
		}
		if rare && len(found) <= fewFound {
			break
		}
	}
	return found, rare, nil
}

// probes are the filters that can be asked; words are asked for prompts instead.
func (l list) probes(ctx context.Context, db storagedb.DBTX, engine finder) (probes []probe) {
	queries, from, to := storagedb.New(db), l.after.createdAt, l.before.createdAt
	for _, value := range l.metadata.values[:min(len(l.metadata.values), maxProbes)] {
		probes = append(probes, func(limit int64) ([]uuid.UUID, error) { return engine.findByMetadata(ctx, db, l, value, limit) })
	}
	for _, asked := range l.metadata.ranges[:min(len(l.metadata.ranges), maxProbes)] {
		probes = append(probes, func(limit int64) ([]uuid.UUID, error) { return engine.findByNumber(ctx, db, asked, limit) })
	}
	if l.BatchID != uuid.Nil {
		probes = append(probes, func(limit int64) ([]uuid.UUID, error) {
			return queries.FindByBatch(ctx, storagedb.FindByBatchParams{BatchID: &l.BatchID, RowLimit: limit})
		})
	}
	if l.Status != "" {
		probes = append(probes, func(limit int64) ([]uuid.UUID, error) {
			return queries.FindByStatus(ctx, storagedb.FindByStatusParams{Status: l.Status, CreatedFrom: from, CreatedTo: to, RowLimit: limit})
		})
	}
	if l.Favorite {
		probes = append(probes, func(limit int64) ([]uuid.UUID, error) {
			return queries.FindFavorites(ctx, storagedb.FindFavoritesParams{CreatedFrom: from, CreatedTo: to, RowLimit: limit})
		})
	}
	if l.ModelName != "" {
		probes = append(probes, func(limit int64) ([]uuid.UUID, error) {
			return queries.FindByModel(ctx, storagedb.FindByModelParams{ModelName: l.ModelName, CreatedFrom: from, CreatedTo: to, RowLimit: limit})
		})
	}
	return probes
}

// listOfGroups makes the page of the first few of each group: of more, where those turn out to be too few.
func (o *operations) listOfGroups(ctx context.Context, db storagedb.DBTX, l list, groups int, first func(each int64) ([]groupPosition, error)) (GenerationPage, error) {
	none := GenerationPage{Generations: []Generation{}}
	need := l.offset + l.limit
	if need < 0 { // more than there are numbers
		need = l.limit
	}
	var places []position
	for each := max(4, need/int64(groups)*2); ; each = min(4*each, need) {
		some, err := first(each)
		if err != nil {
			return none, err
		}
		var all bool
		if places, all = l.knownPlaces(some, each); all || int64(len(places)) >= need || each >= need {
			break
		}
	}
	if int64(len(places)) <= l.offset {
		return none, nil
	}
	places = places[l.offset:min(int64(len(places)), need)]
	ids := make([]uuid.UUID, len(places))
	for i, place := range places {
		ids[i] = place.id
	}
	full := int64(len(places)) == l.limit
	// They are known to match, and where they stand.
	known := list{after: beginningOfTime, before: endOfTime, limit: l.limit}
	known.OldestFirst = l.OldestFirst
	generations, err := o.dialect.listFound(ctx, db, known, ids)
	if err != nil {
		return none, err
	}
	page := GenerationPage{Generations: generations}
	if full { // whatever has been deleted since
		page.Next = places[len(places)-1].cursor()
	}
	return page, nil
}

// knownPlaces are those up to which nothing can be missing, in the list's order. A group that has as many as were asked for
// may have more behind its last one.
func (l list) knownPlaces(some []groupPosition, each int64) (places []position, all bool) {
	inOrder := func(a, b position) int {
		switch {
		case a == b:
			return 0
		case a.isBefore(b) == l.OldestFirst:
			return -1
		}
		return 1
	}
	slices.SortFunc(some, func(a, b groupPosition) int { return inOrder(a.position, b.position) })
	seen := make(map[any]int64)
	for _, one := range some {
		places = append(places, one.position)
		if seen[one.group]++; seen[one.group] == each {
			return places, false
		}
	}
	return places, true
}
