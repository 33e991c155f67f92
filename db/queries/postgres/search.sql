-- name: SearchPrompts :many
-- Index: idx_prompts_search_words, then the primary key of prompts. All hits are ranked.
--
-- Unless unused_too is set, it returns only prompts that have a generation, of the given status if that is not empty.
-- Each hit then costs a probe of idx_generations_prompt_id, and more if the status is rare. The materialized query is
-- made once of what was typed. To make it again for each hit would take most of the time.
WITH typed AS MATERIALIZED (
	SELECT search_query(
		@wanted::TEXT[], @wanted_prefixes::BOOLEAN[], @excluded::TEXT[], @excluded_prefixes::BOOLEAN[]
	) AS query
)
SELECT sqlc.embed(p), CAST(ts_rank(s.words, (SELECT typed.query FROM typed)) AS DOUBLE PRECISION) AS score
FROM prompts_search AS s
JOIN prompts AS p ON p.id = s.prompt_id
WHERE s.words @@ (SELECT typed.query FROM typed)
	AND (CAST(@unused_too AS BOOLEAN) OR EXISTS (
		SELECT 1 FROM generations AS g
		WHERE g.prompt_id = p.id AND g.status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), g.status)
	))
ORDER BY score DESC, p.used_count DESC, p.id DESC
LIMIT CAST(@row_limit AS BIGINT);
