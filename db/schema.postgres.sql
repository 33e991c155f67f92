

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
DECLARE
	appended BIGINT;
BEGIN
	INSERT INTO generation_counters (name, value) VALUES (counter, change) RETURNING id INTO appended;
	IF appended % 64 <> 0 THEN
		RETURN;
	END IF;
	BEGIN
		WITH folded AS (
			DELETE FROM generation_counters
			WHERE id = ANY(ARRAY(SELECT c.id FROM generation_counters AS c ORDER BY c.id LIMIT 1000 FOR UPDATE SKIP LOCKED))
			RETURNING name, value
		)
		INSERT INTO generation_counters (name, value) SELECT name, sum(value) FROM folded GROUP BY name;
	EXCEPTION WHEN serialization_failure THEN
		NULL; -- above READ COMMITTED, if another transaction has folded these rows: the next fold will do the work
	END;
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
	ELSE
		PERFORM lock_counters_to_truncate();
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
	ELSE
		PERFORM lock_counters_to_truncate();
		DELETE FROM generation_counters WHERE name = 'prompts';
	END IF;
	RETURN NULL;
END
$$;


--
-- Name: generation_readable(uuid, uuid, timestamp with time zone, timestamp with time zone, timestamp with time zone, timestamp with time zone, timestamp with time zone, timestamp with time zone); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.generation_readable(id uuid, batch_id uuid, created_at timestamp with time zone, scheduled_at timestamp with time zone, started_at timestamp with time zone, completed_at timestamp with time zone, lease_expires_at timestamp with time zone, cancel_requested_at timestamp with time zone) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
	SELECT isfinite(least(created_at, scheduled_at, started_at, completed_at, lease_expires_at, cancel_requested_at))
		AND isfinite(greatest(created_at, scheduled_at, started_at, completed_at, lease_expires_at, cancel_requested_at))
$$;


--
-- Name: index_metadata(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.index_metadata() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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
-- Name: lock_counters_to_truncate(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.lock_counters_to_truncate() RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
	IF current_setting('transaction_isolation') <> 'read committed' THEN
		RAISE EXCEPTION 'TRUNCATE above READ COMMITTED would leave counts that are wrong'
			USING ERRCODE = 'feature_not_supported';
	END IF;
	LOCK TABLE generation_counters IN SHARE ROW EXCLUSIVE MODE;
END
$$;


--
-- Name: metadata_hash(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.metadata_hash(value jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
	SELECT CASE WHEN jsonb_typeof(value) = 'number' THEN 0 ELSE jsonb_hash_extended(value, 0) END
$$;


--
-- Name: metadata_number(jsonb); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.metadata_number(value jsonb) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
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


--
-- Name: reindex_metadata(); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.reindex_metadata() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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


--
-- Name: search_fold(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.search_fold(given text) RETURNS text
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$BEGIN RETURN (
	SELECT CASE
		WHEN octet_length(given) = length(given) THEN lower(given COLLATE "C") -- ASCII
		ELSE translate(
			lower(given COLLATE "C"),
			U&'\00B5\00C0\00C1\00C2\00C3\00C4\00C5\00C6\00C7\00C8\00C9\00CA\00CB\00CC\00CD\00CE\00CF\00D0\00D1\00D2\00D3'
			|| U&'\00D4\00D5\00D6\00D8\00D9\00DA\00DB\00DC\00DD\00DE\00E0\00E1\00E2\00E3\00E4\00E5\00E7\00E8\00E9\00EA\00EB'
			|| U&'\00EC\00ED\00EE\00EF\00F1\00F2\00F3\00F4\00F5\00F6\00F9\00FA\00FB\00FC\00FD\00FF\0100\0101\0102\0103\0104'
			|| U&'\0105\0106\0107\0108\0109\010A\010B\010C\010D\010E\010F\0110\0112\0113\0114\0115\0116\0117\0118\0119\011A'
			|| U&'\011B\011C\011D\011E\011F\0120\0121\0122\0123\0124\0125\0126\0128\0129\012A\012B\012C\012D\012E\012F\0130'
			|| U&'\0132\0134\0135\0136\0137\0139\013A\013B\013C\013D\013E\013F\0141\0143\0144\0145\0146\0147\0148\014A\014C'
			|| U&'\014D\014E\014F\0150\0151\0152\0154\0155\0156\0157\0158\0159\015A\015B\015C\015D\015E\015F\0160\0161\0162'
			|| U&'\0163\0164\0165\0166\0168\0169\016A\016B\016C\016D\016E\016F\0170\0171\0172\0173\0174\0175\0176\0177\0178'
			|| U&'\0179\017A\017B\017C\017D\017E\017F\0181\0182\0184\0186\0187\0189\018A\018B\018E\018F\0190\0191\0193\0194'
			|| U&'\0196\0197\0198\019C\019D\019F\01A0\01A1\01A2\01A4\01A6\01A7\01A9\01AC\01AE\01AF\01B0\01B1\01B2\01B3\01B5'
			|| U&'\01B7\01B8\01BC\01C4\01C5\01C7\01C8\01CA\01CB\01CD\01CE\01CF\01D0\01D1\01D2\01D3\01D4\01D5\01D6\01D7\01D8'
			|| U&'\01D9\01DA\01DB\01DC\01DE\01DF\01E0\01E2\01E4\01E6\01E7\01E8\01E9\01EA\01EB\01EC\01ED\01EE\01F0\01F1\01F2'
			|| U&'\01F4\01F5\01F6\01F7\01F8\01F9\01FA\01FB\01FC\01FE\0200\0201\0202\0203\0204\0205\0206\0207\0208\0209\020A'
			|| U&'\020B\020C\020D\020E\020F\0210\0211\0212\0213\0214\0215\0216\0217\0218\0219\021A\021B\021C\021E\021F\0220'
			|| U&'\0222\0224\0226\0227\0228\0229\022A\022B\022C\022D\022E\022F\0230\0231\0232\0233\023A\023B\023D\023E\0241'
			|| U&'\0243\0244\0245\0246\0248\024A\024C\024E\0370\0372\0376\0386\0388\0389\038A\038C\038E\038F\0391\0392\0393'
			|| U&'\0394\0395\0396\0397\0398\0399\039A\039B\039C\039D\039E\039F\03A0\03A1\03A3\03A4\03A5\03A6\03A7\03A8\03A9'
			|| U&'\03AA\03AB\03C2\03CF\03D0\03D1\03D5\03D6\03D8\03DA\03DC\03DE\03E0\03E2\03E4\03E6\03E8\03EA\03EC\03EE\03F0'
			|| U&'\03F1\03F4\03F5\03F7\03F9\03FA\03FD\03FE\03FF\0400\0401\0402\0403\0404\0405\0406\0407\0408\0409\040A\040B'
			|| U&'\040C\040D\040E\040F\0410\0411\0412\0413\0414\0415\0416\0417\0418\0419\041A\041B\041C\041D\041E\041F\0420'
			|| U&'\0421\0422\0423\0424\0425\0426\0427\0428\0429\042A\042B\042C\042D\042E\042F\0460\0462\0464\0466\0468\046A'
			|| U&'\046C\046E\0470\0472\0474\0476\0478\047A\047C\047E\0480\048A\048C\048E\0490\0492\0494\0496\0498\049A\049C'
			|| U&'\049E\04A0\04A2\04A4\04A6\04A8\04AA\04AC\04AE\04B0\04B2\04B4\04B6\04B8\04BA\04BC\04BE\04C0\04C1\04C3\04C5'
			|| U&'\04C7\04C9\04CB\04CD\04D0\04D2\04D4\04D6\04D8\04DA\04DC\04DE\04E0\04E2\04E4\04E6\04E8\04EA\04EC\04EE\04F0'
			|| U&'\04F2\04F4\04F6\04F8\04FA\04FC\04FE\0500\0502\0504\0506\0508\050A\050C\050E\0510\0512\0514\0516\0518\051A'
			|| U&'\051C\051E\0520\0522\0524\0526\0531\0532\0533\0534\0535\0536\0537\0538\0539\053A\053B\053C\053D\053E\053F'
			|| U&'\0540\0541\0542\0543\0544\0545\0546\0547\0548\0549\054A\054B\054C\054D\054E\054F\0550\0551\0552\0553\0554'
			|| U&'\0555\0556\10A0\10A1\10A2\10A3\10A4\10A5\10A6\10A7\10A8\10A9\10AA\10AB\10AC\10AD\10AE\10AF\10B0\10B1\10B2'
			|| U&'\10B3\10B4\10B5\10B6\10B7\10B8\10B9\10BA\10BB\10BC\10BD\10BE\10BF\10C0\10C1\10C2\10C3\10C4\10C5\10C7\10CD'
			|| U&'\1E00\1E01\1E02\1E03\1E04\1E05\1E06\1E07\1E08\1E09\1E0A\1E0B\1E0C\1E0D\1E0E\1E0F\1E10\1E11\1E12\1E13\1E14'
			|| U&'\1E15\1E16\1E17\1E18\1E19\1E1A\1E1B\1E1C\1E1D\1E1E\1E1F\1E20\1E21\1E22\1E23\1E24\1E25\1E26\1E27\1E28\1E29'
			|| U&'\1E2A\1E2B\1E2C\1E2D\1E2E\1E2F\1E30\1E31\1E32\1E33\1E34\1E35\1E36\1E37\1E38\1E39\1E3A\1E3B\1E3C\1E3D\1E3E'
			|| U&'\1E3F\1E40\1E41\1E42\1E43\1E44\1E45\1E46\1E47\1E48\1E49\1E4A\1E4B\1E4C\1E4D\1E4E\1E4F\1E50\1E51\1E52\1E53'
			|| U&'\1E54\1E55\1E56\1E57\1E58\1E59\1E5A\1E5B\1E5C\1E5D\1E5E\1E5F\1E60\1E61\1E62\1E63\1E64\1E65\1E66\1E67\1E68'
			|| U&'\1E69\1E6A\1E6B\1E6C\1E6D\1E6E\1E6F\1E70\1E71\1E72\1E73\1E74\1E75\1E76\1E77\1E78\1E79\1E7A\1E7B\1E7C\1E7D'
			|| U&'\1E7E\1E7F\1E80\1E81\1E82\1E83\1E84\1E85\1E86\1E87\1E88\1E89\1E8A\1E8B\1E8C\1E8D\1E8E\1E8F\1E90\1E91\1E92'
			|| U&'\1E93\1E94\1E95\1E96\1E97\1E98\1E99\1E9B\1E9E\1EA0\1EA1\1EA2\1EA3\1EA4\1EA5\1EA6\1EA7\1EA8\1EA9\1EAA\1EAB'
			|| U&'\1EAC\1EAD\1EAE\1EAF\1EB0\1EB1\1EB2\1EB3\1EB4\1EB5\1EB6\1EB7\1EB8\1EB9\1EBA\1EBB\1EBC\1EBD\1EBE\1EBF\1EC0'
			|| U&'\1EC1\1EC2\1EC3\1EC4\1EC5\1EC6\1EC7\1EC8\1EC9\1ECA\1ECB\1ECC\1ECD\1ECE\1ECF\1ED0\1ED1\1ED2\1ED3\1ED4\1ED5'
			|| U&'\1ED6\1ED7\1ED8\1ED9\1EDA\1EDB\1EDC\1EDD\1EDE\1EDF\1EE0\1EE1\1EE2\1EE3\1EE4\1EE5\1EE6\1EE7\1EE8\1EE9\1EEA'
			|| U&'\1EEB\1EEC\1EED\1EEE\1EEF\1EF0\1EF1\1EF2\1EF3\1EF4\1EF5\1EF6\1EF7\1EF8\1EF9\1EFA\1EFC\1EFE\1F08\1F09\1F0A'
			|| U&'\1F0B\1F0C\1F0D\1F0E\1F0F\1F18\1F19\1F1A\1F1B\1F1C\1F1D\1F28\1F29\1F2A\1F2B\1F2C\1F2D\1F2E\1F2F\1F38\1F39'
			|| U&'\1F3A\1F3B\1F3C\1F3D\1F3E\1F3F\1F48\1F49\1F4A\1F4B\1F4C\1F4D\1F59\1F5B\1F5D\1F5F\1F68\1F69\1F6A\1F6B\1F6C'
			|| U&'\1F6D\1F6E\1F6F\1F88\1F89\1F8A\1F8B\1F8C\1F8D\1F8E\1F8F\1F98\1F99\1F9A\1F9B\1F9C\1F9D\1F9E\1F9F\1FA8\1FA9'
			|| U&'\1FAA\1FAB\1FAC\1FAD\1FAE\1FAF\1FB8\1FB9\1FBA\1FBB\1FBC\1FBE\1FC8\1FC9\1FCA\1FCB\1FCC\1FD8\1FD9\1FDA\1FDB'
			|| U&'\1FE8\1FE9\1FEA\1FEB\1FEC\1FF8\1FF9\1FFA\1FFB\1FFC\2126\212A\212B\2132\2160\2161\2162\2163\2164\2165\2166'
			|| U&'\2167\2168\2169\216A\216B\216C\216D\216E\216F\2183\2C00\2C01\2C02\2C03\2C04\2C05\2C06\2C07\2C08\2C09\2C0A'
			|| U&'\2C0B\2C0C\2C0D\2C0E\2C0F\2C10\2C11\2C12\2C13\2C14\2C15\2C16\2C17\2C18\2C19\2C1A\2C1B\2C1C\2C1D\2C1E\2C1F'
			|| U&'\2C20\2C21\2C22\2C23\2C24\2C25\2C26\2C27\2C28\2C29\2C2A\2C2B\2C2C\2C2D\2C2E\2C60\2C62\2C63\2C64\2C67\2C69'
			|| U&'\2C6B\2C6D\2C6E\2C6F\2C70\2C72\2C75\2C7E\2C7F\2C80\2C82\2C84\2C86\2C88\2C8A\2C8C\2C8E\2C90\2C92\2C94\2C96'
			|| U&'\2C98\2C9A\2C9C\2C9E\2CA0\2CA2\2CA4\2CA6\2CA8\2CAA\2CAC\2CAE\2CB0\2CB2\2CB4\2CB6\2CB8\2CBA\2CBC\2CBE\2CC0'
			|| U&'\2CC2\2CC4\2CC6\2CC8\2CCA\2CCC\2CCE\2CD0\2CD2\2CD4\2CD6\2CD8\2CDA\2CDC\2CDE\2CE0\2CE2\2CEB\2CED\2CF2\A640'
			|| U&'\A642\A644\A646\A648\A64A\A64C\A64E\A650\A652\A654\A656\A658\A65A\A65C\A65E\A660\A662\A664\A666\A668\A66A'
			|| U&'\A66C\A680\A682\A684\A686\A688\A68A\A68C\A68E\A690\A692\A694\A696\A722\A724\A726\A728\A72A\A72C\A72E\A732'
			|| U&'\A734\A736\A738\A73A\A73C\A73E\A740\A742\A744\A746\A748\A74A\A74C\A74E\A750\A752\A754\A756\A758\A75A\A75C'
			|| U&'\A75E\A760\A762\A764\A766\A768\A76A\A76C\A76E\A779\A77B\A77D\A77E\A780\A782\A784\A786\A78B\A78D\A790\A792'
			|| U&'\A7A0\A7A2\A7A4\A7A6\A7A8\A7AA\FF21\FF22\FF23\FF24\FF25\FF26\FF27\FF28\FF29\FF2A\FF2B\FF2C\FF2D\FF2E\FF2F'
			|| U&'\FF30\FF31\FF32\FF33\FF34\FF35\FF36\FF37\FF38\FF39\FF3A\+010400\+010401\+010402\+010403\+010404\+010405'
			|| U&'\+010406\+010407\+010408\+010409\+01040A\+01040B\+01040C\+01040D\+01040E\+01040F\+010410\+010411\+010412'
			|| U&'\+010413\+010414\+010415\+010416\+010417\+010418\+010419\+01041A\+01041B\+01041C\+01041D\+01041E\+01041F'
			|| U&'\+010420\+010421\+010422\+010423\+010424\+010425\+010426\+010427\0300\0301\0302\0303\0304\0306\0307\0308'
			|| U&'\0309\030A\030B\030C\030F\0311\031B\0323\0324\0325\0326\0327\0328\032D\032E\0330\0331',
			U&'\03BC\0061\0061\0061\0061\0061\0061\00E6\0063\0065\0065\0065\0065\0069\0069\0069\0069\00F0\006E\006F\006F'
			|| U&'\006F\006F\006F\00F8\0075\0075\0075\0075\0079\00FE\0061\0061\0061\0061\0061\0061\0063\0065\0065\0065\0065'
			|| U&'\0069\0069\0069\0069\006E\006F\006F\006F\006F\006F\0075\0075\0075\0075\0079\0079\0061\0061\0061\0061\0061'
			|| U&'\0061\0063\0063\0063\0063\0063\0063\0063\0063\0064\0064\0111\0065\0065\0065\0065\0065\0065\0065\0065\0065'
			|| U&'\0065\0067\0067\0067\0067\0067\0067\0067\0067\0068\0068\0127\0069\0069\0069\0069\0069\0069\0069\0069\0069'
			|| U&'\0133\006A\006A\006B\006B\006C\006C\006C\006C\006C\006C\0140\0142\006E\006E\006E\006E\006E\006E\014B\006F'
			|| U&'\006F\006F\006F\006F\006F\0153\0072\0072\0072\0072\0072\0072\0073\0073\0073\0073\0073\0073\0073\0073\0074'
			|| U&'\0074\0074\0074\0167\0075\0075\0075\0075\0075\0075\0075\0075\0075\0075\0075\0075\0077\0077\0079\0079\0079'
			|| U&'\007A\007A\007A\007A\007A\007A\0073\0253\0183\0185\0254\0188\0256\0257\018C\01DD\0259\025B\0192\0260\0263'
			|| U&'\0269\0268\0199\026F\0272\0275\006F\006F\01A3\01A5\0280\01A8\0283\01AD\0288\0075\0075\028A\028B\01B4\01B6'
			|| U&'\0292\01B9\01BD\01C6\01C6\01C9\01C9\01CC\01CC\0061\0061\0069\0069\006F\006F\0075\0075\0075\0075\0075\0075'
			|| U&'\0075\0075\0075\0075\0061\0061\01E1\01E3\01E5\0067\0067\006B\006B\006F\006F\006F\006F\01EF\006A\01F3\01F3'
			|| U&'\0067\0067\0195\01BF\006E\006E\0061\0061\01FD\01FF\0061\0061\0061\0061\0065\0065\0065\0065\0069\0069\0069'
			|| U&'\0069\006F\006F\006F\006F\0072\0072\0072\0072\0075\0075\0075\0075\0073\0073\0074\0074\021D\0068\0068\019E'
			|| U&'\0223\0225\0061\0061\0065\0065\006F\006F\006F\006F\006F\006F\006F\006F\0079\0079\2C65\023C\019A\2C66\0242'
			|| U&'\0180\0289\028C\0247\0249\024B\024D\024F\0371\0373\0377\03AC\03AD\03AE\03AF\03CC\03CD\03CE\03B1\03B2\03B3'
			|| U&'\03B4\03B5\03B6\03B7\03B8\03B9\03BA\03BB\03BC\03BD\03BE\03BF\03C0\03C1\03C3\03C4\03C5\03C6\03C7\03C8\03C9'
			|| U&'\03CA\03CB\03C3\03D7\03B2\03B8\03C6\03C0\03D9\03DB\03DD\03DF\03E1\03E3\03E5\03E7\03E9\03EB\03ED\03EF\03BA'
			|| U&'\03C1\03B8\03B5\03F8\03F2\03FB\037B\037C\037D\0450\0451\0452\0453\0454\0455\0456\0457\0458\0459\045A\045B'
			|| U&'\045C\045D\045E\045F\0430\0431\0432\0433\0434\0435\0436\0437\0438\0439\043A\043B\043C\043D\043E\043F\0440'
			|| U&'\0441\0442\0443\0444\0445\0446\0447\0448\0449\044A\044B\044C\044D\044E\044F\0461\0463\0465\0467\0469\046B'
			|| U&'\046D\046F\0471\0473\0475\0477\0479\047B\047D\047F\0481\048B\048D\048F\0491\0493\0495\0497\0499\049B\049D'
			|| U&'\049F\04A1\04A3\04A5\04A7\04A9\04AB\04AD\04AF\04B1\04B3\04B5\04B7\04B9\04BB\04BD\04BF\04CF\04C2\04C4\04C6'
			|| U&'\04C8\04CA\04CC\04CE\04D1\04D3\04D5\04D7\04D9\04DB\04DD\04DF\04E1\04E3\04E5\04E7\04E9\04EB\04ED\04EF\04F1'
			|| U&'\04F3\04F5\04F7\04F9\04FB\04FD\04FF\0501\0503\0505\0507\0509\050B\050D\050F\0511\0513\0515\0517\0519\051B'
			|| U&'\051D\051F\0521\0523\0525\0527\0561\0562\0563\0564\0565\0566\0567\0568\0569\056A\056B\056C\056D\056E\056F'
			|| U&'\0570\0571\0572\0573\0574\0575\0576\0577\0578\0579\057A\057B\057C\057D\057E\057F\0580\0581\0582\0583\0584'
			|| U&'\0585\0586\2D00\2D01\2D02\2D03\2D04\2D05\2D06\2D07\2D08\2D09\2D0A\2D0B\2D0C\2D0D\2D0E\2D0F\2D10\2D11\2D12'
			|| U&'\2D13\2D14\2D15\2D16\2D17\2D18\2D19\2D1A\2D1B\2D1C\2D1D\2D1E\2D1F\2D20\2D21\2D22\2D23\2D24\2D25\2D27\2D2D'
			|| U&'\0061\0061\0062\0062\0062\0062\0062\0062\0063\0063\0064\0064\0064\0064\0064\0064\0064\0064\0064\0064\0065'
			|| U&'\0065\0065\0065\0065\0065\0065\0065\0065\0065\0066\0066\0067\0067\0068\0068\0068\0068\0068\0068\0068\0068'
			|| U&'\0068\0068\0069\0069\0069\0069\006B\006B\006B\006B\006B\006B\006C\006C\006C\006C\006C\006C\006C\006C\006D'
			|| U&'\006D\006D\006D\006D\006D\006E\006E\006E\006E\006E\006E\006E\006E\006F\006F\006F\006F\006F\006F\006F\006F'
			|| U&'\0070\0070\0070\0070\0072\0072\0072\0072\0072\0072\0072\0072\0073\0073\0073\0073\0073\0073\0073\0073\0073'
			|| U&'\0073\0074\0074\0074\0074\0074\0074\0074\0074\0075\0075\0075\0075\0075\0075\0075\0075\0075\0075\0076\0076'
			|| U&'\0076\0076\0077\0077\0077\0077\0077\0077\0077\0077\0077\0077\0078\0078\0078\0078\0079\0079\007A\007A\007A'
			|| U&'\007A\007A\007A\0068\0074\0077\0079\0073\00DF\0061\0061\0061\0061\0061\0061\0061\0061\0061\0061\0061\0061'
			|| U&'\0061\0061\0061\0061\0061\0061\0061\0061\0061\0061\0061\0061\0065\0065\0065\0065\0065\0065\0065\0065\0065'
			|| U&'\0065\0065\0065\0065\0065\0065\0065\0069\0069\0069\0069\006F\006F\006F\006F\006F\006F\006F\006F\006F\006F'
			|| U&'\006F\006F\006F\006F\006F\006F\006F\006F\006F\006F\006F\006F\006F\006F\0075\0075\0075\0075\0075\0075\0075'
			|| U&'\0075\0075\0075\0075\0075\0075\0075\0079\0079\0079\0079\0079\0079\0079\0079\1EFB\1EFD\1EFF\1F00\1F01\1F02'
			|| U&'\1F03\1F04\1F05\1F06\1F07\1F10\1F11\1F12\1F13\1F14\1F15\1F20\1F21\1F22\1F23\1F24\1F25\1F26\1F27\1F30\1F31'
			|| U&'\1F32\1F33\1F34\1F35\1F36\1F37\1F40\1F41\1F42\1F43\1F44\1F45\1F51\1F53\1F55\1F57\1F60\1F61\1F62\1F63\1F64'
			|| U&'\1F65\1F66\1F67\1F80\1F81\1F82\1F83\1F84\1F85\1F86\1F87\1F90\1F91\1F92\1F93\1F94\1F95\1F96\1F97\1FA0\1FA1'
			|| U&'\1FA2\1FA3\1FA4\1FA5\1FA6\1FA7\1FB0\1FB1\1F70\1F71\1FB3\03B9\1F72\1F73\1F74\1F75\1FC3\1FD0\1FD1\1F76\1F77'
			|| U&'\1FE0\1FE1\1F7A\1F7B\1FE5\1F78\1F79\1F7C\1F7D\1FF3\03C9\006B\0061\214E\2170\2171\2172\2173\2174\2175\2176'
			|| U&'\2177\2178\2179\217A\217B\217C\217D\217E\217F\2184\2C30\2C31\2C32\2C33\2C34\2C35\2C36\2C37\2C38\2C39\2C3A'
			|| U&'\2C3B\2C3C\2C3D\2C3E\2C3F\2C40\2C41\2C42\2C43\2C44\2C45\2C46\2C47\2C48\2C49\2C4A\2C4B\2C4C\2C4D\2C4E\2C4F'
			|| U&'\2C50\2C51\2C52\2C53\2C54\2C55\2C56\2C57\2C58\2C59\2C5A\2C5B\2C5C\2C5D\2C5E\2C61\026B\1D7D\027D\2C68\2C6A'
			|| U&'\2C6C\0251\0271\0250\0252\2C73\2C76\023F\0240\2C81\2C83\2C85\2C87\2C89\2C8B\2C8D\2C8F\2C91\2C93\2C95\2C97'
			|| U&'\2C99\2C9B\2C9D\2C9F\2CA1\2CA3\2CA5\2CA7\2CA9\2CAB\2CAD\2CAF\2CB1\2CB3\2CB5\2CB7\2CB9\2CBB\2CBD\2CBF\2CC1'
			|| U&'\2CC3\2CC5\2CC7\2CC9\2CCB\2CCD\2CCF\2CD1\2CD3\2CD5\2CD7\2CD9\2CDB\2CDD\2CDF\2CE1\2CE3\2CEC\2CEE\2CF3\A641'
			|| U&'\A643\A645\A647\A649\A64B\A64D\A64F\A651\A653\A655\A657\A659\A65B\A65D\A65F\A661\A663\A665\A667\A669\A66B'
			|| U&'\A66D\A681\A683\A685\A687\A689\A68B\A68D\A68F\A691\A693\A695\A697\A723\A725\A727\A729\A72B\A72D\A72F\A733'
			|| U&'\A735\A737\A739\A73B\A73D\A73F\A741\A743\A745\A747\A749\A74B\A74D\A74F\A751\A753\A755\A757\A759\A75B\A75D'
			|| U&'\A75F\A761\A763\A765\A767\A769\A76B\A76D\A76F\A77A\A77C\1D79\A77F\A781\A783\A785\A787\A78C\0265\A791\A793'
			|| U&'\A7A1\A7A3\A7A5\A7A7\A7A9\0266\FF41\FF42\FF43\FF44\FF45\FF46\FF47\FF48\FF49\FF4A\FF4B\FF4C\FF4D\FF4E\FF4F'
			|| U&'\FF50\FF51\FF52\FF53\FF54\FF55\FF56\FF57\FF58\FF59\FF5A\+010428\+010429\+01042A\+01042B\+01042C\+01042D'
			|| U&'\+01042E\+01042F\+010430\+010431\+010432\+010433\+010434\+010435\+010436\+010437\+010438\+010439\+01043A'
			|| U&'\+01043B\+01043C\+01043D\+01043E\+01043F\+010440\+010441\+010442\+010443\+010444\+010445\+010446\+010447'
			|| U&'\+010448\+010449\+01044A\+01044B\+01044C\+01044D\+01044E\+01044F'
		)
	END
); END$$;


--
-- Name: search_query(text[], boolean[], text[], boolean[]); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.search_query(wanted text[], wanted_prefixes boolean[], excluded text[], excluded_prefixes boolean[]) RETURNS tsquery
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
	SELECT CAST(
		(
			SELECT string_agg(search_term(terms.given, terms.prefix), ' & ')
			FROM unnest(wanted, wanted_prefixes) AS terms (given, prefix)
		)
		|| COALESCE((
			SELECT string_agg(' & !' || search_term(terms.given, terms.prefix), '')
			FROM unnest(excluded, excluded_prefixes) AS terms (given, prefix)
		), '')
		AS TSQUERY)
$$;


--
-- Name: search_split(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.search_split(given text) RETURNS TABLE(word text, place bigint)
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
BEGIN
	IF octet_length(given) = length(given) THEN -- ASCII
		RETURN QUERY SELECT
			CASE
				WHEN octet_length(pieces.word) <= 2046 THEN pieces.word
				ELSE left(pieces.word, 400) || md5(pieces.word)
			END,
			pieces.place
		FROM regexp_split_to_table(lower(given COLLATE "C"), '[^a-z0-9]+') WITH ORDINALITY AS pieces (word, place)
		WHERE pieces.word <> '';
		RETURN;
	END IF;
	RETURN QUERY
	SELECT
		CASE WHEN octet_length(pieces.word) <= 2046 THEN pieces.word ELSE left(pieces.word, 400) || md5(pieces.word) END,
		pieces.place
	FROM regexp_split_to_table(search_fold(given), '['
		|| '\u0001-\u002F\u003A-\u0040\u005B-\u0060\u007B-\u00A9\u00AB-\u00B1\u00B4\u00B6-\u00B8\u00BB\u00BF\u00D7\u00F7'
		|| '\u02C2-\u02C5\u02D2-\u02DF\u02E5-\u02EB\u02ED\u02EF-\u02FF\u0305\u030D-\u030E\u0310\u0312-\u031A\u031C-\u0322'
		|| '\u0329-\u032C\u032F\u0332-\u036F\u0375\u037E\u0384-\u0385\u0387\u03F6\u0482-\u0489\u055A-\u055F\u0589-\u058A'
		|| '\u058F\u0591-\u05C7\u05F3-\u05F4\u0600-\u0604\u0606-\u061B\u061E-\u061F\u064B-\u065F\u066A-\u066D\u0670\u06D4'
		|| '\u06D6-\u06E4\u06E7-\u06ED\u06FD-\u06FE\u0700-\u070D\u070F\u0711\u0730-\u074A\u07A6-\u07B0\u07EB-\u07F3'
		|| '\u07F6-\u07F9\u0816-\u0819\u081B-\u0823\u0825-\u0827\u0829-\u082D\u0830-\u083E\u0859-\u085B\u085E\u08E4-\u08FE'
		|| '\u0900-\u0903\u093A-\u093C\u093E-\u094F\u0951-\u0957\u0962-\u0965\u0970\u0981-\u0983\u09BC\u09BE-\u09C4'
		|| '\u09C7-\u09C8\u09CB-\u09CD\u09D7\u09E2-\u09E3\u09F2-\u09F3\u09FA-\u09FB\u0A01-\u0A03\u0A3C\u0A3E-\u0A42'
		|| '\u0A47-\u0A48\u0A4B-\u0A4D\u0A51\u0A70-\u0A71\u0A75\u0A81-\u0A83\u0ABC\u0ABE-\u0AC5\u0AC7-\u0AC9\u0ACB-\u0ACD'
		|| '\u0AE2-\u0AE3\u0AF0-\u0AF1\u0B01-\u0B03\u0B3C\u0B3E-\u0B44\u0B47-\u0B48\u0B4B-\u0B4D\u0B56-\u0B57\u0B62-\u0B63'
		|| '\u0B70\u0B82\u0BBE-\u0BC2\u0BC6-\u0BC8\u0BCA-\u0BCD\u0BD7\u0BF3-\u0BFA\u0C01-\u0C03\u0C3E-\u0C44\u0C46-\u0C48'
		|| '\u0C4A-\u0C4D\u0C55-\u0C56\u0C62-\u0C63\u0C7F\u0C82-\u0C83\u0CBC\u0CBE-\u0CC4\u0CC6-\u0CC8\u0CCA-\u0CCD'
		|| '\u0CD5-\u0CD6\u0CE2-\u0CE3\u0D02-\u0D03\u0D3E-\u0D44\u0D46-\u0D48\u0D4A-\u0D4D\u0D57\u0D62-\u0D63\u0D79'
		|| '\u0D82-\u0D83\u0DCA\u0DCF-\u0DD4\u0DD6\u0DD8-\u0DDF\u0DF2-\u0DF4\u0E31\u0E34-\u0E3A\u0E3F\u0E47-\u0E4F'
		|| '\u0E5A-\u0E5B\u0EB1\u0EB4-\u0EB9\u0EBB-\u0EBC\u0EC8-\u0ECD\u0F01-\u0F1F\u0F34-\u0F3F\u0F71-\u0F87\u0F8D-\u0F97'
		|| '\u0F99-\u0FBC\u0FBE-\u0FCC\u0FCE-\u0FDA\u102B-\u103E\u104A-\u104F\u1056-\u1059\u105E-\u1060\u1062-\u1064'
		|| '\u1067-\u106D\u1071-\u1074\u1082-\u108D\u108F\u109A-\u109F\u10FB\u135D-\u1368\u1390-\u1399\u1400\u166D-\u166E'
		|| '\u1680\u169B-\u169C\u16EB-\u16ED\u1712-\u1714\u1732-\u1736\u1752-\u1753\u1772-\u1773\u17B4-\u17D6\u17D8-\u17DB'
		|| '\u17DD\u1800-\u180E\u18A9\u1920-\u192B\u1930-\u193B\u1940\u1944-\u1945\u19B0-\u19C0\u19C8-\u19C9\u19DE-\u19FF'
		|| '\u1A17-\u1A1B\u1A1E-\u1A1F\u1A55-\u1A5E\u1A60-\u1A7C\u1A7F\u1AA0-\u1AA6\u1AA8-\u1AAD\u1B00-\u1B04\u1B34-\u1B44'
		|| '\u1B5A-\u1B7C\u1B80-\u1B82\u1BA1-\u1BAD\u1BE6-\u1BF3\u1BFC-\u1BFF\u1C24-\u1C37\u1C3B-\u1C3F\u1C7E-\u1C7F'
		|| '\u1CC0-\u1CC7\u1CD0-\u1CE8\u1CED\u1CF2-\u1CF4\u1DC0-\u1DE6\u1DFC-\u1DFF\u1FBD\u1FBF-\u1FC1\u1FCD-\u1FCF'
		|| '\u1FDD-\u1FDF\u1FED-\u1FEF\u1FFD-\u1FFE\u2000-\u2064\u206A-\u206F\u207A-\u207E\u208A-\u208E\u20A0-\u20B9'
		|| '\u20D0-\u20F0\u2100-\u2101\u2103-\u2106\u2108-\u2109\u2114\u2116-\u2118\u211E-\u2123\u2125\u2127\u2129\u212E'
		|| '\u213A-\u213B\u2140-\u2144\u214A-\u214D\u214F\u2190-\u23F3\u2400-\u2426\u2440-\u244A\u249C-\u24E9\u2500-\u26FF'
		|| '\u2701-\u2775\u2794-\u2B4C\u2B50-\u2B59\u2CE5-\u2CEA\u2CEF-\u2CF1\u2CF9-\u2CFC\u2CFE-\u2CFF\u2D70\u2D7F'
		|| '\u2DE0-\u2E2E\u2E30-\u2E3B\u2E80-\u2E99\u2E9B-\u2EF3\u2F00-\u2FD5\u2FF0-\u2FFB\u3000-\u3004\u3008-\u3020'
		|| '\u302A-\u3030\u3036-\u3037\u303D-\u303F\u3099-\u309C\u30A0\u30FB\u3190-\u3191\u3196-\u319F\u31C0-\u31E3'
		|| '\u3200-\u321E\u322A-\u3247\u3250\u3260-\u327F\u328A-\u32B0\u32C0-\u32FE\u3300-\u33FF\u4DC0-\u4DFF\uA490-\uA4C6'
		|| '\uA4FE-\uA4FF\uA60D-\uA60F\uA66F-\uA67E\uA69F\uA6F0-\uA6F7\uA700-\uA716\uA720-\uA721\uA789-\uA78A\uA802\uA806'
		|| '\uA80B\uA823-\uA82B\uA836-\uA839\uA874-\uA877\uA880-\uA881\uA8B4-\uA8C4\uA8CE-\uA8CF\uA8E0-\uA8F1\uA8F8-\uA8FA'
		|| '\uA926-\uA92F\uA947-\uA953\uA95F\uA980-\uA983\uA9B3-\uA9CD\uA9DE-\uA9DF\uAA29-\uAA36\uAA43\uAA4C-\uAA4D'
		|| '\uAA5C-\uAA5F\uAA77-\uAA79\uAA7B\uAAB0\uAAB2-\uAAB4\uAAB7-\uAAB8\uAABE-\uAABF\uAAC1\uAADE-\uAADF\uAAEB-\uAAF1'
		|| '\uAAF5-\uAAF6\uABE3-\uABED\uFB1E\uFB29\uFBB2-\uFBC1\uFD3E-\uFD3F\uFDFC-\uFDFD\uFE00-\uFE19\uFE20-\uFE26'
		|| '\uFE30-\uFE52\uFE54-\uFE66\uFE68-\uFE6B\uFEFF\uFF01-\uFF0F\uFF1A-\uFF20\uFF3B-\uFF40\uFF5B-\uFF65\uFFE0-\uFFE6'
		|| '\uFFE8-\uFFEE\uFFF9-\uFFFF\U00010100-\U00010102\U00010137-\U0001013F\U00010179-\U00010189\U00010190-\U0001019B'
		|| '\U000101D0-\U000101FD\U0001039F\U000103D0\U00010857\U0001091F\U0001093F\U00010A01-\U00010A03'
		|| '\U00010A05-\U00010A06\U00010A0C-\U00010A0F\U00010A38-\U00010A3A\U00010A3F\U00010A50-\U00010A58\U00010A7F'
		|| '\U00010B39-\U00010B3F\U00011000-\U00011002\U00011038-\U0001104D\U00011080-\U00011082\U000110B0-\U000110C1'
		|| '\U00011100-\U00011102\U00011127-\U00011134\U00011140-\U00011143\U00011180-\U00011182\U000111B3-\U000111C0'
		|| '\U000111C5-\U000111C8\U000116AB-\U000116B7\U00012470-\U00012473\U00016F51-\U00016F7E\U00016F8F-\U00016F92'
		|| '\U0001D000-\U0001D0F5\U0001D100-\U0001D126\U0001D129-\U0001D1DD\U0001D200-\U0001D245\U0001D300-\U0001D356'
		|| '\U0001D6C1\U0001D6DB\U0001D6FB\U0001D715\U0001D735\U0001D74F\U0001D76F\U0001D789\U0001D7A9\U0001D7C3'
		|| '\U0001EEF0-\U0001EEF1\U0001F000-\U0001F02B\U0001F030-\U0001F093\U0001F0A0-\U0001F0AE\U0001F0B1-\U0001F0BE'
		|| '\U0001F0C1-\U0001F0CF\U0001F0D1-\U0001F0DF\U0001F110-\U0001F12E\U0001F130-\U0001F16B\U0001F170-\U0001F19A'
		|| '\U0001F1E6-\U0001F202\U0001F210-\U0001F23A\U0001F240-\U0001F248\U0001F250-\U0001F251\U0001F300-\U0001F320'
		|| '\U0001F330-\U0001F335\U0001F337-\U0001F37C\U0001F380-\U0001F393\U0001F3A0-\U0001F3C4\U0001F3C6-\U0001F3CA'
		|| '\U0001F3E0-\U0001F3F0\U0001F400-\U0001F43E\U0001F440\U0001F442-\U0001F4F7\U0001F4F9-\U0001F4FC'
		|| '\U0001F500-\U0001F53D\U0001F540-\U0001F543\U0001F550-\U0001F567\U0001F5FB-\U0001F640\U0001F645-\U0001F64F'
		|| '\U0001F680-\U0001F6C5\U0001F700-\U0001F773\U000E0001\U000E0020-\U000E007F\U000E0100-\U000E01EF'
		|| ']+') WITH ORDINALITY AS pieces (word, place)
	WHERE pieces.word <> ''
;
END$$;


--
-- Name: search_term(text, boolean); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.search_term(given text, prefix boolean) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
	SELECT '('
		|| string_agg('''' || words.word || '''', ' <-> ' ORDER BY words.place)
		|| CASE WHEN prefix THEN ':*' ELSE '' END
		|| ')'
	FROM search_split(given) AS words
$$;


--
-- Name: search_words(text); Type: FUNCTION; Schema: public; Owner: -
--

CREATE FUNCTION public.search_words(given text) RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
BEGIN
	RETURN (
		SELECT CAST(COALESCE(string_agg('''' || words.word || ''':' || least(words.place, 16383), ' '), '') AS TSVECTOR)
		FROM search_split(given) AS words
	);
END
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: generation_counters; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generation_counters (
    id bigint NOT NULL,
    name text NOT NULL,
    value bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000');


--
-- Name: TABLE generation_counters; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation_counters IS 'GenerationCounter is a change of a count, or the sum of many changes.';


--
-- Name: COLUMN generation_counters.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_counters.id IS 'The ID of the change. It rises with each.';


--
-- Name: COLUMN generation_counters.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_counters.name IS 'The name of the count: a status, or prompts.';


--
-- Name: COLUMN generation_counters.value; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_counters.value IS 'The change. It may be negative; the sum of all never is.';


--
-- Name: generation_counters_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

ALTER TABLE public.generation_counters ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.generation_counters_id_seq
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
    CONSTRAINT generation_errors_failed_at_check CHECK (((failed_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (failed_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT generation_errors_worker_check CHECK ((worker <> ''::text))
);


--
-- Name: TABLE generation_errors; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation_errors IS 'GenerationError is the error of one failed attempt.';


--
-- Name: COLUMN generation_errors.generation_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.generation_id IS 'The ID of the generation. Deleting the generation deletes its errors.';


--
-- Name: COLUMN generation_errors.attempt; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.attempt IS 'The number of the claim, from 1.';


--
-- Name: COLUMN generation_errors.worker; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.worker IS 'The worker that held the claim.';


--
-- Name: COLUMN generation_errors.error; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.error IS 'What the worker reported, or that its lease expired. At most 1 MiB.';


--
-- Name: COLUMN generation_errors.failed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_errors.failed_at IS 'The time of the failure.';


--
-- Name: generation_metadata; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generation_metadata (
    name text NOT NULL,
    number double precision NOT NULL,
    hash bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    generation_id uuid NOT NULL,
    CONSTRAINT generation_metadata_created_at_check CHECK (((created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (created_at < '10000-01-01 00:00:00+00'::timestamp with time zone)))
);


--
-- Name: TABLE generation_metadata; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation_metadata IS 'GenerationMetadatum is an entry of the index over metadata.';


--
-- Name: COLUMN generation_metadata.name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_metadata.name IS 'The first 64 characters of the top-level key.';


--
-- Name: COLUMN generation_metadata.number; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_metadata.number IS 'The value if it is a number, else NaN.';


--
-- Name: COLUMN generation_metadata.hash; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_metadata.hash IS 'A hash of the value if it is no number, else 0. Equal values have the same.';


--
-- Name: COLUMN generation_metadata.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_metadata.created_at IS 'The time at which the generation was created.';


--
-- Name: COLUMN generation_metadata.generation_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_metadata.generation_id IS 'The ID of the generation.';


--
-- Name: generation_queue; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.generation_queue (
    id bigint NOT NULL,
    paused_at timestamp with time zone,
    CONSTRAINT generation_queue_id_check CHECK ((id = 1)),
    CONSTRAINT generation_queue_paused_at_check CHECK (((paused_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (paused_at < '10000-01-01 00:00:00+00'::timestamp with time zone)))
);


--
-- Name: TABLE generation_queue; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generation_queue IS 'GenerationQueue is the switch that pauses the whole queue. It is one row.';


--
-- Name: COLUMN generation_queue.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_queue.id IS 'Always 1.';


--
-- Name: COLUMN generation_queue.paused_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generation_queue.paused_at IS 'The time from which nothing is claimed. NULL if the queue runs.';


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
    CONSTRAINT generations_cancel_requested_at_check CHECK (((cancel_requested_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (cancel_requested_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT generations_channels_check CHECK ((channels = ANY (ARRAY[(1)::bigint, (2)::bigint]))),
    CONSTRAINT generations_completed_at_check CHECK (((completed_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (completed_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT generations_created_at_check CHECK (((created_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (created_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT generations_duration_seconds_check CHECK (((duration_seconds > (0)::double precision) AND (duration_seconds < 'Infinity'::double precision))),
    CONSTRAINT generations_error_message_check CHECK ((octet_length(error_message) <= 1048576)),
    CONSTRAINT generations_file_path_check CHECK (((file_path <> ''::text) AND (octet_length(file_path) <= 4096))),
    CONSTRAINT generations_file_size_bytes_check CHECK ((file_size_bytes >= 0)),
    CONSTRAINT generations_generation_time_seconds_check CHECK (((generation_time_seconds >= (0)::double precision) AND (generation_time_seconds < 'Infinity'::double precision))),
    CONSTRAINT generations_lease_expires_at_check CHECK (((lease_expires_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (lease_expires_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT generations_max_attempts_check CHECK ((max_attempts >= 1)),
    CONSTRAINT generations_metadata_check CHECK (((jsonb_typeof(metadata) = 'object'::text) AND (pg_column_size(metadata) <= 16777216))),
    CONSTRAINT generations_model_name_check CHECK (((model_name <> ''::text) AND (octet_length(model_name) <= 255))),
    CONSTRAINT generations_model_version_check CHECK ((octet_length(model_version) <= 255)),
    CONSTRAINT generations_progress_fraction_check CHECK (((progress_fraction >= (0)::double precision) AND (progress_fraction <= (1)::double precision))),
    CONSTRAINT generations_progress_step_check CHECK (((progress_step <> ''::text) AND (octet_length(progress_step) <= 255))),
    CONSTRAINT generations_prompt_check CHECK (((prompt <> ''::text) AND (octet_length(prompt) <= 2000))),
    CONSTRAINT generations_sample_rate_check CHECK ((sample_rate >= 1)),
    CONSTRAINT generations_scheduled_at_check CHECK (((scheduled_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (scheduled_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT generations_started_at_check CHECK (((started_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (started_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT generations_status_check CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'completed'::text, 'failed'::text, 'cancelled'::text]))),
    CONSTRAINT generations_worker_check CHECK ((worker <> ''::text))
);


--
-- Name: TABLE generations; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.generations IS 'Generation is a job that makes a piece of music.';


--
-- Name: COLUMN generations.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.id IS 'The ID of the generation. It is a UUIDv7 if the store generated it.';


--
-- Name: COLUMN generations.prompt; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.prompt IS 'The text that describes the music, 1 to 2,000 bytes. The Python service wrote longer ones, too.';


--
-- Name: COLUMN generations.model_name; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.model_name IS 'The name of the model, such as musicgen-small, 1 to 255 bytes.';


--
-- Name: COLUMN generations.model_version; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.model_version IS 'The version of the model, at most 255 bytes. NULL if none was given.';


--
-- Name: COLUMN generations.duration_seconds; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.duration_seconds IS 'The length of audio that was asked for, in seconds. It is positive and finite.';


--
-- Name: COLUMN generations.sample_rate; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.sample_rate IS 'The sample rate in Hz; 32000 for MusicGen.';


--
-- Name: COLUMN generations.channels; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.channels IS 'The number of channels: 1 for mono, 2 for stereo.';


--
-- Name: COLUMN generations.file_path; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.file_path IS 'The path of the audio file, 1 to 4,096 bytes. The file need not exist until the generation is completed.';


--
-- Name: COLUMN generations.file_size_bytes; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.file_size_bytes IS 'The size of the audio file in bytes. NULL until the generation is completed.';


--
-- Name: COLUMN generations.status; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.status IS 'The status: pending, processing, completed, failed or cancelled.';


--
-- Name: COLUMN generations.created_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.created_at IS 'The time of creation. Lists are in its order.';


--
-- Name: COLUMN generations.completed_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.completed_at IS 'The time at which the generation was completed, failed or cancelled. NULL before.';


--
-- Name: COLUMN generations.generation_time_seconds; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.generation_time_seconds IS 'The time that the model took, in seconds. NULL until the generation is completed.';


--
-- Name: COLUMN generations.error_message; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.error_message IS 'The reason for the status, at most 1 MiB. NULL if there is none. A claim clears it.';


--
-- Name: COLUMN generations.metadata; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.metadata IS 'A JSON object, at most 16 MiB. It is empty if none was given.';


--
-- Name: COLUMN generations.prompt_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.prompt_id IS 'The ID of the prompt. Deleting the prompt deletes the generation.';


--
-- Name: COLUMN generations.priority; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.priority IS 'The priority in the queue. The lower one is claimed first.';


--
-- Name: COLUMN generations.scheduled_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.scheduled_at IS 'The time before which the generation is not claimed. Within a priority, the earlier one is claimed first.';


--
-- Name: COLUMN generations.started_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.started_at IS 'The time of the latest change to processing. NULL while the generation is pending.';


--
-- Name: COLUMN generations.attempt; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.attempt IS 'The number of claims so far. Calls under an earlier claim change nothing.';


--
-- Name: COLUMN generations.max_attempts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.max_attempts IS 'The number of claims that are allowed, 1 or more.';


--
-- Name: COLUMN generations.worker; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.worker IS 'The worker that claimed the generation last. NULL if none has.';


--
-- Name: COLUMN generations.lease_expires_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.lease_expires_at IS 'The time at which the claim expires. NULL if no worker holds one.';


--
-- Name: COLUMN generations.batch_id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.batch_id IS 'The batch with which the generation was created. NULL if it was created on its own.';


--
-- Name: COLUMN generations.progress_step; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.progress_step IS 'What the worker is doing: queued, loading_model or any other text, 1 to 255 bytes.';


--
-- Name: COLUMN generations.progress_fraction; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.progress_fraction IS 'The part of the work that is done, from 0 to 1.';


--
-- Name: COLUMN generations.cancel_requested_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.cancel_requested_at IS 'The time at which the worker was asked to stop. NULL if it was not asked, or has stopped.';


--
-- Name: COLUMN generations.favorite; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.generations.favorite IS 'Whether a user has marked the generation, to find it again.';


--
-- Name: prompts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.prompts (
    id bigint NOT NULL,
    text text NOT NULL,
    used_count bigint NOT NULL,
    first_used_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone NOT NULL,
    CONSTRAINT prompts_first_used_at_check CHECK (((first_used_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (first_used_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT prompts_last_used_at_check CHECK (((last_used_at >= '0001-01-01 00:00:00+00'::timestamp with time zone) AND (last_used_at < '10000-01-01 00:00:00+00'::timestamp with time zone))),
    CONSTRAINT prompts_text_check CHECK (((text <> ''::text) AND (octet_length(text) <= 2000))),
    CONSTRAINT prompts_used_count_check CHECK ((used_count >= 0))
);


--
-- Name: TABLE prompts; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON TABLE public.prompts IS 'Prompt is a text that was asked for, with its uses counted.';


--
-- Name: COLUMN prompts.id; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.id IS 'The ID of the prompt. The ID of a deleted prompt is not used again.';


--
-- Name: COLUMN prompts.text; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.text IS 'The text, which is unique. It has 1 to 2,000 bytes. The Python service wrote longer ones, too.';


--
-- Name: COLUMN prompts.used_count; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.used_count IS 'The number of uses. It includes uses whose generation was deleted.';


--
-- Name: COLUMN prompts.first_used_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.first_used_at IS 'The time of the first use.';


--
-- Name: COLUMN prompts.last_used_at; Type: COMMENT; Schema: public; Owner: -
--

COMMENT ON COLUMN public.prompts.last_used_at IS 'The time of the latest use.';


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
    ADD CONSTRAINT generation_counters_pkey PRIMARY KEY (id);


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
-- Name: idx_generation_metadata; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX idx_generation_metadata ON public.generation_metadata USING btree (name, number, hash, created_at, generation_id);


--
-- Name: idx_generations_batch_id; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_batch_id ON public.generations USING btree (batch_id, status, prompt_id) WHERE (batch_id IS NOT NULL);


--
-- Name: idx_generations_completed_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX idx_generations_completed_at ON public.generations USING btree (completed_at, status, generation_time_seconds) WHERE (completed_at IS NOT NULL);


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
-- Name: generations generations_metadata_delete; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER generations_metadata_delete AFTER DELETE ON public.generations FOR EACH ROW EXECUTE FUNCTION public.reindex_metadata();


--
-- Name: generations generations_metadata_insert; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER generations_metadata_insert AFTER INSERT ON public.generations REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.index_metadata();


--
-- Name: generations generations_metadata_truncate; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER generations_metadata_truncate AFTER TRUNCATE ON public.generations FOR EACH STATEMENT EXECUTE FUNCTION public.index_metadata();


--
-- Name: generations generations_metadata_update; Type: TRIGGER; Schema: public; Owner: -
--

CREATE TRIGGER generations_metadata_update AFTER UPDATE ON public.generations FOR EACH ROW WHEN (((new.metadata <> old.metadata) OR (new.created_at <> old.created_at) OR (new.id <> old.id))) EXECUTE FUNCTION public.reindex_metadata();


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
    ('20261123204639'),
    ('20261125080441'),
    ('20261125125500'),
    ('20261129023000');
