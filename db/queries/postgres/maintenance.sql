-- What engines say differently about maintenance: lists as parameters, locks, and the indexes that the schema keeps itself.

-- name: PruneGenerations :many
-- Of those that PrunableGenerations has found, what is still so once it is locked: a failed one may have been retried. What
-- somebody else has locked is being changed at this moment, and left for the next time, so this waits for nobody.
WITH held AS (
	SELECT g.id FROM generations AS g
	WHERE g.id = ANY(@ids::UUID[]) AND g.status = @status AND g.favorite <= CAST(@favorites_too AS BOOLEAN)
		AND g.created_at < @created_before AND (g.completed_at IS NULL OR g.completed_at < @completed_before)
	FOR UPDATE SKIP LOCKED
)
DELETE FROM generations WHERE generations.id = ANY(ARRAY(SELECT held.id FROM held))
RETURNING file_path;

-- name: LockPrompts :many
-- Until the end of the transaction nobody can create a generation of these: a creation counts the use first, and a foreign key
-- that is checked locks the row. What somebody is just using is passed over.
SELECT p.id FROM prompts AS p WHERE p.id = ANY(@ids::BIGINT[]) FOR UPDATE SKIP LOCKED;

-- name: DropUnusedPrompts :execrows
-- A statement of its own behind LockPrompts, so that it sees what was committed before the locks were taken.
DELETE FROM prompts
WHERE prompts.id = ANY(@ids::BIGINT[]) AND last_used_at < @used_before
	AND NOT EXISTS (SELECT 1 FROM generations AS g WHERE g.prompt_id = prompts.id);

-- name: LockPrompt :exec
-- Waits for whoever uses the prompt. A statement of its own, for the same reason.
SELECT id FROM prompts WHERE id = @id FOR UPDATE;

-- name: LockRecount :exec
-- Of two that recount at once, one would add its difference to what the other has mended. Nobody else heeds this lock.
SELECT pg_advisory_xact_lock(hashtext('dgx-music: recount'));

-- name: AddToCounter :exec
-- Counts are sums of changes. What is missing at one moment stays missing, whatever is counted meanwhile.
INSERT INTO generation_counters (name, value) VALUES (@name, @value);

-- name: SearchWords :many
-- A page of prompts, and whether the words that are kept of each are not those of its text.
SELECT p.id, CAST(s.words IS DISTINCT FROM search_words(p.text) AS BOOLEAN) AS wrong
FROM prompts AS p
LEFT JOIN prompts_search AS s ON s.prompt_id = p.id
WHERE p.id > @after_id
ORDER BY p.id
LIMIT CAST(@row_limit AS BIGINT);

-- name: MendSearchWords :exec
-- A text never changes, and what is being deleted is passed over.
WITH held AS (
	SELECT p.id, p.text FROM prompts AS p WHERE p.id = ANY(@ids::BIGINT[]) FOR KEY SHARE SKIP LOCKED
)
INSERT INTO prompts_search (prompt_id, words)
SELECT held.id, search_words(held.text) FROM held
ON CONFLICT (prompt_id) DO UPDATE SET words = excluded.words;

-- name: WordsWithoutPrompt :many
SELECT s.prompt_id FROM prompts_search AS s
WHERE NOT EXISTS (SELECT 1 FROM prompts AS p WHERE p.id = s.prompt_id);

-- name: DeleteWordsWithoutPrompt :exec
-- Only where the foreign key was switched off. IDs of prompts are never used twice, so none of these will have one.
DELETE FROM prompts_search AS s
WHERE s.prompt_id = ANY(@ids::BIGINT[]) AND NOT EXISTS (SELECT 1 FROM prompts AS p WHERE p.id = s.prompt_id);

-- name: MetadataToCheck :many
-- A page of generations from an ID on, and whether an entry of their metadata is missing in idx_generation_metadata: a probe for each.
SELECT g.id, EXISTS (
	SELECT 1 FROM jsonb_each(g.metadata) AS e
	WHERE NOT EXISTS (
		SELECT 1 FROM generation_metadata AS m
		WHERE m.name = left(e.key, 64) AND m.number = metadata_number(e.value) AND m.hash = metadata_hash(e.value)
			AND m.created_at = g.created_at AND m.generation_id = g.id
	)
) AS missing
FROM generations AS g
WHERE g.id >= @from_id
ORDER BY g.id
LIMIT CAST(@row_limit AS BIGINT);

-- name: SurplusMetadata :many
-- All of generation_metadata, and for each entry a probe of the primary key of generations: no index has the entries of one
-- generation together.
SELECT m.generation_id, count(*) AS entries FROM generation_metadata AS m
WHERE NOT EXISTS (
	SELECT 1 FROM generations AS g, jsonb_each(g.metadata) AS e
	WHERE g.id = m.generation_id AND g.created_at = m.created_at
		AND left(e.key, 64) = m.name AND metadata_number(e.value) = m.number AND metadata_hash(e.value) = m.hash
)
GROUP BY m.generation_id;

-- name: AddMissingMetadata :exec
-- The generations are locked, so that what is read of them is what the triggers of the next update will take away. What
-- somebody else has locked is passed over, so this waits for nobody.
WITH held AS (
	SELECT g.id, g.created_at, g.metadata FROM generations AS g WHERE g.id = ANY(@ids::UUID[]) FOR NO KEY UPDATE SKIP LOCKED
)
INSERT INTO generation_metadata (name, number, hash, created_at, generation_id)
SELECT DISTINCT left(e.key, 64), metadata_number(e.value), metadata_hash(e.value), held.created_at, held.id
FROM held, jsonb_each(held.metadata) AS e
ON CONFLICT DO NOTHING;

-- name: DeleteSurplusMetadata :exec
-- Once more all of generation_metadata. A surplus entry stays one for as long as it is there: an update that makes it a right
-- one would have to insert it, and cannot. The IDs are given twice, or PostgreSQL would join all generations for each batch;
-- and unnested, or it would look through the list for each entry.
DELETE FROM generation_metadata AS m
WHERE m.generation_id IN (SELECT unnest(@ids::UUID[])) AND NOT EXISTS (
	SELECT 1 FROM generations AS g, jsonb_each(g.metadata) AS e
	WHERE g.id = ANY(@ids::UUID[]) AND g.id = m.generation_id AND g.created_at = m.created_at
		AND left(e.key, 64) = m.name AND metadata_number(e.value) = m.number AND metadata_hash(e.value) = m.hash
);
