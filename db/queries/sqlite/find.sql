-- As PostgreSQL's; see there, and db/queries/find.sql.

-- name: MetadataEntry :one
-- How the index over metadata has the one key and value of a JSON object: as generation_metadata_entries.
SELECT
	CAST(substr(e.key, 1, 64) AS TEXT) AS name,
	CASE e.type
		WHEN 'integer' THEN CAST(e.value AS REAL)
		WHEN 'real' THEN CAST(e.value AS REAL)
		WHEN 'text' THEN substr(e.value, 1, 64)
		ELSE CAST(e.type || CASE WHEN e.type IN ('array', 'object') THEN COALESCE((
			SELECT substr(group_concat(leaves.leaf, ' '), 1, 64)
			FROM (
				SELECT CASE WHEN t.type IN ('integer', 'real') THEN CAST(CAST(t.atom AS REAL) AS INTEGER) WHEN t.type = 'text' THEN t.atom ELSE t.type END AS leaf
				FROM json_tree(e.value) AS t
				ORDER BY leaf
			) AS leaves
		), '') ELSE '' END AS BLOB)
	END AS value
FROM json_each(CAST(@entry AS TEXT)) AS e;

-- name: NewestPlacesWithValue :many
-- One range of generation_metadata.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = @name AND m.value = @value
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at DESC, m.generation_id DESC
LIMIT @row_limit;

-- name: OldestPlacesWithValue :many
-- The same, the other way round.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = @name AND m.value = @value
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at, m.generation_id
LIMIT @row_limit;

-- name: CountPlacesWithValue :one
SELECT count(*) FROM (
	SELECT 1 FROM generation_metadata AS m
	WHERE m.name = @name AND m.value = @value
		AND m.created_at >= @created_from AND m.created_at <= @created_to
	ORDER BY m.created_at
	LIMIT @at_most
) AS counted;

-- name: NewestPlacesInRange :many
-- One range of generation_metadata, and sorted: for ranges that have few.
-- Its ends are not cast to REAL: SQLite would then try to make numbers of all values that it compares with them, and not
-- use the order in which it has them.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value >= @low AND m.value <= @high
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at DESC, m.generation_id DESC
LIMIT @row_limit;

-- name: OldestPlacesInRange :many
-- The same, the other way round.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value >= @low AND m.value <= @high
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at, m.generation_id
LIMIT @row_limit;

-- name: CountPlacesInRange :one
SELECT count(*) FROM (
	SELECT 1 FROM generation_metadata AS m
	WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value >= @low AND m.value <= @high
	ORDER BY m.value
	LIMIT @at_most
) AS counted;

-- name: NumbersInRange :many
-- The different numbers that there are, at most so many, each found by one probe of generation_metadata.
WITH RECURSIVE numbers (number) AS (
	SELECT (SELECT min(m.value) FROM generation_metadata AS m WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value >= @low AND m.value <= @high)
	UNION ALL
	SELECT (SELECT min(m.value) FROM generation_metadata AS m WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value > numbers.number AND m.value <= @high)
	FROM numbers
	WHERE numbers.number IS NOT NULL
)
SELECT CAST(numbers.number AS REAL) AS number FROM numbers WHERE numbers.number IS NOT NULL LIMIT @row_limit;

-- name: NewestPlacesOfNumbers :many
-- Of each of some numbers at most so many: for each one range of generation_metadata.
SELECT g.id, g.created_at, CAST(p.value AS REAL) AS number
FROM json_each(CAST(@numbers AS TEXT)) AS p
CROSS JOIN generations AS g
WHERE g.id IN (
	SELECT n.generation_id FROM generation_metadata AS n
	WHERE n.name = substr(CAST(@name AS TEXT), 1, 64) AND n.value = p.value
		AND n.created_at <= @before_created_at AND (n.created_at < @before_created_at OR n.generation_id < @before_id)
		AND n.created_at >= @after_created_at AND (n.created_at > @after_created_at OR n.generation_id > @after_id)
	ORDER BY n.created_at DESC, n.generation_id DESC
	LIMIT @per_number
);

-- name: OldestPlacesOfNumbers :many
-- The same, the other way round.
SELECT g.id, g.created_at, CAST(p.value AS REAL) AS number
FROM json_each(CAST(@numbers AS TEXT)) AS p
CROSS JOIN generations AS g
WHERE g.id IN (
	SELECT n.generation_id FROM generation_metadata AS n
	WHERE n.name = substr(CAST(@name AS TEXT), 1, 64) AND n.value = p.value
		AND n.created_at <= @before_created_at AND (n.created_at < @before_created_at OR n.generation_id < @before_id)
		AND n.created_at >= @after_created_at AND (n.created_at > @after_created_at OR n.generation_id > @after_id)
	ORDER BY n.created_at, n.generation_id
	LIMIT @per_number
);

-- name: FindPrompts :many
SELECT CAST(prompts_search.rowid AS INTEGER) AS id FROM prompts_search WHERE prompts_search.text MATCH @words LIMIT @row_limit;

-- name: CountPlacesOfPrompts :one
SELECT count(*) FROM (
	SELECT 1 FROM json_each(CAST(@prompt_ids AS TEXT)) AS p
	CROSS JOIN generations AS g
	WHERE g.prompt_id = p.value AND g.created_at >= @created_from AND g.created_at <= @created_to
	LIMIT @at_most
) AS counted;

-- name: NewestPlacesOfPrompts :many
-- Of each of some prompts at most so many: for each one range of idx_generations_prompt_id.
SELECT g.id, g.created_at, g.prompt_id
FROM json_each(CAST(@prompt_ids AS TEXT)) AS p
CROSS JOIN generations AS g
WHERE g.rowid IN (
	SELECT n.rowid FROM generations AS n
	WHERE n.prompt_id = p.value
		AND n.created_at <= @before_created_at AND (n.created_at < @before_created_at OR n.id < @before_id)
		AND n.created_at >= @after_created_at AND (n.created_at > @after_created_at OR n.id > @after_id)
	ORDER BY n.created_at DESC, n.id DESC
	LIMIT @per_prompt
);

-- name: OldestPlacesOfPrompts :many
-- The same, the other way round.
SELECT g.id, g.created_at, g.prompt_id
FROM json_each(CAST(@prompt_ids AS TEXT)) AS p
CROSS JOIN generations AS g
WHERE g.rowid IN (
	SELECT n.rowid FROM generations AS n
	WHERE n.prompt_id = p.value
		AND n.created_at <= @before_created_at AND (n.created_at < @before_created_at OR n.id < @before_id)
		AND n.created_at >= @after_created_at AND (n.created_at > @after_created_at OR n.id > @after_id)
	ORDER BY n.created_at, n.id
	LIMIT @per_prompt
);

-- name: ListFound :many
-- What is there, of some places. metadata_matches is the store's own: SQLite's functions for JSON round large numbers.
SELECT g.* FROM generations AS g
CROSS JOIN (SELECT CAST(@oldest_first AS BOOLEAN) AS oldest_first) AS o
WHERE g.id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)))
	AND g.status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), g.status)
	AND g.model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), g.model_name)
	AND (CAST(@any_batch AS BOOLEAN) OR g.batch_id = @batch_id)
	AND g.favorite >= CAST(@favorite AS BOOLEAN)
	AND (CAST(@metadata AS TEXT) = '' OR metadata_matches(g.metadata, CAST(@metadata AS TEXT)))
	AND (CAST(@prompt_ids AS TEXT) = '' OR g.prompt_id IN (SELECT value FROM json_each(CAST(@prompt_ids AS TEXT))))
	AND (CAST(@words AS TEXT) = '' OR EXISTS (
		SELECT 1 FROM prompts_search WHERE prompts_search.rowid = g.prompt_id AND prompts_search.text MATCH CAST(@words AS TEXT)
	))
ORDER BY
	CASE WHEN o.oldest_first THEN g.created_at END, CASE WHEN o.oldest_first THEN g.id END,
	g.created_at DESC, g.id DESC
LIMIT @row_limit;
