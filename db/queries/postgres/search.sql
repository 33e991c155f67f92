-- name: SearchPrompts :many
-- Full-text search is each engine's own. Served by idx_prompts_search_words; all hits are ranked. The query is made by the
-- store of words and operators, so that it can be read as a tsquery; folding leaves the operators as they are.
SELECT p.*, CAST(ts_rank(s.words, CAST(search_fold(@query) AS TSQUERY)) AS DOUBLE PRECISION) AS score
FROM prompts_search AS s
JOIN prompts AS p ON p.id = s.prompt_id
WHERE s.words @@ CAST(search_fold(@query) AS TSQUERY)
ORDER BY score DESC, p.used_count DESC, p.id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);
