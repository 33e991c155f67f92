-- There is nothing to do on SQLite, because FTS5 cuts words itself. On PostgreSQL this version cuts words faster.

-- migrate:up

SELECT 1;

-- migrate:down

SELECT 1;
