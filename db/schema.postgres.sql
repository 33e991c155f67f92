

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: add_to_counter(text, bigint); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.add_to_counter(counter text, change bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	UPDATE generation_counters SET value = value + change
	WHERE name = counter AND part = (
		SELECT c.part FROM generation_counters AS c WHERE c.name = counter ORDER BY c.part LIMIT 1 FOR UPDATE SKIP LOCKED
	);
	IF NOT FOUND THEN
		INSERT INTO generation_counters (name, value) VALUES (counter, change);
	END IF;
END
$$;


--
-- Name: count_generations(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.count_generations() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		PERFORM add_to_counter(status, count(*)) FROM new_rows GROUP BY status;
	ELSIF TG_OP = 'DELETE' THEN
		PERFORM add_to_counter(status, -count(*)) FROM old_rows GROUP BY status;
	ELSIF TG_OP = 'UPDATE' THEN
		PERFORM add_to_counter(status, sum(change))
		FROM (SELECT status, 1 AS change FROM new_rows UNION ALL SELECT status, -1 FROM old_rows) AS changes
		GROUP BY status
		HAVING sum(change) <> 0;
	ELSE -- TRUNCATE
		DELETE FROM generation_counters WHERE name <> 'prompts';
	END IF;
	RETURN NULL;
END
$$;


--
-- Name: count_prompts(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.count_prompts() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		PERFORM add_to_counter('prompts', count(*)) FROM new_rows HAVING count(*) > 0;
	ELSIF TG_OP = 'DELETE' THEN
		PERFORM add_to_counter('prompts', -count(*)) FROM old_rows HAVING count(*) > 0;
	ELSE -- TRUNCATE
		DELETE FROM generation_counters WHERE name = 'prompts';
	END IF;
	RETURN NULL;
END
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: generation_counters; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generation_counters (
    name text NOT NULL,
    part bigint NOT NULL,
    value bigint NOT NULL
)
WITH (fillfactor='50');


--
-- Name: TABLE generation_counters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation_counters IS 'GenerationCounter is a part of a count; the count is the sum of its parts.';


--
-- Name: COLUMN generation_counters.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_counters.name IS 'A status, or prompts.';


--
-- Name: COLUMN generation_counters.part; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_counters.part IS 'Tells the parts apart.';


--
-- Name: COLUMN generation_counters.value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_counters.value IS 'May be below zero, unlike the sum.';


--
-- Name: generation_counters_part_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.generation_counters ALTER COLUMN part ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.generation_counters_part_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: generation_errors; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generation_errors (
    generation_id uuid NOT NULL,
    attempt bigint NOT NULL,
    worker text NOT NULL,
    error text NOT NULL,
    failed_at timestamp with time zone NOT NULL,
    CONSTRAINT generation_errors_attempt_check CHECK ((attempt >= 1)),
    CONSTRAINT generation_errors_error_check CHECK ((octet_length(error) <= 1048576)),
    CONSTRAINT generation_errors_worker_check CHECK ((worker <> ''::text))
);


--
-- Name: TABLE generation_errors; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation_errors IS 'GenerationError is why an attempt failed.';


--
-- Name: COLUMN generation_errors.generation_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.generation_id IS 'The generation''s; deleting that deletes this.';


--
-- Name: COLUMN generation_errors.attempt; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.attempt IS 'Which claim of the generation it was, from 1.';


--
-- Name: COLUMN generation_errors.worker; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.worker IS 'Who held the claim.';


--
-- Name: COLUMN generation_errors.error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.error IS 'What the worker said, or that its lease ran out.';


--
-- Name: COLUMN generation_errors.failed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.failed_at IS 'When it failed.';


--
-- Name: generation_queue; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generation_queue (
    id bigint NOT NULL,
    paused_at timestamp with time zone,
    CONSTRAINT generation_queue_id_check CHECK ((id = 1))
);


--
-- Name: TABLE generation_queue; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation_queue IS 'GenerationQueue is the switch of the whole queue, in one row.';


--
-- Name: COLUMN generation_queue.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_queue.id IS 'Always 1.';


--
-- Name: COLUMN generation_queue.paused_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_queue.paused_at IS 'Since when nothing is claimed; NULL: the queue runs.';


--
-- Name: generations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generations (
    id uuid NOT NULL,
    prompt text NOT NULL,
    model_name text NOT NULL,
    model_version text,
    duration_seconds double precision NOT NULL,
    sample_rate bigint NOT NULL,
    channels bigint NOT NULL,
    file_path text NOT NULL,
    file_size_bytes bigint,
    status text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    completed_at timestamp with time zone,
    generation_time_seconds double precision,
    error_message text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    prompt_id bigint NOT NULL,
    priority bigint DEFAULT 0 NOT NULL,
    scheduled_at timestamp with time zone NOT NULL,
    started_at timestamp with time zone,
    attempt bigint DEFAULT 0 NOT NULL,
    max_attempts bigint DEFAULT 3 NOT NULL,
    worker text,
    lease_expires_at timestamp with time zone,
    batch_id uuid,
    progress_step text DEFAULT 'queued'::text NOT NULL,
    progress_fraction double precision DEFAULT 0 NOT NULL,
    cancel_requested_at timestamp with time zone,
    favorite boolean DEFAULT false NOT NULL,
    CONSTRAINT generations_attempt_check CHECK ((attempt >= 0)),
    CONSTRAINT generations_channels_check CHECK ((channels = ANY (ARRAY[(1)::bigint, (2)::bigint]))),
    CONSTRAINT generations_duration_seconds_check CHECK (((duration_seconds > (0)::double precision) AND (duration_seconds < 'Infinity'::double precision))),
    CONSTRAINT generations_error_message_check CHECK ((octet_length(error_message) <= 1048576)),
    CONSTRAINT generations_file_path_check CHECK (((file_path <> ''::text) AND (octet_length(file_path) <= 4096))),
    CONSTRAINT generations_file_size_bytes_check CHECK ((file_size_bytes >= 0)),
    CONSTRAINT generations_generation_time_seconds_check CHECK (((generation_time_seconds >= (0)::double precision) AND (generation_time_seconds < 'Infinity'::double precision))),
    CONSTRAINT generations_max_attempts_check CHECK ((max_attempts >= 1)),
    CONSTRAINT generations_metadata_check CHECK (((jsonb_typeof(metadata) = 'object'::text) AND (pg_column_size(metadata) <= 16777216))),
    CONSTRAINT generations_model_name_check CHECK (((model_name <> ''::text) AND (octet_length(model_name) <= 255))),
    CONSTRAINT generations_model_version_check CHECK ((octet_length(model_version) <= 255)),
    CONSTRAINT generations_progress_fraction_check CHECK (((progress_fraction >= (0)::double precision) AND (progress_fraction <= (1)::double precision))),
    CONSTRAINT generations_progress_step_check CHECK (((progress_step <> ''::text) AND (octet_length(progress_step) <= 255))),
    CONSTRAINT generations_prompt_check CHECK (((prompt <> ''::text) AND (octet_length(prompt) <= 2000))),
    CONSTRAINT generations_sample_rate_check CHECK ((sample_rate >= 1)),
    CONSTRAINT generations_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'completed'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT generations_worker_check CHECK ((worker <> ''::text))
);


--
-- Name: TABLE generations; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generations IS 'Generation is a music-generation job.';


--
-- Name: COLUMN generations.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.id IS 'UUIDv7 where the store drew it.';


--
-- Name: COLUMN generations.prompt; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.prompt IS 'What the music is to be.';


--
-- Name: COLUMN generations.model_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.model_name IS 'Such as musicgen-small.';


--
-- Name: COLUMN generations.model_version; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.model_version IS 'NULL: not given.';


--
-- Name: COLUMN generations.duration_seconds; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.duration_seconds IS 'Length of the audio asked for.';


--
-- Name: COLUMN generations.sample_rate; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.sample_rate IS 'In Hz; 32000 for MusicGen.';


--
-- Name: COLUMN generations.channels; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.channels IS '1 mono, 2 stereo.';


--
-- Name: COLUMN generations.file_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.file_path IS 'Where the audio is, or will be.';


--
-- Name: COLUMN generations.file_size_bytes; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.file_size_bytes IS 'NULL until completed.';


--
-- Name: COLUMN generations.status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.status IS 'pending, processing, completed, failed or cancelled.';


--
-- Name: COLUMN generations.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.created_at IS 'When it was asked for.';


--
-- Name: COLUMN generations.completed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.completed_at IS 'When it was completed, failed or cancelled; NULL before.';


--
-- Name: COLUMN generations.generation_time_seconds; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.generation_time_seconds IS 'How long the model took; NULL until completed.';


--
-- Name: COLUMN generations.error_message; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.error_message IS 'Why it is in its status; NULL: nothing to say.';


--
-- Name: COLUMN generations.metadata; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.metadata IS 'A JSON object.';


--
-- Name: COLUMN generations.prompt_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.prompt_id IS 'The prompt''s row; deleting that deletes this.';


--
-- Name: COLUMN generations.priority; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.priority IS 'Lower is claimed first.';


--
-- Name: COLUMN generations.scheduled_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.scheduled_at IS 'Not to be claimed before; first come first served by it.';


--
-- Name: COLUMN generations.started_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.started_at IS 'When it was last set to processing; NULL while it waits.';


--
-- Name: COLUMN generations.attempt; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.attempt IS 'How often it was claimed; the number fences off workers of earlier claims.';


--
-- Name: COLUMN generations.max_attempts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.max_attempts IS 'How often it may be claimed.';


--
-- Name: COLUMN generations.worker; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.worker IS 'Who claimed it last; NULL: nobody.';


--
-- Name: COLUMN generations.lease_expires_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.lease_expires_at IS 'How long the claim holds; NULL: not under a claim.';


--
-- Name: COLUMN generations.batch_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.batch_id IS 'What it was asked for together with; NULL: on its own.';


--
-- Name: COLUMN generations.progress_step; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.progress_step IS 'What its worker is at: queued, loading_model, ... or any text.';


--
-- Name: COLUMN generations.progress_fraction; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.progress_fraction IS 'How much of the work is done, 0 to 1.';


--
-- Name: COLUMN generations.cancel_requested_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.cancel_requested_at IS 'When its worker was asked to stop; NULL: nobody asked, or it has stopped.';


--
-- Name: COLUMN generations.favorite; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.favorite IS 'Whether somebody wants to find it again.';


--
-- Name: prompts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.prompts (
    id bigint NOT NULL,
    text text NOT NULL,
    used_count bigint NOT NULL,
    first_used_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    CONSTRAINT prompts_text_check CHECK (((text <> ''::text) AND (octet_length(text) <= 2000))),
    CONSTRAINT prompts_used_count_check CHECK ((used_count >= 0))
);


--
-- Name: TABLE prompts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.prompts IS 'Prompt is a text that people asked for, and how often.';


--
-- Name: COLUMN prompts.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.id IS 'Never used twice.';


--
-- Name: COLUMN prompts.text; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.text IS 'Unique.';


--
-- Name: COLUMN prompts.used_count; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.used_count IS 'Uses, those whose generation was deleted included.';


--
-- Name: COLUMN prompts.first_used_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.first_used_at IS 'When it was used first.';


--
-- Name: COLUMN prompts.last_used_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.last_used_at IS 'When it was used last.';


--
-- Name: prompts_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.prompts ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME public.prompts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);


--
-- Name: schema_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schema_migrations (
    version character varying NOT NULL
);


--
-- Name: generation_counters generation_counters_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation_counters
    ADD CONSTRAINT generation_counters_pkey PRIMARY KEY (name, part);


--
-- Name: generation_errors generation_errors_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation_errors
    ADD CONSTRAINT generation_errors_pkey PRIMARY KEY (generation_id, attempt);


--
-- Name: generation_queue generation_queue_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation_queue
    ADD CONSTRAINT generation_queue_pkey PRIMARY KEY (id);


--
-- Name: generations generations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generations
    ADD CONSTRAINT generations_pkey PRIMARY KEY (id);


--
-- Name: prompts prompts_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.prompts
    ADD CONSTRAINT prompts_pkey PRIMARY KEY (id);


--
-- Name: prompts prompts_text_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.prompts
    ADD CONSTRAINT prompts_text_key UNIQUE (text);


--
-- Name: schema_migrations schema_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (version);


--
-- Name: idx_generations_batch_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_batch_id ON public.generations USING btree (batch_id, status, prompt_id) WHERE (batch_id IS NOT NULL);


--
-- Name: idx_generations_completed_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_completed_at ON public.generations USING btree (completed_at) WHERE (completed_at IS NOT NULL);


--
-- Name: idx_generations_created_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_created_at ON public.generations USING btree (created_at, id);


--
-- Name: idx_generations_favorite; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_favorite ON public.generations USING btree (created_at, id) WHERE favorite;


--
-- Name: idx_generations_model_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_model_name ON public.generations USING btree (model_name, created_at, id);


--
-- Name: idx_generations_pending; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_pending ON public.generations USING btree (status, priority, scheduled_at, id) WHERE (status = 'pending'::text);


--
-- Name: idx_generations_prompt_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_prompt_id ON public.generations USING btree (prompt_id);


--
-- Name: idx_generations_status; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_status ON public.generations USING btree (status, created_at, id);


--
-- Name: idx_generations_status_model_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_status_model_name ON public.generations USING btree (status, model_name, created_at, id);


--
-- Name: idx_prompts_used_count; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_prompts_used_count ON public.prompts USING btree (used_count, last_used_at, id);


--
-- Name: generations generations_count_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER generations_count_delete AFTER DELETE ON public.generations REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_generations();


--
-- Name: generations generations_count_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER generations_count_insert AFTER INSERT ON public.generations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_generations();


--
-- Name: generations generations_count_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER generations_count_truncate AFTER TRUNCATE ON public.generations FOR EACH STATEMENT EXECUTE FUNCTION public.count_generations();


--
-- Name: generations generations_count_update; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER generations_count_update AFTER UPDATE ON public.generations REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_generations();


--
-- Name: prompts prompts_count_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER prompts_count_delete AFTER DELETE ON public.prompts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_prompts();


--
-- Name: prompts prompts_count_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER prompts_count_insert AFTER INSERT ON public.prompts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.count_prompts();


--
-- Name: prompts prompts_count_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER prompts_count_truncate AFTER TRUNCATE ON public.prompts FOR EACH STATEMENT EXECUTE FUNCTION public.count_prompts();


--
-- Name: generation_errors generation_errors_generation_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generation_errors
    ADD CONSTRAINT generation_errors_generation_id_fkey FOREIGN KEY (generation_id) REFERENCES public.generations(id) ON DELETE CASCADE;


--
-- Name: generations generations_prompt_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.generations
    ADD CONSTRAINT generations_prompt_id_fkey FOREIGN KEY (prompt_id) REFERENCES public.prompts(id) ON DELETE CASCADE;


--
-- PostgreSQL database dump complete
--



--
-- Dbmate schema migrations
--

INSERT INTO public.schema_migrations (version) VALUES
    ('20251107000001'),
    ('20261123000001'),
    ('20261123191137'),
    ('20261123201336');
