-- name: SearchPrompts :many
-- Full-text index prompts_search, then the primary key of prompts. All hits are ranked.
--
-- It does what PostgreSQL's query of this name does. The rank of FTS5 is the lower, the better the hit.
SELECT sqlc.embed(p), CAST(-prompts_search.rank AS REAL) AS score
FROM prompts_search
JOIN prompts AS p ON p.id = prompts_search.rowid
WHERE prompts_search.text MATCH @query
	AND (CAST(@unused_too AS BOOLEAN) OR EXISTS (
		SELECT 1 FROM generations AS g
		WHERE g.prompt_id = p.id AND g.status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), g.status)
	))
ORDER BY prompts_search.rank, p.used_count DESC, p.id DESC
LIMIT @row_limit;
