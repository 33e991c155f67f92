-- Counts that triggers keep, so that they cost the same at any size, and favorites.

-- migrate:up

ALTER TABLE generations ADD COLUMN favorite INTEGER NOT NULL DEFAULT 0
	CONSTRAINT generations_favorite_check CHECK (favorite IN (0, 1));

-- Partial, so that other generations do not pay for it.
CREATE INDEX idx_generations_favorite ON generations (created_at, id) WHERE favorite;

-- For the average time of the last hour, which it serves alone.
DROP INDEX idx_generations_completed_at;
CREATE INDEX idx_generations_completed_at ON generations (completed_at, status, generation_time_seconds)
	WHERE completed_at IS NOT NULL;

-- One row for each status, and one for the prompts. SQLite has one writer, so no writer waits for a row.
CREATE TABLE generation_counters (
	name TEXT NOT NULL,
	value INTEGER NOT NULL,
	CONSTRAINT generation_counters_pkey PRIMARY KEY (name),
	CONSTRAINT generation_counters_value_check CHECK (value >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO generation_counters (name, value)
SELECT names.name, (SELECT count(*) FROM generations WHERE status = names.name)
FROM (
	SELECT 'pending' AS name
	UNION ALL SELECT 'processing'
	UNION ALL SELECT 'completed'
	UNION ALL SELECT 'failed'
	UNION ALL SELECT 'cancelled'
) AS names;
INSERT INTO generation_counters (name, value) SELECT 'prompts', count(*) FROM prompts;

CREATE TRIGGER generations_count_insert AFTER INSERT ON generations
BEGIN
	UPDATE generation_counters SET value = value + 1 WHERE name = NEW.status;
END;
CREATE TRIGGER generations_count_update AFTER UPDATE OF status ON generations
WHEN NEW.status <> OLD.status
BEGIN
	UPDATE generation_counters SET value = value - 1 WHERE name = OLD.status;
	UPDATE generation_counters SET value = value + 1 WHERE name = NEW.status;
END;
-- A foreign key that deletes fires it, too.
CREATE TRIGGER generations_count_delete AFTER DELETE ON generations
BEGIN
	UPDATE generation_counters SET value = value - 1 WHERE name = OLD.status;
END;
CREATE TRIGGER prompts_count_insert AFTER INSERT ON prompts
BEGIN
	UPDATE generation_counters SET value = value + 1 WHERE name = 'prompts';
END;
CREATE TRIGGER prompts_count_delete AFTER DELETE ON prompts
BEGIN
	UPDATE generation_counters SET value = value - 1 WHERE name = 'prompts';
END;

-- migrate:down

DROP TRIGGER generations_count_insert;
DROP TRIGGER generations_count_update;
DROP TRIGGER generations_count_delete;
DROP TRIGGER prompts_count_insert;
DROP TRIGGER prompts_count_delete;
DROP TABLE generation_counters;
DROP INDEX idx_generations_favorite;
DROP INDEX idx_generations_completed_at;
CREATE INDEX idx_generations_completed_at ON generations (completed_at) WHERE completed_at IS NOT NULL;
ALTER TABLE generations DROP COLUMN favorite;
