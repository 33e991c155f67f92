-- Nothing to do: FTS5 cuts words itself. PostgreSQL's part makes its own words faster.

-- migrate:up

SELECT 1;

-- migrate:down

SELECT 1;
