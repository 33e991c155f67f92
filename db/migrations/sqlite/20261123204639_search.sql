-- Full-text search over the prompts, kept current by triggers, and the generations of a prompt in their order.
--
-- The tokenizer takes letters and digits for words and all else for what stands between them, and folds case and the
-- accents of Latin letters. The index holds no text of its own.

-- migrate:up

CREATE VIRTUAL TABLE prompts_search USING fts5 (text, content = 'prompts', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO prompts_search (prompts_search) VALUES ('rebuild');

CREATE TRIGGER prompts_search_insert AFTER INSERT ON prompts
BEGIN
	INSERT INTO prompts_search (rowid, text) VALUES (NEW.id, NEW.text);
END;
CREATE TRIGGER prompts_search_update AFTER UPDATE OF id, text ON prompts
BEGIN
	INSERT INTO prompts_search (prompts_search, rowid, text) VALUES ('delete', OLD.id, OLD.text);
	INSERT INTO prompts_search (rowid, text) VALUES (NEW.id, NEW.text);
END;
CREATE TRIGGER prompts_search_delete AFTER DELETE ON prompts
BEGIN
	INSERT INTO prompts_search (prompts_search, rowid, text) VALUES ('delete', OLD.id, OLD.text);
END;

-- For the cascade, and for the newest of a prompt.
DROP INDEX idx_generations_prompt_id;
CREATE INDEX idx_generations_prompt_id ON generations (prompt_id, created_at, id);

-- migrate:down

DROP TRIGGER prompts_search_insert;
DROP TRIGGER prompts_search_update;
DROP TRIGGER prompts_search_delete;
DROP TABLE prompts_search;
DROP INDEX idx_generations_prompt_id;
CREATE INDEX idx_generations_prompt_id ON generations (prompt_id);
