-- name: NewestOfPrompt :many
-- Index: idx_generations_prompt_id (backward scan). An empty status lets all pass.
SELECT * FROM generations
WHERE prompt_id = @prompt_id
	AND status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), status)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);
