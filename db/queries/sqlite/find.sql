-- name: MetadataEntry :one
-- No table is read. It cuts the key and the value of a JSON object with one key as generation_metadata_entries does.
--
-- This file has what SQLite says in its own way of lists by metadata and words. NewestPlaces, of db/queries/find.sql,
-- explains their two steps. Lists of IDs and numbers are JSON arrays.
SELECT
	CAST(substr(e.key, 1, 64) AS TEXT) AS name,
	CASE e.type
		WHEN 'integer' THEN CAST(e.value AS REAL)
		WHEN 'real' THEN CAST(e.value AS REAL)
		WHEN 'text' THEN substr(e.value, 1, 64)
		ELSE CAST(e.type || CASE WHEN e.type IN ('array', 'object') THEN COALESCE((
			SELECT substr(group_concat(leaves.leaf, ' '), 1, 64)
			FROM (
				SELECT CASE
					WHEN t.type IN ('integer', 'real') THEN CAST(CAST(t.atom AS REAL) AS INTEGER)
					WHEN t.type = 'text' THEN t.atom
					ELSE t.type
				END AS leaf
				FROM json_tree(e.value) AS t
				ORDER BY leaf
			) AS leaves
		), '') ELSE '' END AS BLOB)
	END AS value
FROM json_each(CAST(@entry AS TEXT)) AS e;

-- name: NewestPlacesWithValue :many
-- Primary key of generation_metadata (backward scan).
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = @name AND m.value = @value
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at DESC, m.generation_id DESC
LIMIT @row_limit;

-- name: OldestPlacesWithValue :many
-- Primary key of generation_metadata.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = @name AND m.value = @value
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at, m.generation_id
LIMIT @row_limit;

-- name: CountPlacesWithValue :one
-- Primary key of generation_metadata.
SELECT count(*) FROM (
	SELECT 1 FROM generation_metadata AS m
	WHERE m.name = @name AND m.value = @value
		AND m.created_at >= @created_from AND m.created_at <= @created_to
	ORDER BY m.created_at
	LIMIT @at_most
) AS counted;

-- name: NewestPlacesInRange :many
-- Primary key of generation_metadata, then a sort: for ranges of few entries.
--
-- The ends are not cast to REAL. SQLite would convert each value to a number before it compares them, and could not use
-- the order of the key.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value >= @low AND m.value <= @high
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at DESC, m.generation_id DESC
LIMIT @row_limit;

-- name: OldestPlacesInRange :many
-- Primary key of generation_metadata, then a sort: for ranges of few entries.
SELECT m.generation_id AS id, m.created_at FROM generation_metadata AS m
WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value >= @low AND m.value <= @high
	AND m.created_at <= @before_created_at AND (m.created_at < @before_created_at OR m.generation_id < @before_id)
	AND m.created_at >= @after_created_at AND (m.created_at > @after_created_at OR m.generation_id > @after_id)
ORDER BY m.created_at, m.generation_id
LIMIT @row_limit;

-- name: CountPlacesInRange :one
-- Primary key of generation_metadata.
SELECT count(*) FROM (
	SELECT 1 FROM generation_metadata AS m
	WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value >= @low AND m.value <= @high
	ORDER BY m.value
	LIMIT @at_most
) AS counted;

-- name: NumbersInRange :many
-- Primary key of generation_metadata, one probe for each number.
--
-- It returns the different numbers in a range, in ascending order and at most row_limit.
WITH RECURSIVE numbers (number) AS (
	SELECT (
		SELECT min(m.value) FROM generation_metadata AS m
		WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value >= @low AND m.value <= @high
	)
	UNION ALL
	SELECT (
		SELECT min(m.value) FROM generation_metadata AS m
		WHERE m.name = substr(CAST(@name AS TEXT), 1, 64) AND m.value > numbers.number AND m.value <= @high
	)
	FROM numbers
	WHERE numbers.number IS NOT NULL
)
SELECT CAST(numbers.number AS REAL) AS number FROM numbers WHERE numbers.number IS NOT NULL LIMIT @row_limit;

-- name: NewestPlacesOfNumbers :many
-- Primary key of generation_metadata (backward scan), one range for each number. Then the primary key of generations.
--
-- It returns at most per_number places of each number.
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
-- Primary key of generation_metadata, one range for each number. Then the primary key of generations.
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
-- Full-text index prompts_search.
SELECT CAST(prompts_search.rowid AS INTEGER) AS id FROM prompts_search
WHERE prompts_search.text MATCH @words
LIMIT @row_limit;

-- name: CountPlacesOfPrompts :one
-- Index: idx_generations_prompt_id (index-only), one range for each prompt.
SELECT count(*) FROM (
	SELECT 1 FROM json_each(CAST(@prompt_ids AS TEXT)) AS p
	CROSS JOIN generations AS g
	WHERE g.prompt_id = p.value AND g.created_at >= @created_from AND g.created_at <= @created_to
	LIMIT @at_most
) AS counted;

-- name: NewestPlacesOfPrompts :many
-- Index: idx_generations_prompt_id (backward, index-only), one range for each prompt. Then the rowids of generations.
--
-- It returns at most per_prompt places of each prompt.
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
-- Index: idx_generations_prompt_id (index-only), one range for each prompt. Then the rowids of generations.
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
-- Primary key of generations, for each ID.
--
-- It returns the generations at the given places that pass all filters. metadata_matches is a function of the store,
-- because SQLite's JSON functions round large numbers. SQLite looks the words up once for the statement, and keeps the
-- prompts that have them. To look each row's prompt up would merge the words of a prefix again for each row: a list by
-- one letter took 9 seconds with 300,000 prompts.
SELECT g.* FROM generations AS g
CROSS JOIN (SELECT CAST(@oldest_first AS BOOLEAN) AS oldest_first) AS o
WHERE g.id IN (SELECT value FROM json_each(CAST(@ids AS TEXT)))
	AND g.status = COALESCE(NULLIF(CAST(@status AS TEXT), ''), g.status)
	AND g.model_name = COALESCE(NULLIF(CAST(@model_name AS TEXT), ''), g.model_name)
	AND (CAST(@any_batch AS BOOLEAN) OR g.batch_id = @batch_id)
	AND g.favorite >= CAST(@favorite AS BOOLEAN)
	AND (CAST(@metadata AS TEXT) = '' OR metadata_matches(g.metadata, CAST(@metadata AS TEXT)))
	AND (CAST(@prompt_ids AS TEXT) = '' OR g.prompt_id IN (SELECT value FROM json_each(CAST(@prompt_ids AS TEXT))))
	AND (CAST(@words AS TEXT) = '' OR g.prompt_id IN (
		SELECT prompts_search.rowid FROM prompts_search WHERE prompts_search.text MATCH CAST(@words AS TEXT)
	))
ORDER BY
	CASE WHEN o.oldest_first THEN g.created_at END, CASE WHEN o.oldest_first THEN g.id END,
	g.created_at DESC, g.id DESC
LIMIT @row_limit;
