-- name: NewestPlacesWithValue :many
-- Index: idx_generation_metadata (backward, index-only).
--
-- This file has what PostgreSQL says in its own way of lists by metadata and words. NewestPlaces, of
-- db/queries/find.sql, explains their two steps.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = (SELECT left(e.key, 64) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
	AND m.number = (SELECT metadata_number(e.value) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
	AND m.hash = (SELECT metadata_hash(e.value) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at DESC, m.generation_id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesWithValue :many
-- Index: idx_generation_metadata (index-only).
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = (SELECT left(e.key, 64) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
	AND m.number = (SELECT metadata_number(e.value) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
	AND m.hash = (SELECT metadata_hash(e.value) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at, m.generation_id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesWithValue :one
-- Index: idx_generation_metadata (index-only).
SELECT count(*) FROM (
	SELECT 1 FROM generation_metadata AS m
	WHERE m.name = (SELECT left(e.key, 64) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
		AND m.number = (SELECT metadata_number(e.value) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
		AND m.hash = (SELECT metadata_hash(e.value) FROM jsonb_each(CAST(@entry AS JSONB)) AS e)
		AND m.created_at >= @created_from AND m.created_at <= @created_to
	ORDER BY m.created_at
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesInRange :many
-- Index: idx_generation_metadata, then a sort: for ranges of few entries.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = left(CAST(@name AS TEXT), 64) AND m.number >= @low AND m.number <= @high
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at DESC, m.generation_id DESC
LIMIT CAST(@row_limit AS BIGINT);

-- name: OldestPlacesInRange :many
-- Index: idx_generation_metadata, then a sort: for ranges of few entries.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = left(CAST(@name AS TEXT), 64) AND m.number >= @low AND m.number <= @high
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at, m.generation_id
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesInRange :one
-- Index: idx_generation_metadata (index-only).
SELECT count(*) FROM (
	SELECT 1 FROM generation_metadata AS m
	WHERE m.name = left(CAST(@name AS TEXT), 64) AND m.number >= @low AND m.number <= @high
	ORDER BY m.number
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NumbersInRange :many
-- Index: idx_generation_metadata (index-only), one probe for each number.
--
-- It returns the different numbers in a range, in ascending order and at most row_limit.
WITH RECURSIVE numbers (number) AS (
	SELECT (
		SELECT m.number FROM generation_metadata AS m
		WHERE m.name = left(CAST(@name AS TEXT), 64) AND m.number >= @low AND m.number <= @high
		ORDER BY m.number LIMIT 1
	)
	UNION ALL
	SELECT (
		SELECT m.number FROM generation_metadata AS m
		WHERE m.name = left(CAST(@name AS TEXT), 64) AND m.number > numbers.number AND m.number <= @high
		ORDER BY m.number LIMIT 1
	)
	FROM numbers
	WHERE numbers.number IS NOT NULL
)
SELECT CAST(numbers.number AS DOUBLE PRECISION) AS number FROM numbers
WHERE numbers.number IS NOT NULL
LIMIT CAST(@row_limit AS BIGINT);

-- name: NewestPlacesOfNumbers :many
-- Index: idx_generation_metadata (backward, index-only), one range for each number.
--
-- It returns at most per_number places of each number.
SELECT n.id, n.created_at, CAST(p.number AS DOUBLE PRECISION) AS number
FROM (SELECT unnest(@numbers::DOUBLE PRECISION[]) AS number) AS p
CROSS JOIN LATERAL (
	SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
	WHERE m.name = left(CAST(@name AS TEXT), 64) AND m.number = p.number AND m.hash = 0
		AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
		AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
	ORDER BY m.created_at DESC, m.generation_id DESC
	LIMIT CAST(@per_number AS BIGINT)
) AS n;

-- name: OldestPlacesOfNumbers :many
-- Index: idx_generation_metadata (index-only), one range for each number.
SELECT n.id, n.created_at, CAST(p.number AS DOUBLE PRECISION) AS number
FROM (SELECT unnest(@numbers::DOUBLE PRECISION[]) AS number) AS p
CROSS JOIN LATERAL (
	SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
	WHERE m.name = left(CAST(@name AS TEXT), 64) AND m.number = p.number AND m.hash = 0
		AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
		AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
	ORDER BY m.created_at, m.generation_id
	LIMIT CAST(@per_number AS BIGINT)
) AS n;

-- name: FindPrompts :many
-- Index: idx_prompts_search_words.
WITH typed AS MATERIALIZED (
	SELECT search_query(
		@wanted::TEXT[], @wanted_prefixes::BOOLEAN[], @excluded::TEXT[], @excluded_prefixes::BOOLEAN[]
	) AS query
)
SELECT s.prompt_id FROM prompts_search AS s
WHERE s.words @@ (SELECT typed.query FROM typed)
LIMIT CAST(@row_limit AS BIGINT);

-- name: CountPlacesOfPrompts :one
-- Index: idx_generations_prompt_id (index-only).
SELECT count(*) FROM (
	SELECT 1 FROM generations AS g
	WHERE g.prompt_id = ANY(@prompt_ids::BIGINT[]) AND g.created_at >= @created_from AND g.created_at <= @created_to
	LIMIT CAST(@at_most AS BIGINT)
) AS counted;

-- name: NewestPlacesOfPrompts :many
-- Index: idx_generations_prompt_id (backward, index-only), one range for each prompt.
--
-- It returns at most per_prompt places of each prompt.
SELECT n.id, n.created_at, n.prompt_id
FROM (SELECT unnest(@prompt_ids::BIGINT[]) AS id) AS p
CROSS JOIN LATERAL (
	SELECT g.id, g.created_at, g.prompt_id FROM generations AS g
	WHERE g.prompt_id = p.id
		AND g.created_at <= @before_created_at AND (g.created_at < @before_created_at OR g.id < @before_id)
		AND g.created_at >= @after_created_at AND (g.created_at > @after_created_at OR g.id > @after_id)
	ORDER BY g.created_at DESC, g.id DESC
	LIMIT CAST(@per_prompt AS BIGINT)
) AS n;

-- name: OldestPlacesOfPrompts :many
-- Index: idx_generations_prompt_id (index-only), one range for each prompt.
SELECT n.id, n.created_at, n.prompt_id
FROM (SELECT unnest(@prompt_ids::BIGINT[]) AS id) AS p
CROSS JOIN LATERAL (
	SELECT g.id, g.created_at, g.prompt_id FROM generations AS g
	WHERE g.prompt_id = p.id
		AND g.created_at <= @before_created_at AND (g.created_at < @before_created_at OR g.id < @before_id)
		AND g.created_at >= @after_created_at AND (g.created_at > @after_created_at OR g.id > @after_id)
	ORDER BY g.created_at, g.id
	LIMIT CAST(@per_prompt AS BIGINT)
) AS n;

-- name: ListFound :many
-- Primary key of generations, for each ID. PostgreSQL may take the index of another filter, if that has fewer rows.
--
-- It returns the generations at the given places that pass all filters.
WITH typed AS MATERIALIZED (
	SELECT search_query(
		@wanted::TEXT[], @wanted_prefixes::BOOLEAN[], @excluded::TEXT[], @excluded_prefixes::BOOLEAN[]
	) AS query
)
SELECT g.* FROM generations AS g
CROSS JOIN (SELECT CAST(@oldest_first AS BOOLEAN) AS oldest_first) AS o
WHERE g.id = ANY(@ids::UUID[])
	AND g.status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), g.status)
	AND g.model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), g.model_name)
	AND (CAST(@any_batch AS BOOLEAN) OR g.batch_id = CAST(@batch_id AS UUID))
	AND g.favorite >= CAST(@favorite AS BOOLEAN)
	AND (CAST(@any_value AS BOOLEAN) OR NOT EXISTS (
		SELECT 1 FROM jsonb_each(CAST(@metadata AS JSONB)) AS e WHERE g.metadata -> e.key IS DISTINCT FROM e.value
	))
	AND (CAST(@any_number AS BOOLEAN) OR NOT EXISTS (
		SELECT 1 FROM jsonb_to_recordset(CAST(@ranges AS JSONB)) AS r (name TEXT, low DOUBLE PRECISION, high DOUBLE PRECISION)
		WHERE (
			metadata_number(g.metadata -> r.name) BETWEEN COALESCE(r.low, '-Infinity') AND COALESCE(r.high, 'Infinity')
		) IS NOT TRUE
	))
	AND (CAST(@any_prompt AS BOOLEAN) OR g.prompt_id = ANY(@prompt_ids::BIGINT[]))
	AND (CAST(@any_words AS BOOLEAN) OR EXISTS (
		SELECT 1 FROM prompts_search AS s WHERE s.prompt_id = g.prompt_id AND s.words @@ (SELECT typed.query FROM typed)
	))
ORDER BY
	CASE WHEN o.oldest_first THEN g.created_at END, CASE WHEN o.oldest_first THEN g.id END,
	g.created_at DESC, g.id DESC
LIMIT CAST(@row_limit AS BIGINT);
