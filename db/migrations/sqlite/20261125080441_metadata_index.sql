-- An index over metadata, kept by triggers: each top-level key of each generation is an entry.
--
-- An entry finds; whether a generation matches is decided by its metadata itself. So an entry need not hold all of a key or
-- value, and what any two equal values have in common is enough: of each 64 characters, of numbers what a double holds, of
-- arrays and objects what is in them, sorted. These, true, false and null are blobs, so that they are no text.

-- migrate:up

-- In the order of creation within each key and value, so that a page of those that have it is one range.
CREATE TABLE generation_metadata (
	name TEXT NOT NULL,
	value ANY NOT NULL,
	created_at TEXT NOT NULL,
	generation_id TEXT NOT NULL,
	CONSTRAINT generation_metadata_pkey PRIMARY KEY (name, value, created_at, generation_id)
) STRICT, WITHOUT ROWID;

-- The entries that there ought to be. The query MetadataEntry reads what is asked for in the same way.
CREATE VIEW generation_metadata_entries AS
SELECT
	g.id AS generation_id,
	g.created_at AS created_at,
	CAST(substr(e.key, 1, 64) AS TEXT) AS name, -- its type is what lets the deletions below use all of the key
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
FROM generations AS g, json_each(g.metadata) AS e;

INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
SELECT name, value, created_at, generation_id FROM generation_metadata_entries ORDER BY 1, 2, 3, 4;

-- OR IGNORE: two keys may begin alike.
CREATE TRIGGER generations_metadata_insert AFTER INSERT ON generations
WHEN NEW.metadata <> '{}'
BEGIN
	INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
	SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = NEW.id;
END;
-- Before, while the row is as its entries say, and behind, where it is as they are to be.
CREATE TRIGGER generations_metadata_before_update BEFORE UPDATE OF id, created_at, metadata ON generations
WHEN NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at OR NEW.id <> OLD.id
BEGIN
	DELETE FROM generation_metadata WHERE (name, value, created_at, generation_id) IN (
		SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = OLD.id
	);
END;
CREATE TRIGGER generations_metadata_update AFTER UPDATE OF id, created_at, metadata ON generations
WHEN NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at OR NEW.id <> OLD.id
BEGIN
	INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
	SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = NEW.id;
END;
-- Foreign keys that delete fire it, too.
CREATE TRIGGER generations_metadata_delete BEFORE DELETE ON generations
BEGIN
	DELETE FROM generation_metadata WHERE (name, value, created_at, generation_id) IN (
		SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = OLD.id
	);
END;

-- migrate:down

DROP TRIGGER generations_metadata_insert;
DROP TRIGGER generations_metadata_before_update;
DROP TRIGGER generations_metadata_update;
DROP TRIGGER generations_metadata_delete;
DROP VIEW generation_metadata_entries;
DROP TABLE generation_metadata;
