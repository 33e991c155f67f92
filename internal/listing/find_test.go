package listing_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/storagedb"
	"github.com/dgx-music/storage/store"
)

// createWith creates a generation with metadata.
func createWith(t testing.TB, s *store.Store, metadata string) store.Generation {
	t.Helper()
	params := testkit.Beat("beat with " + metadata[:min(len(metadata), 100)])
	params.Metadata = store.Metadata(metadata)
	g, err := s.CreateGeneration(t.Context(), params)
	if err != nil {
		t.Fatalf("%.100s: %v", metadata, err)
	}
	return g
}

// jsonValues are values of metadata. Those of a line are equal as JSON, and differ from those of all other lines.
var jsonValues = [][]string{
	{"140", "140.0", "1.4e2", "14000e-2"},
	{"141"},
	{`"140"`},
	{"1", "1.0"},
	{"true"},
	{"false"},
	{"0", "0.0", "-0"},
	{"null"},
	{`"null"`},
	{`"true"`},
	{`""`},
	{"[]"},
	{"{}"},
	{"[1, 2]", "[1.0,2e0]"},
	{"[2, 1]"},
	{"[1]"},
	{"[1, 2, 3]"},
	{`["1", "2"]`},
	{`{"a": 1, "b": [true]}`, `{"b":[true], "a": 1.0}`},
	{`{"a": 1, "b": [1]}`},
	{`{"a": 1}`},
	{`[{"a": 1}]`},
	{`[{"a": null}]`},
	{`[{}]`},
	{`[[]]`},
	{`"trap"`, `"\u0074rap"`},
	{`"Trap"`},
	{`"trap "`},
	{`"énergie"`, `"\u00e9nergie"`},
	{`"🎧"`, `"\ud83c\udfa7"`},
	{"12345678901234567890"},
	{"12345678901234567891"},
	{"0.1"},
	{"0.10000000000000000001"},
	{"1e400", "10e399", "1.0E+400", "100000e395"},
	{"2e400"},
	{"[1e400]", "[10E399]"},
	{"-1e400"},
	{"1e-400", "10e-401"},
	{`"` + strings.Repeat("x", 100) + `"`},
	{`"` + strings.Repeat("x", 100) + `y"`},
	{`["` + strings.Repeat("x", 100) + `"]`},
	{`["` + strings.Repeat("x", 100) + `y"]`},
}

func TestMetadataFilterComparesValuesAsJSON(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		created := make(map[int][]store.Generation)
		for i, line := range jsonValues {
			for _, text := range line {
				created[i] = append(created[i], createWith(t, s, `{"x": `+text+`, "y": {"x": `+text+`}}`))
			}
		}
		createWith(t, s, "{}")
		for i, line := range jsonValues {
			for _, text := range line {
				testkit.WantListed(t, s, store.ListGenerationsParams{Metadata: map[string]any{"x": json.RawMessage(text)}},
					created[i]...)
				testkit.WantListed(t, s, store.ListGenerationsParams{Metadata: map[string]any{"y": json.RawMessage(`{"x":` + text +
					`}`)}}, created[i]...)
			}
		}
	})
}

func TestMetadataFilterByGoValues(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		trap := createWith(t, s, `{"genre": "trap", "bpm": 140, "tags": ["dark", "808"], "nested": {"key": "Cm"}, "seed": 12345678901234567890}`)
		house := createWith(t, s, `{"genre": "house", "bpm": 140.0, "instrumental": true, "none": null}`)
		createWith(t, s, `{}`)
		for _, c := range []struct {
			filter map[string]any
			want   []store.Generation
		}{
			{map[string]any{"genre": "trap", "bpm": 140}, []store.Generation{trap}},
			{map[string]any{"bpm": 140}, []store.Generation{trap, house}},
			{map[string]any{"bpm": 140.0}, []store.Generation{trap, house}},
			{map[string]any{"bpm": json.Number("140.00")}, []store.Generation{trap, house}},
			{map[string]any{"bpm": "140"}, nil},
			{map[string]any{"instrumental": true}, []store.Generation{house}},
			{map[string]any{"instrumental": 1}, nil},
			{map[string]any{"none": nil}, []store.Generation{house}},
			{map[string]any{"missing": nil}, nil},
			{map[string]any{"tags": []string{"dark", "808"}}, []store.Generation{trap}},
			{map[string]any{"tags": []string{"dark"}}, nil},
			{map[string]any{"tags": "dark"}, nil},
			{map[string]any{"nested": map[string]any{"key": "Cm"}}, []store.Generation{trap}},
			{map[string]any{"nested": map[string]any{}}, nil},
			{map[string]any{"seed": uint64(12345678901234567890)}, []store.Generation{trap}},
			{map[string]any{"seed": uint64(12345678901234567891)}, nil},
			{map[string]any{"key": "Cm"}, nil}, // not at the top level
		} {
			testkit.WantListed(t, s, store.ListGenerationsParams{Metadata: c.filter}, c.want...)
		}
	})
}

func TestMetadataRanges(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		of := make(map[string]store.Generation)
		texts := []string{"-1e400", "-3", "0", "1e-400", "4.9406564584124654e-324", "3e-324", "0.1", "139.999", "140",
			"140.0", "141", "12345678901234567890", "1.79769313486231575e308", "1e400"}
		for _, text := range texts {
			of[text] = createWith(t, s, `{"bpm": `+text+`, "other": 1}`)
		}
		for _, text := range []string{`"140"`, "true", "null", "[140]", `{"bpm": 140}`} {
			createWith(t, s, `{"bpm": `+text+`}`)
		}
		createWith(t, s, "{}")
		pick := func(texts ...string) (picked []store.Generation) {
			for _, text := range texts {
				picked = append(picked, of[text])
			}
			return picked
		}
		for _, c := range []struct {
			min, max *float64
			want     []store.Generation
		}{
			{new(140.0), new(140.0), pick("140", "140.0")},
			{new(139.999), new(140.0), pick("139.999", "140", "140.0")},
			{new(0.1), new(0.1), pick("0.1")},
			{new(140.5), nil, pick("141", "12345678901234567890", "1.79769313486231575e308", "1e400")},
			{nil, new(0.0), pick("-1e400", "-3", "0", "1e-400")},
			{new(-math.MaxFloat64), new(math.MaxFloat64), pick(texts[1 : len(texts)-1]...)},
			{new(math.SmallestNonzeroFloat64), new(1.0), pick("4.9406564584124654e-324", "3e-324", "0.1")},
			{nil, nil, pick(texts...)},
			{new(150.0), new(140.0), nil},
		} {
			testkit.WantListed(t, s, store.ListGenerationsParams{MetadataRanges: []store.MetadataRange{{Key: "bpm", Min: c.min,
				Max: c.max}}}, c.want...)
		}
		testkit.WantListed(t, s, store.ListGenerationsParams{MetadataRanges: []store.MetadataRange{
			{Key: "bpm", Min: new(100.0)}, {Key: "bpm", Max: new(140.0)}, {Key: "other", Min: new(1.0), Max: new(1.0)},
		}}, pick("139.999", "140", "140.0")...)
		long := strings.Repeat("k", 70)
		one := createWith(t, s, `{"`+long+`": 9007199254740993}`)
		createWith(t, s, `{"`+long[:69]+`": 9007199254740993}`)
		testkit.WantListed(t, s, store.ListGenerationsParams{MetadataRanges: []store.MetadataRange{{Key: long,
			Min: new(9007199254740992.0)}}}, one)
		for field, params := range map[string]store.ListGenerationsParams{
			"metadata_ranges": {MetadataRanges: []store.MetadataRange{{Key: "bpm", Min: new(math.NaN())}}},
			"metadata":        {Metadata: map[string]any{"x": "\x00"}},
			"search":          {Search: "\xff"},
		} {
			_, err := s.ListGenerations(t.Context(), params)
			testkit.WantInvalid(t, err, field)
		}
		for _, r := range []store.MetadataRange{{Key: "bpm", Max: new(math.Inf(1))}, {Key: "\xff"}, {Key: "\x00"}} {
			_, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{MetadataRanges: []store.MetadataRange{r}})
			testkit.WantInvalid(t, err, "metadata_ranges")
		}
		_, err := s.ListGenerations(t.Context(), store.ListGenerationsParams{Metadata: map[string]any{"x": math.Inf(1)}})
		testkit.WantInvalid(t, err, "metadata")
		_, err = s.ListGenerations(t.Context(), store.ListGenerationsParams{Metadata: map[string]any{"x": func() {}}})
		testkit.WantInvalid(t, err, "metadata")
		is.NoErr(s.CheckCounts(t.Context()))
	})
}

// The index over metadata follows each change.
func TestMetadataFilterSeesChanges(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		by := func(key string, value any) store.ListGenerationsParams {
			return store.ListGenerationsParams{Metadata: map[string]any{key: value}}
		}
		g := createWith(t, s, `{"bpm": 140, "genre": "trap"}`)
		merged, err := s.MergeMetadata(ctx, g.ID, store.Metadata(`{"bpm": 141, "mood": "dark"}`))
		is.NoErr(err)
		testkit.WantListed(t, s, by("bpm", 140))
		testkit.WantListed(t, s, by("bpm", 141), merged)
		testkit.WantListed(t, s, by("genre", "trap"), merged)
		done, err := s.CompleteGeneration(ctx, g.ID,
			store.CompleteGenerationParams{Metadata: store.Metadata(`{"mood": "light", "seed": 7}`)})
		is.NoErr(err)
		testkit.WantListed(t, s, by("mood", "dark"))
		testkit.WantListed(t, s, by("mood", "light"), done)
		testkit.WantListed(t, s, by("seed", 7), done)

		// Keys that begin alike share an entry.
		long := strings.Repeat("k", 64)
		twins := createWith(t, s, `{"`+long+`1": 1, "`+long+`2": 1}`)
		testkit.WantListed(t, s, by(long+"1", 1), twins)
		_, err = s.MergeMetadata(ctx, twins.ID, store.Metadata(`{"`+long+`1": 2}`))
		is.NoErr(err)
		testkit.WantListed(t, s, by(long+"2", 1), twins)
		testkit.WantListed(t, s, by(long+"1", 1))
		testkit.WantListed(t, s, store.ListGenerationsParams{MetadataRanges: []store.MetadataRange{{Key: long + "2",
			Max: new(3.0)}}}, twins)
		testkit.WantListed(t, s, by(long+"1", 2), twins)

		is.NoErr(s.DeleteGeneration(ctx, twins.ID))
		is.NoErr(s.DeletePrompt(ctx, g.PromptID)) // by a cascade
		testkit.WantListed(t, s, by("bpm", 141))
		var entries int
		is.NoErr(s.DB().QueryRow(ctx, "SELECT count(*) FROM generation_metadata").Scan(&entries))
		is.Equal(entries, 0)

		err = s.InTx(ctx, func(tx *store.Tx) error {
			if _, err := tx.CreateGeneration(ctx, store.CreateGenerationParams{Prompt: "x", ModelName: "m", DurationSeconds: 1,
				SampleRate: 1, Channels: 1, FilePath: "x", Metadata: store.Metadata(`{"bpm": 1}`)}); err != nil {
				return err
			}
			page, err := tx.ListGenerations(ctx, by("bpm", 1))
			is.NoErr(err)
			is.Equal(len(page.Generations), 1)
			return fmt.Errorf("rolled back")
		})
		is.True(err != nil)
		testkit.WantListed(t, s, by("bpm", 1))
	})
}

// Lists with every combination of filters, metadata and words, common and rare, in both orders, page by page, equal a
// loop over everything. There are more rows than a store collects for a filter, so that each way to make a page is
// taken.
func TestEveryCombinationOfMetadataAndWords(t *testing.T) {
	t.Parallel()
	rows, lists := 3000, 250
	if testing.Short() {
		rows, lists = 1300, 50
	}
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		random := rand.New(rand.NewPCG(3, 4))
		batch := uuid.New()
		began := clock.Now()
		type row struct {
			store.Generation
			genre string
			bpm   int
			words []string
		}
		var all []row
		for len(all) < rows {
			clock.Advance(time.Second)
			var params []store.CreateGenerationParams
			var made []row
			for range 50 { // at the same time
				r := row{genre: []string{"trap", "trap", "trap", "house"}[random.IntN(4)], bpm: 60 + random.IntN(120),
					words: []string{"beat"}}
				if random.IntN(50) == 0 {
					r.genre = "rare"
				}
				switch random.IntN(20) {
				case 0:
					r.words = append(r.words, "seldom", fmt.Sprint(random.IntN(3)))
				case 1, 2, 3:
					r.words = append(r.words, "often", fmt.Sprint(random.IntN(2000)))
				default:
					r.words = append(r.words, fmt.Sprint("number", random.IntN(30)))
				}
				p := testkit.Beat(strings.Join(r.words, " "))
				p.Metadata = store.Metadata(fmt.Sprintf(`{"genre":"%s","bpm":%d,"seed":%d.5}`, r.genre, r.bpm, len(all)+len(made)))
				if random.IntN(100) == 0 {
					p.BatchID = batch
				}
				if random.IntN(3) == 0 {
					p.ModelName = "musicgen-large"
				}
				params, made = append(params, p), append(made, r)
			}
			created, err := s.CreateGenerations(ctx, params)
			is.NoErr(err)
			for i, g := range created {
				if random.IntN(20) == 0 {
					g, err = s.SetFavorite(ctx, g.ID, true)
					is.NoErr(err)
				}
				if random.IntN(10) == 0 {
					g, err = s.UpdateGenerationStatus(ctx, g.ID, storagedb.Statuses()[1+random.IntN(2)], "")
					is.NoErr(err)
				}
				made[i].Generation = g
			}
			all = append(all, made...)
		}
		genres, searches := []string{"", "trap", "rare", "none"}, []string{"", "beat", "seldom", "often", "number7",
			"nowhere", "beat -often"}
		for range lists {
			params := store.ListGenerationsParams{Limit: 10 + random.IntN(150), OldestFirst: random.IntN(2) == 0}
			genre, search := genres[random.IntN(len(genres))], searches[random.IntN(len(searches))]
			if genre != "" {
				params.Metadata = map[string]any{"genre": genre}
			}
			params.Search = search
			low, high := 0.0, 1000.0
			if random.IntN(3) == 0 {
				low, high = 60+float64(random.IntN(100)), 100+float64(random.IntN(100))
				params.MetadataRanges = []store.MetadataRange{{Key: "bpm", Min: &low, Max: &high}}
			}
			seeds := 0.0
			if random.IntN(8) == 0 { // more than are collected of different numbers
				seeds = float64(random.IntN(rows))
				params.MetadataRanges = append(params.MetadataRanges, store.MetadataRange{Key: "seed", Min: &seeds})
			}
			if random.IntN(4) == 0 {
				params.Status = storagedb.Statuses()[random.IntN(3)]
			}
			if random.IntN(4) == 0 {
				params.ModelName = "musicgen-large"
			}
			if random.IntN(8) == 0 {
				params.BatchID = batch
			}
			params.Favorite = random.IntN(6) == 0
			if random.IntN(4) == 0 {
				params.CreatedFrom = began.Add(10 * time.Second)
			}
			if random.IntN(4) == 0 {
				params.CreatedTo = began.Add(20 * time.Second)
			}
			if random.IntN(3) == 0 {
				params.Offset = random.IntN(80)
			}
			var want []uuid.UUID
			for i, g := range all {
				if (params.Status == "" || g.Status == params.Status) &&
					(params.ModelName == "" || g.ModelName == params.ModelName) &&
					(params.BatchID == uuid.Nil || g.BatchID != nil) &&
					(!params.Favorite || g.Favorite) &&
					!g.CreatedAt.Before(params.CreatedFrom) &&
					(params.CreatedTo.IsZero() || g.CreatedAt.Before(params.CreatedTo)) &&
					float64(i)+0.5 >= seeds &&
					(genre == "" || g.genre == genre) &&
					float64(g.bpm) >= low && float64(g.bpm) <= high &&
					(search == "" || search == "beat -often" && !slices.Contains(g.words, "often") ||
						slices.Contains(g.words, search)) {
					want = append(want, g.ID)
				}
			}
			if !params.OldestFirst {
				slices.Reverse(want)
			}
			want = want[min(len(want), params.Offset):]
			var got []uuid.UUID
			for g, err := range s.Generations(ctx, params) {
				is.NoErr(err)
				got = append(got, g.ID)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%+v: got %d, want %d", params, len(got), len(want))
			}
		}
	})
}

// A search without words finds nothing, as SearchGenerations does.
func TestListBySearchWithoutWords(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		g := testkit.Create(t, s, "lo-fi beat at 80 BPM")
		testkit.WantListed(t, s, store.ListGenerationsParams{Search: "lo-fi -rain"}, g)
		testkit.WantListed(t, s, store.ListGenerationsParams{Search: `"`})
		testkit.WantListed(t, s, store.ListGenerationsParams{Search: "-beat"})
		testkit.WantListed(t, s, store.ListGenerationsParams{Search: "beat", Limit: math.MaxInt}, g)
		testkit.WantListed(t, s, store.ListGenerationsParams{Search: "beat", Limit: math.MaxInt, Offset: math.MaxInt})
	})
}

// A word of many prompts is found also if it was last used long ago.
func TestWordsOfManyPromptsLongAgo(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		var old []store.Generation
		createAll := func(words string, n, prompts int) {
			params := make([]store.CreateGenerationParams, n)
			for i := range params {
				params[i] = testkit.Beat(fmt.Sprintf("%s %d", words, i%prompts))
			}
			created, err := s.CreateGenerations(t.Context(), params)
			is.NoErr(err)
			if words == "old" {
				old = append(old, created...)
			}
		}
		createAll("old", 600, 300)
		createAll("new", 4000, 2)
		for _, limit := range []int{7, 100, 250} {
			testkit.WantListed(t, s, store.ListGenerationsParams{Search: "old", Limit: limit}, old...)
		}
	})
}
