-- name: PruneGenerations :many
-- Primary key of generations, for each ID.
--
-- It deletes what PrunableGenerations has found and what still matches once it is locked: a failed generation may have
-- been retried. What another transaction has locked is being changed, and is left for the next time. So this never
-- waits.
WITH held AS (
	SELECT g.id FROM generations AS g
	WHERE g.id = ANY(@ids::UUID[]) AND g.status = @status AND g.favorite <= CAST(@favorites_too AS BOOLEAN)
		AND g.created_at < @created_before AND (g.completed_at IS NULL OR g.completed_at < @completed_before)
	FOR UPDATE SKIP LOCKED
)
DELETE FROM generations WHERE generations.id = ANY(ARRAY(SELECT held.id FROM held))
RETURNING file_path;

-- name: LockPrompts :many
-- Primary key of prompts, for each ID.
--
-- Until the transaction ends, no other can create a generation of these prompts. A creation counts the use first, and
-- the check of a foreign key locks the row, too. A prompt that another transaction is using is skipped.
SELECT p.id FROM prompts AS p WHERE p.id = ANY(@ids::BIGINT[]) FOR UPDATE SKIP LOCKED;

-- name: DropUnusedPrompts :execrows
-- Primary key of prompts, for each ID. Index for its generations: idx_generations_prompt_id.
--
-- It is a statement of its own after LockPrompts, so that it sees what was committed before the locks were taken.
DELETE FROM prompts
WHERE prompts.id = ANY(@ids::BIGINT[]) AND last_used_at < @used_before
	AND NOT EXISTS (SELECT 1 FROM generations AS g WHERE g.prompt_id = prompts.id);

-- name: LockPrompt :exec
-- Primary key of prompts.
--
-- It waits for transactions that use the prompt. It is a statement of its own before RaiseUsedCount, which then sees
-- what they have committed.
SELECT id FROM prompts WHERE id = @id FOR UPDATE;

-- name: LockRecount :exec
-- No table is read. Of two recounts at the same time, one would add its difference to what the other has mended. Only
-- recounts take this lock.
SELECT pg_advisory_xact_lock(hashtext('dgx-music: recount'));

-- name: AddToCounter :exec
-- No index is read. A count is the sum of its changes. What is missing at one moment stays missing, whatever is counted
-- meanwhile.
INSERT INTO generation_counters (name, value) VALUES (@name, @value);

-- name: SearchWords :many
-- Primary keys of prompts and prompts_search, a page after after_id.
--
-- wrong reports whether the words that are kept of a prompt differ from those of its text.
SELECT p.id, CAST(s.words IS DISTINCT FROM search_words(p.text) AS BOOLEAN) AS wrong
FROM prompts AS p
LEFT JOIN prompts_search AS s ON s.prompt_id = p.id
WHERE p.id > @after_id
ORDER BY p.id
LIMIT CAST(@row_limit AS BIGINT);

-- name: MendSearchWords :exec
-- Primary keys of prompts and prompts_search, for each ID.
--
-- A text never changes. A prompt that is being deleted is skipped.
WITH held AS (
	SELECT p.id, p.text FROM prompts AS p WHERE p.id = ANY(@ids::BIGINT[]) FOR KEY SHARE SKIP LOCKED
)
INSERT INTO prompts_search (prompt_id, words)
SELECT held.id, search_words(held.text) FROM held
ON CONFLICT (prompt_id) DO UPDATE SET words = excluded.words;

-- name: WordsWithoutPrompt :many
-- Full scan of prompts_search, because such rows may be anywhere.
SELECT s.prompt_id FROM prompts_search AS s
WHERE NOT EXISTS (SELECT 1 FROM prompts AS p WHERE p.id = s.prompt_id);

-- name: DeleteWordsWithoutPrompt :exec
-- Primary keys of prompts_search and prompts, for each ID.
--
-- Such rows exist only if the foreign key was switched off. IDs of prompts are never used twice, so none of them will
-- get a prompt.
DELETE FROM prompts_search AS s
WHERE s.prompt_id = ANY(@ids::BIGINT[]) AND NOT EXISTS (SELECT 1 FROM prompts AS p WHERE p.id = s.prompt_id);

-- name: MetadataToCheck :many
-- Primary key of generations, a page from from_id on. Index for each entry: idx_generation_metadata (index-only).
--
-- missing reports whether an entry of the metadata is missing in that index. It counts, because PostgreSQL makes a join
-- of NOT EXISTS: with one generation of 5,000 keys it read all entries for each of them, in 10 seconds.
SELECT g.id, EXISTS (
	SELECT 1 FROM jsonb_each(g.metadata) AS e
	WHERE 0 = (
		SELECT count(*) FROM generation_metadata AS m
		WHERE m.name = left(e.key, 64) AND m.number = metadata_number(e.value) AND m.hash = metadata_hash(e.value)
			AND m.created_at = g.created_at AND m.generation_id = g.id
	)
) AS missing
FROM generations AS g
WHERE g.id >= @from_id
ORDER BY g.id
LIMIT CAST(@row_limit AS BIGINT);

-- name: SurplusMetadata :many
-- Full scan of generation_metadata and generations: no index has the entries of one generation together.
SELECT m.generation_id, count(*) AS entries FROM generation_metadata AS m
WHERE NOT EXISTS (
	SELECT 1 FROM generations AS g, jsonb_each(g.metadata) AS e
	WHERE g.id = m.generation_id AND g.created_at = m.created_at
		AND left(e.key, 64) = m.name AND metadata_number(e.value) = m.number AND metadata_hash(e.value) = m.hash
)
GROUP BY m.generation_id;

-- name: AddMissingMetadata :exec
-- Primary key of generations, for each ID.
--
-- The generations are locked, so that the entries added are those that the trigger of the next update will delete. What
-- another transaction has locked is skipped. So this never waits.
WITH held AS (
	SELECT g.id, g.created_at, g.metadata FROM generations AS g
	WHERE g.id = ANY(@ids::UUID[])
	FOR NO KEY UPDATE SKIP LOCKED
)
INSERT INTO generation_metadata (name, number, hash, created_at, generation_id)
SELECT DISTINCT left(e.key, 64), metadata_number(e.value), metadata_hash(e.value), held.created_at, held.id
FROM held, jsonb_each(held.metadata) AS e
ON CONFLICT DO NOTHING;

-- name: DeleteSurplusMetadata :exec
-- Full scan of generation_metadata, as SurplusMetadata, and the primary key of generations for entries of the given
-- IDs.
--
-- A surplus entry stays surplus as long as it exists: an update that makes it right would have to insert it, and
-- cannot. The IDs are given twice, or PostgreSQL would join all generations for each batch. They are unnested, or it
-- would search the list for each entry.
DELETE FROM generation_metadata AS m
WHERE m.generation_id IN (SELECT unnest(@ids::UUID[])) AND NOT EXISTS (
	SELECT 1 FROM generations AS g, jsonb_each(g.metadata) AS e
	WHERE g.id = ANY(@ids::UUID[]) AND g.id = m.generation_id AND g.created_at = m.created_at
		AND left(e.key, 64) = m.name AND metadata_number(e.value) = m.number AND metadata_hash(e.value) = m.hash
);
