-- The functions that cut words become many times as fast, with the same result. PostgreSQL parses and plans a function
-- in SQL at each call, here with the lists of all letters. It plans one in PL/pgSQL once for a session. A text that is
-- all ASCII, as most prompts are, needs no lists. The lists are written in 20261123204639_search.sql. They are taken
-- here from the functions that it has made.

-- migrate:up

DO $$
BEGIN
	EXECUTE format(
		'CREATE OR REPLACE FUNCTION search_fold(given TEXT) RETURNS TEXT '
			|| 'LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS %L',
		'BEGIN RETURN (' || (SELECT prosrc FROM pg_proc WHERE oid = CAST('search_fold(text)' AS regprocedure)) || '); END');
	EXECUTE format(
		'CREATE OR REPLACE FUNCTION search_split(given TEXT) RETURNS TABLE (word TEXT, place BIGINT) '
			|| 'LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS %L', '
BEGIN
	IF octet_length(given) = length(given) THEN -- ASCII
		RETURN QUERY SELECT
			CASE
				WHEN octet_length(pieces.word) <= 2046 THEN pieces.word
				ELSE left(pieces.word, 400) || md5(pieces.word)
			END,
			pieces.place
		FROM regexp_split_to_table(lower(given COLLATE "C"), ''[^a-z0-9]+'') WITH ORDINALITY AS pieces (word, place)
		WHERE pieces.word <> '''';
		RETURN;
	END IF;
	RETURN QUERY ' || (SELECT prosrc FROM pg_proc WHERE oid = CAST('search_split(text)' AS regprocedure)) || ';
END');
END
$$;

CREATE OR REPLACE FUNCTION search_words(given TEXT) RETURNS TSVECTOR
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	RETURN (
		SELECT CAST(COALESCE(string_agg('''' || words.word || ''':' || least(words.place, 16383), ' '), '') AS TSVECTOR)
		FROM search_split(given) AS words
	);
END
$$;

-- migrate:down

CREATE OR REPLACE FUNCTION search_words(given TEXT) RETURNS TSVECTOR LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CAST(COALESCE(string_agg('''' || words.word || ''':' || least(words.place, 16383), ' '), '') AS TSVECTOR)
	FROM search_split(given) AS words
$$;

DO $$
BEGIN
	EXECUTE format(
		'CREATE OR REPLACE FUNCTION search_fold(given TEXT) RETURNS TEXT '
			|| 'LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS %L',
		(
			SELECT substring(prosrc FROM '^BEGIN RETURN \((.*)\); END$')
			FROM pg_proc WHERE oid = CAST('search_fold(text)' AS regprocedure)
		));
	EXECUTE format(
		'CREATE OR REPLACE FUNCTION search_split(given TEXT) RETURNS TABLE (word TEXT, place BIGINT) '
			|| 'LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS %L',
		(
			SELECT substring(prosrc FROM 'RETURN;\s+END IF;\s+RETURN QUERY (.*);\s+END$')
			FROM pg_proc WHERE oid = CAST('search_split(text)' AS regprocedure)
		));
END
$$;
