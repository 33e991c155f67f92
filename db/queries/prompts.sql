-- name: TrackPrompt :one
-- Index: prompts_text_key, the unique key on text.
--
-- It is one statement, so that concurrent uses are all counted. A caller whose clock lags does not turn last_used_at
-- back.
INSERT INTO prompts (text, used_count, first_used_at, last_used_at)
VALUES (@text, 1, @used_at, @used_at)
ON CONFLICT (text) DO UPDATE SET
	used_count = prompts.used_count + 1,
	last_used_at = CASE
		WHEN excluded.last_used_at > prompts.last_used_at THEN excluded.last_used_at
		ELSE prompts.last_used_at
	END
RETURNING *;

-- name: GetPrompt :one
-- Primary key of prompts.
SELECT * FROM prompts WHERE id = @id;

-- name: GetPromptByText :one
-- Index: prompts_text_key.
SELECT * FROM prompts WHERE text = @text;

-- name: ListPrompts :many
-- Index: idx_prompts_used_count (backward scan).
--
-- The most used prompt comes first, and of equals the latest used.
SELECT * FROM prompts
ORDER BY used_count DESC, last_used_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT) OFFSET CAST(@row_offset AS BIGINT);

-- name: DeletePrompt :execrows
-- Primary key of prompts. The foreign key deletes the prompt's generations, by idx_generations_prompt_id.
DELETE FROM prompts WHERE id = @id;
