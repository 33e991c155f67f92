-- Lists by metadata and words are made in two steps, by [operations.find]: where to look, which are these queries and those
-- of find.sql in sqlite and postgres, and what is there, which is ListFound. Of each filter the store can ask how many it lets
-- pass, at most, and for their places in the order of the list, so many at a time. It counts in the order of an index, so that
-- none is passed over for a look at the whole table.

-- name: NewestPlaces :many
-- Served by idx_generations_created_at.
SELECT id, created_at FROM generations
WHERE created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlaces :many
-- The same, the other way round.
SELECT id, created_at FROM generations
WHERE created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: NewestPlacesOfStatus :many
-- Served by idx_generations_status.
SELECT id, created_at FROM generations
WHERE status = @status
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfStatus :many
-- The same, the other way round.
SELECT id, created_at FROM generations
WHERE status = @status
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfStatus :one
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE status = @status AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfModel :many
-- Served by idx_generations_model_name.
SELECT id, created_at FROM generations
WHERE model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfModel :many
-- The same, the other way round.
SELECT id, created_at FROM generations
WHERE model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfModel :one
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE model_name = @model_name AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfStatusAndModel :many
-- Served by idx_generations_status_model_name.
SELECT id, created_at FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfStatusAndModel :many
-- The same, the other way round.
SELECT id, created_at FROM generations
WHERE status = @status AND model_name = @model_name
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfStatusAndModel :one
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE status = @status AND model_name = @model_name AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfFavorites :many
-- Served by idx_generations_favorite.
SELECT id, created_at FROM generations
WHERE favorite
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfFavorites :many
-- The same, the other way round.
SELECT id, created_at FROM generations
WHERE favorite
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfFavorites :one
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE favorite AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfBatch :many
-- Served by idx_generations_batch_id, and sorted: a batch is small.
SELECT id, created_at FROM generations
WHERE batch_id = @batch_id
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at DESC, id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesOfBatch :many
-- The same, the other way round.
SELECT id, created_at FROM generations
WHERE batch_id = @batch_id
	AND created_at <= @before_created_at AND (created_at < @before_created_at OR id < @before_id)
	AND created_at >= @after_created_at AND (created_at > @after_created_at OR id > @after_id)
ORDER BY created_at, id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfBatch :one
SELECT count(*) FROM (
	SELECT 1 FROM generations
	WHERE batch_id = @batch_id AND created_at >= @created_from AND created_at <= @created_to
	ORDER BY batch_id
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;
