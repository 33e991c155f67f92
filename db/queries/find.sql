-- At most so many of those that a filter lets pass. See db/queries/postgres/find.sql for what they are good for.

-- name: FindByBatch :many
-- Served by idx_generations_batch_id.
SELECT id FROM generations WHERE batch_id = @batch_id LIMIT CAST(@row_limit AS BIGINT);

-- name: FindFavorites :many
-- One range of idx_generations_favorite.
SELECT id FROM generations
WHERE favorite AND created_at >= @created_from AND created_at <= @created_to
LIMIT CAST(@row_limit AS BIGINT);

-- name: FindByStatus :many
-- One range of idx_generations_status.
SELECT id FROM generations
WHERE status = @status AND created_at >= @created_from AND created_at <= @created_to
LIMIT CAST(@row_limit AS BIGINT);

-- name: FindByModel :many
-- One range of idx_generations_model_name.
SELECT id FROM generations
WHERE model_name = @model_name AND created_at >= @created_from AND created_at <= @created_to
LIMIT CAST(@row_limit AS BIGINT);
