-- name: NewestPlaces :many
-- Index: idx_generations_created_at (backward, index-only).
--
-- A list by metadata or words takes two steps. First, a query of this file, or of find.sql in db/queries/postgres and
-- db/queries/sqlite, returns the places of rows that pass one filter. A place is a keyset position: created_at and id.
-- Then ListFound reads the rows at these places and checks all filters. To choose the filter, the store counts the rows
-- that pass each, up to at_most. The counts are in the order of the index, so that no engine scans the table instead.
SELECT id, created_at FROM generations
WHERE created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlaces :many
-- Index: idx_generations_created_at (index-only).
SELECT id, created_at FROM generations
WHERE created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: NewestPlacesOfStatus :many
-- Index: idx_generations_status (backward, index-only).
SELECT id, created_at FROM generations
WHERE status = @status
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfStatus :many
-- Index: idx_generations_status (index-only).
SELECT id, created_at FROM generations
WHERE status = @status
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfStatus :one
-- Index: idx_generations_status (index-only).
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE status = @status AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfModel :many
-- Index: idx_generations_model_name (backward, index-only).
SELECT id, created_at FROM generations
WHERE model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfModel :many
-- Index: idx_generations_model_name (index-only).
SELECT id, created_at FROM generations
WHERE model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfModel :one
-- Index: idx_generations_model_name (index-only).
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE model_name = @model_name AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfStatusAndModel :many
-- Index: idx_generations_status_model_name (backward, index-only).
SELECT id, created_at FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfStatusAndModel :many
-- Index: idx_generations_status_model_name (index-only).
SELECT id, created_at FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfStatusAndModel :one
-- Index: idx_generations_status_model_name (index-only).
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE status = @status AND model_name = @model_name AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfFavorites :many
-- Index: idx_generations_favorite (backward scan).
SELECT id, created_at FROM generations
WHERE favorite
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfFavorites :many
-- Index: idx_generations_favorite.
SELECT id, created_at FROM generations
WHERE favorite
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfFavorites :one
-- Index: idx_generations_favorite.
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE favorite AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfBatch :many
-- Index: idx_generations_batch_id, then a sort: a batch is small.
SELECT id, created_at FROM generations
WHERE batch_id = @batch_id
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfBatch :many
-- Index: idx_generations_batch_id, then a sort: a batch is small.
SELECT id, created_at FROM generations
WHERE batch_id = @batch_id
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfBatch :one
-- Index: idx_generations_batch_id.
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE batch_id = @batch_id AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY batch_id
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;
