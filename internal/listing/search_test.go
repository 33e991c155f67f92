package listing_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/matryer/is"

	"github.com/dgx-music/storage/internal/testkit"
	"github.com/dgx-music/storage/store"
	"github.com/dgx-music/storage/store/storetest"
)

// library is a small library with texts that tokenizers stumble over.
var library = []string{
	"trap beat at 140 BPM",
	"lo-fi beat at 80 BPM, rainy night",
	"lo fi hip hop",
	"fi lo",
	"lofi",
	"drum/bass with synths",
	"drum and bass",
	"bass, drum",
	"synthwave at 118 BPM",
	"énergie douce",
	"e\u0301nergie forte", // the accent on its own
	"ENERGIE pure",
	"音楽 music",
	"ДРАМ энд басс",
	"драм",
	"ёлка и Йод",
	"ΜΟΥΣΙΚΗ",
	"μουσική",
	"naïve Ångström Ærø øre",
	"Straße strasse",
	"R&B at 90.5 BPM",
	"user@example.com's beat",
	"https://example.com/beat?bpm=140",
	"808s & heartbreak",
	"it's -12dB [loud] *very* \"quoted\" (really)",
	"AND OR NOT NEAR",
	"🎧beat🎧drop",
	"beat—drop…beat“drop”",
	"snake_case camelCase 1e5 0x10",
	"हिन्दी संगीत",
	"love \u2665\ufe0fbass line",
	"top 1\ufe0f\u20e3 beat",
	"\u05e9\u05b8\u05dc\u05d5\u05b9\u05dd",
	"\u044f\u0336\u0431",
	"\uff21bc \u2167 \u017fong \ua640",
	strings.Repeat("q", 300) + "-bq",
	"한국어 음악",
	strings.Repeat("long", 400),
	strings.Repeat("word ", 399) + "last",
}

func fill(t testing.TB, s *store.Store) {
	t.Helper()
	for _, prompt := range library {
		if _, err := s.TrackPrompt(t.Context(), prompt); err != nil {
			t.Fatalf("%.40s: %v", prompt, err)
		}
	}
}

func TestSearchFindsWhatIsMeant(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		fill(t, s)
		for query, want := range map[string][]string{
			"trap":             {"trap beat at 140 BPM"},
			"TRAP Beat":        {"trap beat at 140 BPM"},
			"beat trap":        {"trap beat at 140 BPM"},
			"lo-fi":            {"lo-fi beat at 80 BPM, rainy night", "lo fi hip hop"},
			`"lo fi"`:          {"lo-fi beat at 80 BPM, rainy night", "lo fi hip hop"},
			"lo/fi":            {"lo-fi beat at 80 BPM, rainy night", "lo fi hip hop"},
			"fi lo":            {"lo-fi beat at 80 BPM, rainy night", "lo fi hip hop", "fi lo"},
			"lo -rainy":        {"lo fi hip hop", "fi lo"},
			`lo -"fi lo"`:      {"lo-fi beat at 80 BPM, rainy night", "lo fi hip hop"},
			"drum/bass":        {"drum/bass with synths"},
			"drum bass":        {"drum/bass with synths", "drum and bass", "bass, drum"},
			"synth":            {},
			"synth*":           {"drum/bass with synths", "synthwave at 118 BPM"},
			`"with syn"*`:      {"drum/bass with synths"},
			"energie":          {"énergie douce", "e\u0301nergie forte", "ENERGIE pure"},
			"ÉNERGIE":          {"énergie douce", "e\u0301nergie forte", "ENERGIE pure"},
			"e\u0301nergie":    {"énergie douce", "e\u0301nergie forte", "ENERGIE pure"},
			"éner*":            {"énergie douce", "e\u0301nergie forte", "ENERGIE pure"},
			"音楽":               {"音楽 music"},
			"драм":             {"ДРАМ энд басс", "драм"},
			"Драм":             {"ДРАМ энд басс", "драм"},
			"ЁЛКА":             {"ёлка и Йод"},
			"йод":              {"ёлка и Йод"},
			"ΜΟΥΣΙΚΉ":          {"μουσική"},
			"angstrom naive":   {"naïve Ångström Ærø øre"},
			"ÆRØ":              {"naïve Ångström Ærø øre"},
			"straße":           {"Straße strasse"},
			"90.5":             {"R&B at 90.5 BPM"},
			"90 5":             {"R&B at 90.5 BPM"},
			"R&B":              {"R&B at 90.5 BPM"},
			"example.com":      {"user@example.com's beat", "https://example.com/beat?bpm=140"},
			"user@example.com": {"user@example.com's beat"},
			"808s":             {"808s & heartbreak"},
			"12dB":             {`it's -12dB [loud] *very* "quoted" (really)`},
			"AND":              {"drum and bass", "AND OR NOT NEAR"},
			"NOT NEAR":         {"AND OR NOT NEAR"},
			"drop":             {"🎧beat🎧drop", "beat—drop…beat“drop”"},
			"snake":            {"snake_case camelCase 1e5 0x10"},
			"camelcase":        {"snake_case camelCase 1e5 0x10"},
			"1E5":              {"snake_case camelCase 1e5 0x10"},
			"हिन्दी":           {"हिन्दी संगीत"},
			"음악":               {"한국어 음악"},
			"last":             {strings.Repeat("word ", 399) + "last"},
			"longlong*":        {strings.Repeat("long", 400)},
			"♥\ufe0fbass": {"love ♥\ufe0fbass line", "drum/bass with synths", "drum and bass",
				"bass, drum"},
			"\uff41BC":                       {"\uff21bc \u2167 \u017fong \ua640"},
			strings.Repeat("q", 300) + "-bq": {strings.Repeat("q", 300) + "-bq"},
			"trap -beat":                     {},
			"-beat":                          {},
			"":                               {},
			"\"":                             {},
			"*":                              {},
			"nobody wrote this":              {},
		} {
			hits, err := s.SearchPrompts(t.Context(), query, 100)
			if err != nil {
				t.Errorf("%q: %v", query, err)
				continue
			}
			got := []string{}
			for _, hit := range hits {
				got = append(got, hit.Prompt.Text)
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%q: got %q, want %q", query, got, want)
			}
		}
	})
}

var hostileQueries = []string{
	"", " ", "\"", "\"\"", "\"\"\"", "'", "''", "a'b", "a\"b", "'; DROP TABLE prompts; --", "\\", "\\'", "a\\", "*", "**", "a**", "-", "--", "-a", "- a", "-*",
	"AND", "OR", "NOT", "a AND", "AND a", "a NOT", "NEAR(", "NEAR(a b, 5)", "a NEAR/5 b", "text:beat", "{text}: beat", "^beat", "beat^2", "a + b", "a|b", "!a", "a & !b", "a <-> b", "a:*", "a:b",
	"(", ")", "(a", "a)", "[a]", "{a}", "<a>", "a=b", "%", "_", "?", "$1", "@x", "#tag", "~", "`", "🎧", "🎧🎧 beat", "\u0301", "a\u0301\u0302", "\u00a0", "\u200b", "\u202e", "\ufeff", "\x01", "\x00", "a\x00b",
	"½", "²", "ﷺ", "ŉ", "ﬁ", "İ", "ẞ", "ǆ", "\U0001d400", "\U000e0001", "\U0010ffff", "ａｂｃ", "１２", "'＇'", "ʼn", "a\u037eb",
	strings.Repeat("a", 10000), strings.Repeat("a ", 5000), strings.Repeat("\"", 10000),
	strings.Repeat("-", 10000), strings.Repeat("(", 10000), strings.Repeat("音", 3333), strings.Repeat("-a ", 3000),
	strings.Repeat("a* ", 3000), strings.Repeat("a-", 5000),
}

func TestNothingThatIsTypedIsASyntaxError(t *testing.T) {
	t.Parallel()
	stores := make(map[string]*store.Store)
	for _, engine := range testkit.Engines {
		stores[engine.Name] = engine.Open(t)
		fill(t, stores[engine.Name])
	}
	for _, query := range append(hostileQueries, library...) {
		found := make(map[string][]string)
		for name, s := range stores {
			hits, err := s.SearchPrompts(t.Context(), query, 100)
			if err != nil {
				t.Errorf("%s, %.60q: %v", name, query, err)
			}
			for _, hit := range hits {
				found[name] = append(found[name], hit.Prompt.Text)
			}
			slices.Sort(found[name])
			if _, err := s.SearchGenerations(t.Context(), store.SearchParams{Query: query}); err != nil {
				t.Errorf("%s, %.60q: %v", name, query, err)
			}
		}
		if !slices.Equal(found["sqlite"], found["postgres"]) {
			t.Errorf("%.60q: %.300q on SQLite, %.300q on PostgreSQL", query, found["sqlite"], found["postgres"])
		}
	}
	for name, s := range stores {
		_, err := s.SearchPrompts(t.Context(), "a\xff", 0)
		testkit.WantInvalid(t, err, "query")
		_, err = s.SearchGenerations(t.Context(), store.SearchParams{Query: "\xc3\x28"})
		testkit.WantInvalid(t, err, "query")
		_, err = s.SearchPrompts(t.Context(), "a", -1)
		testkit.WantInvalid(t, err, "limit")
		_, err = s.SearchGenerations(t.Context(), store.SearchParams{Query: "a", Status: "x"})
		testkit.WantInvalid(t, err, "status")
		if t.Failed() {
			t.Log(name)
		}
	}
}

// FuzzSearch searches for anything. It is never an error, and each snippet is part of its text.
func FuzzSearch(f *testing.F) {
	for _, query := range hostileQueries {
		f.Add(query)
	}
	s := storetest.Open(f)
	fill(f, s)
	f.Fuzz(func(t *testing.T, query string) {
		hits, err := s.SearchPrompts(t.Context(), query, 0)
		var invalid *store.ValidationError
		if err != nil && !errors.As(err, &invalid) {
			t.Fatalf("%q: %v", query, err)
		}
		for _, hit := range hits {
			if hit.Snippet == "" {
				t.Errorf("%q finds %q without a snippet", query, hit.Prompt.Text)
			}
		}
	})
}

func TestSnippets(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		fill(t, s)
		long := strings.Repeat("one two three four five ", 20) + "needle " + strings.Repeat("six seven eight nine ten ", 20)
		if _, err := s.TrackPrompt(t.Context(), long); err != nil {
			t.Fatal(err)
		}
		for query, want := range map[string]string{
			"trap 140":      "[trap] beat at [140] BPM",
			`"lo fi" rainy`: "[lo-fi] beat at 80 BPM, [rainy] night",
			"synthw*":       "[synthwave] at 118 BPM",
			"douce energie": "[énergie] [douce]",
			"needle":        "…three four five one two three four five [needle] six seven eight nine ten six seven eight nine ten six seven eight nine ten six seven eight nine ten six seven eight…",
			"really":        `it's -12dB [loud] *very* "quoted" ([really])`,
		} {
			hits, err := s.SearchPrompts(t.Context(), query, 1)
			if err != nil || len(hits) != 1 {
				t.Fatalf("%q: %d hits, %v", query, len(hits), err)
			}
			if hits[0].Snippet != want {
				t.Errorf("%q: got %q, want %q", query, hits[0].Snippet, want)
			}
		}
	})
}

func TestSearchGenerations(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngineWithClock(t, func(t *testing.T, s *store.Store, clock *testkit.Clock) {
		is := is.New(t)
		ctx := t.Context()
		for range 3 {
			for _, prompt := range []string{"trap trap trap", "a trap beat that is somewhat longer than the other one",
				"house"} {
				clock.Advance(time.Second)
				testkit.Create(t, s, prompt)
			}
		}
		gone := testkit.Create(t, s, "trap that was deleted")
		is.NoErr(s.DeleteGeneration(ctx, gone.ID)) // its prompt stays
		search := func(params store.SearchParams) (found []string) {
			t.Helper()
			hits, err := s.SearchGenerations(ctx, params)
			is.NoErr(err)
			for i, hit := range hits {
				found = append(found, hit.Generation.Prompt[:6])
				is.True(strings.Contains(hit.Snippet, "[trap]"))
				if i > 0 {
					is.True(hit.Rank <= hits[i-1].Rank)
					if hit.Generation.Prompt == hits[i-1].Generation.Prompt {
						is.True(hit.Generation.CreatedAt.Before(hits[i-1].Generation.CreatedAt))
					}
				}
			}
			return found
		}
		all := search(store.SearchParams{Query: "trap"})
		is.Equal(all, []string{"trap t", "trap t", "trap t", "a trap", "a trap", "a trap"})
		for limit := 1; limit < 6; limit++ {
			is.Equal(search(store.SearchParams{Query: "trap", Limit: limit}), all[:limit])
		}
		is.Equal(search(store.SearchParams{Query: "trap", Status: store.StatusFailed}), []string(nil))
		testkit.ClaimOne(t, s)
		is.Equal(len(search(store.SearchParams{Query: "trap", Status: store.StatusPending})), 5)
	})
}

// A prompt without a generation, or without one of the status, costs no more than a probe.
func TestSearchPassesOverPromptsWithoutGenerations(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		g := testkit.Create(t, s, "the beat that was made")
		for i := range 300 {
			_, err := s.TrackPrompt(ctx, fmt.Sprintf("beat beat %d", i)) // ranked before
			is.NoErr(err)
		}
		hits, err := s.SearchGenerations(ctx, store.SearchParams{Query: "beat", Limit: 2})
		is.NoErr(err)
		is.Equal(len(hits), 1)
		is.Equal(hits[0].Generation.ID, g.ID)
		hits, err = s.SearchGenerations(ctx, store.SearchParams{Query: "beat", Status: store.StatusFailed})
		is.NoErr(err)
		is.Equal(len(hits), 0)
	})
}

func TestSearchIsCurrent(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		ctx := t.Context()
		count := func(query string) int {
			t.Helper()
			hits, err := s.SearchPrompts(ctx, query, 0)
			is.NoErr(err)
			return len(hits)
		}
		g := testkit.Create(t, s, "before")
		for range 3 {
			testkit.Create(t, s, "before") // is one prompt
		}
		is.Equal(count("before"), 1)
		_, err := s.DB().Exec(ctx, "UPDATE prompts SET text = 'after' WHERE text = 'before'")
		is.NoErr(err)
		is.Equal(count("before"), 0)
		is.Equal(count("after"), 1)
		rolledBack := errors.New("rolled back")
		err = s.InTx(ctx, func(tx *store.Tx) error {
			if _, err := tx.TrackPrompt(ctx, "never was"); err != nil {
				return err
			}
			hits, err := tx.SearchPrompts(ctx, "never", 0)
			is.NoErr(err)
			is.Equal(len(hits), 1)
			return rolledBack
		})
		is.True(errors.Is(err, rolledBack))
		is.Equal(count("never"), 0)
		is.NoErr(s.DeletePrompt(ctx, g.PromptID))
		is.Equal(count("after"), 0)
		for i := range 30 {
			_, err := s.TrackPrompt(ctx, fmt.Sprintf("many %d", i))
			is.NoErr(err)
		}
		is.Equal(count("many"), 20) // the default limit
	})
}

// Both engines agree with FTS5 on letters, separators and case folding. The test asks them about each code point,
// between two letters.
func TestEnginesCutAndFoldAlike(t *testing.T) {
	t.Parallel()
	is := is.New(t)
	ctx := t.Context()
	step := 1
	if testing.Short() {
		step = 7
	}
	var points []int
	for c := 1; c < 0x20000; c += step {
		if c >= 0x3500 && c < 0x9F00 || c >= 0xAC80 && c < 0xD700 || c >= 0xD800 && c < 0xE000 { // more of the same, and surrogates
			continue
		}
		points = append(points, c)
	}
	given, err := json.Marshal(points)
	is.NoErr(err)
	ask := func(s *store.Store, sql string, args ...any) map[int]string {
		rows, err := s.DB().Query(ctx, sql, args...)
		is.NoErr(err)
		defer rows.Close()
		words := make(map[int]string)
		for rows.Next() {
			var point int
			var text string
			is.NoErr(rows.Scan(&point, &text))
			words[point] = text
		}
		is.NoErr(rows.Err())
		return words
	}
	lite, postgres := testkit.SQLite.Open(t), testkit.Postgres.Open(t)
	for _, statement := range []string{
		"CREATE VIRTUAL TABLE points USING fts5 (text, content = '', tokenize = 'unicode61 remove_diacritics 2')", // as prompts_search
		"CREATE VIRTUAL TABLE points_words USING fts5vocab (points, instance)",
	} {
		_, err := lite.DB().Exec(ctx, statement)
		is.NoErr(err)
	}
	_, err = lite.DB().Exec(ctx, "INSERT INTO points (rowid, text) SELECT value, 'a' || char(value) || 'b' FROM json_each($1)", string(given))
	is.NoErr(err)
	want := ask(lite, "SELECT doc, group_concat(term, '|') FROM (SELECT doc, term, offset FROM points_words ORDER BY doc, offset) GROUP BY doc")
	got := ask(postgres, `SELECT point, (SELECT string_agg(word, '|' ORDER BY place) FROM search_split('a' || chr(point) || 'b'))
		FROM (SELECT CAST(jsonb_array_elements(CAST($1 AS JSONB)) AS INT) AS point) AS points`, string(given))
	is.Equal(len(got), len(points))
	for point, words := range got {
		if words != want[point] {
			t.Errorf("U+%04X: PostgreSQL makes %q of it, FTS5 %q", point, words, want[point])
		}
	}
}

// A search may be long and have many words.
func TestLongSearches(t *testing.T) {
	t.Parallel()
	testkit.OnEveryEngine(t, func(t *testing.T, s *store.Store) {
		is := is.New(t)
		long := strings.Repeat("q", 1990)
		for _, prompt := range []string{"a b c", strings.Repeat("a-", 900) + "end", long + "x", long + "y",
			strings.Repeat("\u023a", 1000), strings.Repeat("\u023a", 999)} {
			_, err := s.TrackPrompt(t.Context(), prompt)
			is.NoErr(err)
		}
		for query, hits := range map[string]int{
			strings.Repeat("a-", 200_000):                       1,
			strings.Repeat("a ", 200_000):                       2,
			strings.Repeat(strings.Repeat("a-", 75)+"a* ", 100): 1,
			strings.Repeat(`"b c" `, 10_000):                    1,
			strings.Repeat("-z ", 10_000) + "b":                 1, // said again, a term counts once
			long + "x":                                          1,
			strings.Repeat("\u2c65", 1000):                      1, // three bytes each
			strings.Repeat("q", 10_000):                         0,
			long + "*":                                          2,
			strings.Repeat("q", 300) + "x":                      0,
		} {
			began := time.Now()
			found, err := s.SearchPrompts(t.Context(), query, 10)
			is.NoErr(err)
			if len(found) != hits {
				t.Errorf("%.20s (%d bytes): %d hits, want %d", query, len(query), len(found), hits)
			}
			is.True(time.Since(began) < 30*time.Second) // seconds on a busy machine, not hours
			_, err = s.ListGenerations(t.Context(), store.ListGenerationsParams{Search: query})
			is.NoErr(err)
		}
	})
}
