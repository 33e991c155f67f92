-- An index over metadata, which triggers keep: one entry for each top-level key of each generation.
--
-- An entry only finds: the generation's own metadata decides whether it matches. So an entry need not hold the whole
-- key or value. It holds what any two equal values have in common: 64 characters of a key or text, a double of a
-- number, and the sorted leaves of an array or object. Arrays, objects, true, false and null are a BLOB, so that none
-- equals a text.

-- migrate:up

-- Within a key and value the order is that of creation, so that a page of one value is one range.
CREATE TABLE generation_metadata (
	name TEXT NOT NULL,
	value ANY NOT NULL,
	created_at TEXT NOT NULL,
	generation_id TEXT NOT NULL,
	CONSTRAINT generation_metadata_pkey PRIMARY KEY (name, value, created_at, generation_id)
) STRICT, WITHOUT ROWID;

-- The entries that generation_metadata should have. The query MetadataEntry cuts a value that is asked for in the same
-- way.
CREATE VIEW generation_metadata_entries AS
SELECT
	g.id AS generation_id,
	g.created_at AS created_at,
	CAST(substr(e.key, 1, 64) AS TEXT) AS name, -- the cast lets the deletions below use the whole primary key
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
FROM generations AS g, json_each(g.metadata) AS e;

INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
SELECT name, value, created_at, generation_id FROM generation_metadata_entries ORDER BY 1, 2, 3, 4;

-- OR IGNORE, because two keys may have the same first 64 characters.
CREATE TRIGGER generations_metadata_insert AFTER INSERT ON generations
WHEN NEW.metadata <> '{}'
BEGIN
	INSERT OR IGNORE INTO generation_metadata (name, value, created_at, generation_id)
	SELECT name, value, created_at, generation_id FROM generation_metadata_entries WHERE generation_id = NEW.id;
END;
-- Deletes the old entries before the update, while the row still says which they are. The next trigger adds the new
-- ones.
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
-- A foreign key that deletes fires it, too.
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
