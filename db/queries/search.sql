-- name: NewestOfPrompt :many
-- Served by idx_generations_prompt_id, backwards.
SELECT * FROM generations
WHERE prompt_id = @prompt_id
	AND status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), status)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);
