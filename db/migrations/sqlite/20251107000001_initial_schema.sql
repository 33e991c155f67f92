-- The schema of the Python service's Alembic revision 001, to the letter: tables, columns, types and index names. A
-- database of the Python service is therefore at this version, and later migrations upgrade it in place. The statements
-- must not change.

-- migrate:up

CREATE TABLE generations (
	id VARCHAR NOT NULL,
	prompt TEXT NOT NULL,
	model_name VARCHAR NOT NULL,
	model_version VARCHAR,
	duration_seconds FLOAT NOT NULL,
	sample_rate INTEGER NOT NULL,
	channels INTEGER NOT NULL,
	file_path VARCHAR NOT NULL,
	file_size_bytes INTEGER,
	status VARCHAR NOT NULL,
	created_at DATETIME NOT NULL,
	completed_at DATETIME,
	generation_time_seconds FLOAT,
	error_message TEXT,
	metadata TEXT,
	PRIMARY KEY (id)
);
CREATE INDEX idx_generations_status ON generations (status);
CREATE INDEX idx_generations_created_at ON generations (created_at);
CREATE INDEX idx_generations_model_name ON generations (model_name);
CREATE INDEX idx_generations_completed_at ON generations (completed_at);

CREATE TABLE prompts (
	id INTEGER NOT NULL,
	text TEXT NOT NULL,
	used_count INTEGER NOT NULL,
	first_used_at DATETIME NOT NULL,
	last_used_at DATETIME NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (text)
);
CREATE INDEX idx_prompts_text ON prompts (text);

-- migrate:down

DROP TABLE generations;
DROP TABLE prompts;
