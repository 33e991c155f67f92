-- name: SearchPrompts :many
-- Full-text search is each engine's own. Served by idx_prompts_search_words; all hits are ranked. Where only those are wanted
-- that have a generation, of a status where one is given, each hit costs a probe of idx_generations_prompt_id, and more
-- where the status is rare. What was typed is read once, and not again for each hit, which would take most of the time.
WITH typed AS MATERIALIZED (
	SELECT search_query(@wanted::TEXT[], @wanted_prefixes::BOOLEAN[], @excluded::TEXT[], @excluded_prefixes::BOOLEAN[]) AS query
)
SELECT sqlc.embed(p), CAST(ts_rank(s.words, (SELECT typed.query FROM typed)) AS DOUBLE PRECISION) AS score
FROM prompts_search AS s
JOIN prompts AS p ON p.id = s.prompt_id
WHERE s.words @@ (SELECT typed.query FROM typed)
	AND (CAST(@unused_too AS BOOLEAN) OR EXISTS (
		SELECT 1 FROM generations AS g WHERE g.prompt_id = p.id AND g.status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), g.status)
	))
ORDER BY score DESC, p.used_count DESC, p.id DESC
LIMIT CAST(@row_limit AS BIGINT);
