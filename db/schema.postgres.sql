

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


--
-- Name: index_prompt(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.index_prompt() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
	INSERT INTO prompts_search (prompt_id, words) VALUES (NEW.id, search_words(NEW.text))
	ON CONFLICT (prompt_id) DO UPDATE SET words = excluded.words;
	RETURN NULL;
END
$$;


--
-- Name: search_fold(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.search_fold(given text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
	SELECT CASE
		WHEN octet_length(given) = length(given) THEN lower(given COLLATE "C") -- ASCII
		ELSE translate(
			-- Accents on their own go first; then those of Latin letters, which NFD takes apart and NFC would put together.
			lower(normalize(regexp_replace(normalize(regexp_replace(given, '[\u0300-\u0331]', '', 'g'), NFD), '([A-Za-z])[\u0300-\u036F]+', '\1', 'g'), NFC) COLLATE "C"),
			U&'\00C6\00D0\00D8\00DE\0110\0126\0132\013F\0141\014A\0152\0166\0181\0182\0184\0186\0187\0189\018A\018B\018E\018F'
			|| U&'\0190\0191\0193\0194\0196\0197\0198\019C\019D\019F\01A2\01A4\01A6\01A7\01A9\01AC\01AE\01B1\01B2\01B3\01B5\01B7'
			|| U&'\01B8\01BC\01C4\01C5\01C7\01C8\01CA\01CB\01E2\01E4\01EE\01F1\01F2\01F6\01F7\01FC\01FE\021C\0220\0222\0224\023A'
			|| U&'\023B\023D\023E\0241\0243\0244\0245\0246\0248\024A\024C\024E\0370\0372\0376\037F\0386\0388\0389\038A\038C\038E'
			|| U&'\038F\0391\0392\0393\0394\0395\0396\0397\0398\0399\039A\039B\039C\039D\039E\039F\03A0\03A1\03A3\03A4\03A5\03A6'
			|| U&'\03A7\03A8\03A9\03AA\03AB\03C2\03CF\03D8\03DA\03DC\03DE\03E0\03E2\03E4\03E6\03E8\03EA\03EC\03EE\03F4\03F7\03F9'
			|| U&'\03FA\03FD\03FE\03FF\0400\0401\0402\0403\0404\0405\0406\0407\0408\0409\040A\040B\040C\040D\040E\040F\0410\0411'
			|| U&'\0412\0413\0414\0415\0416\0417\0418\0419\041A\041B\041C\041D\041E\041F\0420\0421\0422\0423\0424\0425\0426\0427'
			|| U&'\0428\0429\042A\042B\042C\042D\042E\042F\0460\0462\0464\0466\0468\046A\046C\046E\0470\0472\0474\0476\0478\047A'
			|| U&'\047C\047E\0480\048A\048C\048E\0490\0492\0494\0496\0498\049A\049C\049E\04A0\04A2\04A4\04A6\04A8\04AA\04AC\04AE'
			|| U&'\04B0\04B2\04B4\04B6\04B8\04BA\04BC\04BE\04C0\04C1\04C3\04C5\04C7\04C9\04CB\04CD\04D0\04D2\04D4\04D6\04D8\04DA'
			|| U&'\04DC\04DE\04E0\04E2\04E4\04E6\04E8\04EA\04EC\04EE\04F0\04F2\04F4\04F6\04F8\04FA\04FC\04FE\0500\0502\0504\0506'
			|| U&'\0508\050A\050C\050E\0510\0512\0514\0516\0518\051A\051C\051E\0520\0522\0524\0526\0528\052A\052C\052E\0531\0532'
			|| U&'\0533\0534\0535\0536\0537\0538\0539\053A\053B\053C\053D\053E\053F\0540\0541\0542\0543\0544\0545\0546\0547\0548'
			|| U&'\0549\054A\054B\054C\054D\054E\054F\0550\0551\0552\0553\0554\0555\0556\10A0\10A1\10A2\10A3\10A4\10A5\10A6\10A7'
			|| U&'\10A8\10A9\10AA\10AB\10AC\10AD\10AE\10AF\10B0\10B1\10B2\10B3\10B4\10B5\10B6\10B7\10B8\10B9\10BA\10BB\10BC\10BD'
			|| U&'\10BE\10BF\10C0\10C1\10C2\10C3\10C4\10C5',
			U&'\00E6\00F0\00F8\00FE\0111\0127\0133\0140\0142\014B\0153\0167\0253\0183\0185\0254\0188\0256\0257\018C\01DD\0259'
			|| U&'\025B\0192\0260\0263\0269\0268\0199\026F\0272\0275\01A3\01A5\0280\01A8\0283\01AD\0288\028A\028B\01B4\01B6\0292'
			|| U&'\01B9\01BD\01C6\01C6\01C9\01C9\01CC\01CC\01E3\01E5\01EF\01F3\01F3\0195\01BF\01FD\01FF\021D\019E\0223\0225\2C65'
			|| U&'\023C\019A\2C66\0242\0180\0289\028C\0247\0249\024B\024D\024F\0371\0373\0377\03F3\03AC\03AD\03AE\03AF\03CC\03CD'
			|| U&'\03CE\03B1\03B2\03B3\03B4\03B5\03B6\03B7\03B8\03B9\03BA\03BB\03BC\03BD\03BE\03BF\03C0\03C1\03C3\03C4\03C5\03C6'
			|| U&'\03C7\03C8\03C9\03CA\03CB\03C3\03D7\03D9\03DB\03DD\03DF\03E1\03E3\03E5\03E7\03E9\03EB\03ED\03EF\03B8\03F8\03F2'
			|| U&'\03FB\037B\037C\037D\0450\0451\0452\0453\0454\0455\0456\0457\0458\0459\045A\045B\045C\045D\045E\045F\0430\0431'
			|| U&'\0432\0433\0434\0435\0436\0437\0438\0439\043A\043B\043C\043D\043E\043F\0440\0441\0442\0443\0444\0445\0446\0447'
			|| U&'\0448\0449\044A\044B\044C\044D\044E\044F\0461\0463\0465\0467\0469\046B\046D\046F\0471\0473\0475\0477\0479\047B'
			|| U&'\047D\047F\0481\048B\048D\048F\0491\0493\0495\0497\0499\049B\049D\049F\04A1\04A3\04A5\04A7\04A9\04AB\04AD\04AF'
			|| U&'\04B1\04B3\04B5\04B7\04B9\04BB\04BD\04BF\04CF\04C2\04C4\04C6\04C8\04CA\04CC\04CE\04D1\04D3\04D5\04D7\04D9\04DB'
			|| U&'\04DD\04DF\04E1\04E3\04E5\04E7\04E9\04EB\04ED\04EF\04F1\04F3\04F5\04F7\04F9\04FB\04FD\04FF\0501\0503\0505\0507'
			|| U&'\0509\050B\050D\050F\0511\0513\0515\0517\0519\051B\051D\051F\0521\0523\0525\0527\0529\052B\052D\052F\0561\0562'
			|| U&'\0563\0564\0565\0566\0567\0568\0569\056A\056B\056C\056D\056E\056F\0570\0571\0572\0573\0574\0575\0576\0577\0578'
			|| U&'\0579\057A\057B\057C\057D\057E\057F\0580\0581\0582\0583\0584\0585\0586\2D00\2D01\2D02\2D03\2D04\2D05\2D06\2D07'
			|| U&'\2D08\2D09\2D0A\2D0B\2D0C\2D0D\2D0E\2D0F\2D10\2D11\2D12\2D13\2D14\2D15\2D16\2D17\2D18\2D19\2D1A\2D1B\2D1C\2D1D'
			|| U&'\2D1E\2D1F\2D20\2D21\2D22\2D23\2D24\2D25'
		)
	END
$$;


--
-- Name: search_words(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.search_words(given text) RETURNS tsvector
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
	SELECT CAST(COALESCE(string_agg('''' || left(words.word, 255) || ''':' || least(words.place, 16383), ' '), '') AS TSVECTOR)
	FROM regexp_split_to_table(search_fold(given), '['
		|| '\u0001-\u002F\u003A-\u0040\u005B-\u0060\u007B-\u007F\u0080-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF'
		|| '\u00D7\u00F7\u02C2-\u02C5\u02D2-\u02DF\u02E5-\u02EB\u02ED\u02EF-\u036F\u0375\u037E\u0384-\u0385\u0387\u03F6'
		|| '\u0482\u055A-\u055F\u0589-\u05C6\u05F3-\u061F\u066A-\u066D\u06D4\u06DD-\u06DE\u06E9\u06FD-\u06FE\u0700-\u070F'
		|| '\u07F6-\u07F9\u07FE-\u07FF\u0830-\u083E\u085E\u0888\u0890-\u0891\u08E2\u0964-\u0965\u0970\u09F2-\u09F3'
		|| '\u09FA-\u09FB\u09FD\u0A76\u0AF0-\u0AF1\u0B70\u0BF3-\u0BFA\u0C77\u0C7F\u0C84\u0D4F\u0D79\u0DF4\u0E3F\u0E4F'
		|| '\u0E5A-\u0E5B\u0F01-\u0F1F\u0F34-\u0F3D\u0F85\u0FBE-\u0FDA\u104A-\u104F\u109E-\u109F\u10FB\u1360-\u1368'
		|| '\u1390-\u1399\u1400\u166D-\u166E\u1680\u169B-\u169C\u16EB-\u16ED\u1735-\u1736\u17D4-\u17D6\u17D8-\u17DB'
		|| '\u1800-\u180E\u1940-\u1945\u19DE-\u19FF\u1A1E-\u1A1F\u1AA0-\u1AA6\u1AA8-\u1AAD\u1B5A-\u1B7E\u1BFC-\u1BFF'
		|| '\u1C3B-\u1C3F\u1C7E-\u1C7F\u1CC0-\u1CD3\u1FBD\u1FBF-\u1FC1\u1FCD-\u1FCF\u1FDD-\u1FDF\u1FED-\u1FEF\u1FFD-\u206F'
		|| '\u207A-\u207E\u208A-\u208E\u20A0-\u2101\u2103-\u2106\u2108-\u2109\u2114\u2116-\u2118\u211E-\u2123\u2125\u2127'
		|| '\u2129\u212E\u213A-\u213B\u2140-\u2144\u214A-\u214D\u214F\u218A-\u244A\u249C-\u24E9\u2500-\u2775\u2794-\u2BFF'
		|| '\u2CE5-\u2CEA\u2CF9-\u2CFC\u2CFE-\u2CFF\u2D70\u2E00-\u2E2E\u2E30-\u3004\u3008-\u3020\u3030\u3036-\u3037'
		|| '\u303D-\u303F\u309B-\u309C\u30A0\u30FB\u3190-\u3191\u3196-\u319F\u31C0-\u31E3\u3200-\u321E\u322A-\u3247\u3250'
		|| '\u3260-\u327F\u328A-\u32B0\u32C0-\u33FF\u4DC0-\u4DFF\uA490-\uA4C6\uA4FE-\uA4FF\uA60D-\uA60F\uA673-\uA67E'
		|| '\uA6F2-\uA716\uA720-\uA721\uA789-\uA78A\uA828-\uA82B\uA836-\uA839\uA874-\uA877\uA8CE-\uA8CF\uA8F8-\uA8FA\uA8FC'
		|| '\uA92E-\uA92F\uA95F\uA9C1-\uA9CD\uA9DE-\uA9DF\uAA5C-\uAA5F\uAA77-\uAA79\uAADE-\uAADF\uAAF0-\uAAF1\uAB5B'
		|| '\uAB6A-\uAB6B\uABEB\uFB29\uFBB2-\uFBC2\uFD3E-\uFD4F\uFDCF\uFDFC-\uFE6B\uFEFF-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40'
		|| '\uFF5B-\uFF65\uFFE0-\uFFFD\U00010100-\U00010102\U00010137-\U0001013F\U00010179-\U00010189\U0001018C-\U000101FC'
		|| '\U0001039F\U000103D0\U0001056F\U00010857\U00010877-\U00010878\U0001091F\U0001093F\U00010A50-\U00010A58'
		|| '\U00010A7F\U00010AC8\U00010AF0-\U00010AF6\U00010B39-\U00010B3F\U00010B99-\U00010B9C\U00010EAD'
		|| '\U00010F55-\U00010F59\U00010F86-\U00010F89\U00011047-\U0001104D\U000110BB-\U000110CD\U00011140-\U00011143'
		|| '\U00011174-\U00011175\U000111C5-\U000111CD\U000111DB\U000111DD-\U000111DF\U00011238-\U0001123D\U000112A9'
		|| '\U0001144B-\U0001144F\U0001145A-\U0001145D\U000114C6\U000115C1-\U000115D7\U00011641-\U00011643'
		|| '\U00011660-\U0001166C\U000116B9\U0001173C-\U0001173F\U0001183B\U00011944-\U00011946\U000119E2'
		|| '\U00011A3F-\U00011A46\U00011A9A-\U00011A9C\U00011A9E-\U00011AA2\U00011C41-\U00011C45\U00011C70-\U00011C71'
		|| '\U00011EF7-\U00011EF8\U00011FD5-\U00011FFF\U00012470-\U00012474\U00012FF1-\U00012FF2\U00013430-\U00013438'
		|| '\U00016A6E-\U00016A6F\U00016AF5\U00016B37-\U00016B3F\U00016B44-\U00016B45\U00016E97-\U00016E9A\U00016FE2'
		|| '\U0001BC9C-\U0001D245\U0001D300-\U0001D356\U0001D6C1\U0001D6DB\U0001D6FB\U0001D715\U0001D735\U0001D74F'
		|| '\U0001D76F\U0001D789\U0001D7A9\U0001D7C3\U0001D800-\U0001DA8B\U0001E14F\U0001E2FF\U0001E95E-\U0001E95F'
		|| '\U0001ECAC\U0001ECB0\U0001ED2E\U0001EEF0-\U0001F0F5\U0001F10D-\U0001FBCA'
		|| ']+') WITH ORDINALITY AS words (word, place)
	WHERE words.word <> ''
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
-- Name: prompts_search; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.prompts_search (
    prompt_id bigint NOT NULL,
    words tsvector NOT NULL
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
-- Name: prompts_search prompts_search_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.prompts_search
    ADD CONSTRAINT prompts_search_pkey PRIMARY KEY (prompt_id);


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

CREATE INDEX idx_generations_prompt_id ON public.generations USING btree (prompt_id, created_at, id);


--
-- Name: idx_generations_status; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_status ON public.generations USING btree (status, created_at, id);


--
-- Name: idx_generations_status_model_name; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_status_model_name ON public.generations USING btree (status, model_name, created_at, id);


--
-- Name: idx_prompts_search_words; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_prompts_search_words ON public.prompts_search USING gin (words) WITH (fastupdate=off);


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
-- Name: prompts prompts_search_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER prompts_search_insert AFTER INSERT ON public.prompts FOR EACH ROW EXECUTE FUNCTION public.index_prompt();


--
-- Name: prompts prompts_search_update; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER prompts_search_update AFTER UPDATE OF text ON public.prompts FOR EACH ROW EXECUTE FUNCTION public.index_prompt();


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
-- Name: prompts_search prompts_search_prompt_id_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.prompts_search
    ADD CONSTRAINT prompts_search_prompt_id_fkey FOREIGN KEY (prompt_id) REFERENCES public.prompts(id) ON DELETE CASCADE;


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
    ('20261123201336'),
    ('20261123204639');
