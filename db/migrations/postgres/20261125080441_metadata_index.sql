-- An index over metadata, which triggers keep: one entry for each top-level key of each generation. A GIN index would
-- find a value, too, but neither in the order of creation nor by a range of numbers. For a page of a common value it
-- would read and sort half of history.
--
-- An entry only finds: the generation's own metadata decides whether it matches. So an entry need not hold the whole
-- key or value. It holds what any two equal values have in common: 64 characters of the key, a double of a number, and
-- a hash of any other value.

-- migrate:up

-- No other transaction may write between the entries and the triggers.
LOCK TABLE generations IN SHARE ROW EXCLUSIVE MODE;

-- Returns a number as a double, or NaN, which JSON does not have, if the value is no number. Neither this function nor
-- the next is STRICT, so that PostgreSQL inlines both: https://wiki.postgresql.org/wiki/Inlining_of_SQL_functions
CREATE FUNCTION metadata_number(value JSONB) RETURNS DOUBLE PRECISION LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE
		WHEN jsonb_typeof(value) <> 'number' THEN 'NaN'
		-- The cast refuses these. They are rounded as IEEE 754 does: half a step above the largest double is infinity, and
		-- less than half of the smallest is 0.
		WHEN CAST(value AS NUMERIC) >= 1.797693134862315807937e308 THEN 'Infinity'
		WHEN CAST(value AS NUMERIC) <= -1.797693134862315807937e308 THEN '-Infinity'
		WHEN abs(CAST(value AS NUMERIC)) < 2.4703282292062328e-324 THEN 0
		ELSE CAST(value AS DOUBLE PRECISION)
	END
$$;

-- Returns a hash that equal values share, or 0 for a number. So all numbers that are the same double stay together, in
-- the order of creation.
CREATE FUNCTION metadata_hash(value JSONB) RETURNS BIGINT LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN 0 ELSE jsonb_hash_extended(value, 0) END
$$;

CREATE TABLE generation_metadata (
	name TEXT NOT NULL,
	number DOUBLE PRECISION NOT NULL,
	hash BIGINT NOT NULL,
	created_at TIMESTAMPTZ NOT NULL,
	generation_id UUID NOT NULL
);
INSERT INTO generation_metadata (name, number, hash, created_at, generation_id)
SELECT DISTINCT left(e.key, 64), metadata_number(e.value), metadata_hash(e.value), g.created_at, g.id
FROM generations AS g, jsonb_each(g.metadata) AS e;
-- Within a key and value the order is that of creation, so that a page of one value is one range. The index holds all
-- that an entry has. Two keys with the same first 64 characters share an entry if their values are equal.
CREATE UNIQUE INDEX idx_generation_metadata ON generation_metadata (name, number, hash, created_at, generation_id);

COMMENT ON TABLE generation_metadata IS 'GenerationMetadatum is an entry of the index over metadata.';
COMMENT ON COLUMN generation_metadata.name IS 'The first 64 characters of the top-level key.';
COMMENT ON COLUMN generation_metadata.number IS 'The value if it is a number, else NaN.';
COMMENT ON COLUMN generation_metadata.hash IS
	'A hash of the value if it is no number, else 0. Equal values have the same.';
COMMENT ON COLUMN generation_metadata.created_at IS 'The time at which the generation was created.';
COMMENT ON COLUMN generation_metadata.generation_id IS 'The ID of the generation.';

-- Runs once for each statement, however many rows that creates.
CREATE FUNCTION index_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		INSERT INTO generation_metadata (name, number, hash, created_at, generation_id)
		SELECT DISTINCT left(e.key, 64), metadata_number(e.value), metadata_hash(e.value), g.created_at, g.id
		FROM new_rows AS g, jsonb_each(g.metadata) AS e;
	ELSE
		TRUNCATE generation_metadata; -- DELETE would leave entries that the transaction's snapshot does not have
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER generations_metadata_insert AFTER INSERT ON generations
	REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION index_metadata();
CREATE TRIGGER generations_metadata_truncate AFTER TRUNCATE ON generations
	FOR EACH STATEMENT EXECUTE FUNCTION index_metadata();

-- Goes entry by entry, so that the index finds each, whatever the planner estimates. Updates that leave these columns
-- as they are do not run it.
CREATE FUNCTION reindex_metadata() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	entry RECORD;
BEGIN
	FOR entry IN
		SELECT left(e.key, 64) AS name, metadata_number(e.value) AS number, metadata_hash(e.value) AS hash
		FROM jsonb_each(OLD.metadata) AS e
	LOOP
		DELETE FROM generation_metadata AS m
		WHERE m.name = entry.name AND m.number = entry.number AND m.hash = entry.hash
			AND m.created_at = OLD.created_at AND m.generation_id = OLD.id;
	END LOOP;
	IF TG_OP = 'UPDATE' THEN
		INSERT INTO generation_metadata (name, number, hash, created_at, generation_id)
		SELECT DISTINCT left(e.key, 64), metadata_number(e.value), metadata_hash(e.value), NEW.created_at, NEW.id
		FROM jsonb_each(NEW.metadata) AS e;
	END IF;
	RETURN NULL;
END
$$;
CREATE TRIGGER generations_metadata_update AFTER UPDATE ON generations FOR EACH ROW
	WHEN (NEW.metadata <> OLD.metadata OR NEW.created_at <> OLD.created_at OR NEW.id <> OLD.id)
	EXECUTE FUNCTION reindex_metadata();
CREATE TRIGGER generations_metadata_delete AFTER DELETE ON generations FOR EACH ROW EXECUTE FUNCTION reindex_metadata();

-- migrate:down

DROP TRIGGER generations_metadata_insert ON generations;
DROP TRIGGER generations_metadata_truncate ON generations;
DROP TRIGGER generations_metadata_update ON generations;
DROP TRIGGER generations_metadata_delete ON generations;
DROP FUNCTION index_metadata;
DROP FUNCTION reindex_metadata;
DROP TABLE generation_metadata;
DROP FUNCTION metadata_hash;
DROP FUNCTION metadata_number;
