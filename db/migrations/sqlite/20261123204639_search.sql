-- Full-text search over the prompts, which triggers keep, and the generations of a prompt in order.
--
-- To the tokenizer, words are letters and digits, and everything else separates them. It folds case, and the accents of
-- Latin letters. The index reads the text from prompts, and keeps no copy of its own.

-- migrate:up

CREATE VIRTUAL TABLE prompts_search USING fts5 (
	text, content = 'prompts', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
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

-- For the foreign key, and for the newest generations of a prompt.
DROP INDEX idx_generations_prompt_id;
CREATE INDEX idx_generations_prompt_id ON generations (prompt_id, created_at, id);

-- migrate:down

DROP TRIGGER prompts_search_insert;
DROP TRIGGER prompts_search_update;
DROP TRIGGER prompts_search_delete;
DROP TABLE prompts_search;
DROP INDEX idx_generations_prompt_id;
CREATE INDEX idx_generations_prompt_id ON generations (prompt_id);
