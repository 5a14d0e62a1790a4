-- A second opinion: the contract's verification in SQL only (PL/pgSQL, and pgcrypto for HMAC-SHA256).
--
-- Read it beside the contract: verify() below follows its table of reasons from top to bottom. It uses no code of the extension.
-- It is not for production: it is slow, and it compares signatures with =, which does not take constant time. PostgreSQL's json
-- checks the syntax. The code here refuses input that json accepts and the contract does not.
--
-- Needs a UTF8 database. The schema second_opinion has to be in search_path when verify() is called.

CREATE EXTENSION IF NOT EXISTS pgcrypto;
CREATE SCHEMA second_opinion;
SET search_path = second_opinion, public;

CREATE TYPE verdict AS (
    verified         boolean,
    reason           text,
    status           text,
    invoice_id       text,
    amount_crypto    numeric,
    currency         text,
    order_id         text,
    token_expires_at timestamptz,
    claims           jsonb,
    payload          jsonb
);

-- A member of the body: kind is the result of json_typeof, value the text of a string or number. In a form all are strings.
CREATE TYPE member AS (name text, kind text, value text);

--------------------------------------------------------------------------------------------------------------------------
-- White space: space, tab, CR, LF. SQL's own trim() removes only blanks, and \s of a regular expression matches more than these.
--------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION strip(value text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT btrim(value, E' \t\r\n') $$;
CREATE FUNCTION strip(value bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$ SELECT btrim(value, '\x20090d0a') $$;

-- One INV- is removed, upper case only. (ltrim(id, 'INV-') would remove every I, N, V and - that an id begins with.)
CREATE FUNCTION without_prefix(id text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN starts_with(id, 'INV-') THEN substr(id, 5) ELSE id END
$$;

--------------------------------------------------------------------------------------------------------------------------
-- Numbers as JSON spells them. A cast to numeric accepts NaN, +1, .5 and 1_000 too, and fails on 1e99999999999.
--------------------------------------------------------------------------------------------------------------------------

-- digits * 10^exponent, negative or not. `digits` has no zero at either end; it is empty for 0, which is never negative.
CREATE TYPE number AS (
    negative         boolean,
    digits           text,
    exponent         bigint,
    integer_digits   bigint,    -- by value: 0.5 has none
    decimals         bigint,    -- by value: 1.50 has one
    spelled_decimals bigint     -- 1.50 has two, 1.50e-3 five
);

-- NULL if `spelled` is not a JSON number.
CREATE FUNCTION read_number(spelled text) RETURNS number LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    part     CONSTANT text[] := regexp_match(spelled, '^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?$');
    fraction CONSTANT text := coalesce(part[3], '');
    power    text := ltrim(coalesce(part[5], ''), '0');
    n        number;
BEGIN
    IF part IS NULL THEN RETURN NULL; END IF;
    -- No body is long enough to make up for an exponent of more than nine digits: cut it there.
    IF length(power) > 9 THEN power := '1000000000'; END IF;
    n.exponent := (coalesce(part[4], '') || '0' || power)::bigint - length(fraction);
    n.spelled_decimals := greatest(0, -n.exponent);
    n.digits := ltrim(part[2] || fraction, '0');
    n.exponent := n.exponent + length(n.digits) - length(rtrim(n.digits, '0'));
    n.digits := rtrim(n.digits, '0');
    n.negative := part[1] = '-' AND n.digits <> '';
    IF n.digits = '' THEN n.exponent := 0; END IF;
    n.integer_digits := greatest(0, length(n.digits) + n.exponent);
    n.decimals := greatest(0, -n.exponent);
    RETURN n;
END
$$;

-- The exact value; for numbers of a bounded number of digits.
CREATE FUNCTION value_of(n number) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT ((CASE WHEN n.negative THEN '-' ELSE '' END) || '0' || n.digits || 'e' || n.exponent)::numeric
$$;

-- Seconds in microseconds, rounded up: `at` and leeway are whole microseconds, so t >= exp means t >= exp rounded up.
-- All numbers beyond 10^18 seconds become infinite.
CREATE FUNCTION microseconds(n number) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    keep  CONSTANT bigint := length(n.digits) + n.exponent + 6;     -- so many digits make whole microseconds
    whole numeric;
BEGIN
    IF n.integer_digits > 18 THEN RETURN CASE WHEN n.negative THEN '-Infinity' ELSE 'Infinity' END::numeric; END IF;
    whole := ('0' || rpad(left(n.digits, greatest(keep, 0)::integer), greatest(keep, 0)::integer, '0'))::numeric;
    IF n.negative THEN RETURN -whole; END IF;
    RETURN whole + (keep < length(n.digits))::integer;
END
$$;

-- An interval's days count 24 hours and its months 30 days. (extract(epoch …) makes a year 365.25 days; timestamptz +
-- interval depends on the session's time zone.)
CREATE FUNCTION microseconds(i interval) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
    SELECT 1000000 * (extract(second FROM i) + 60 * extract(minute FROM i) + 3600 * extract(hour FROM i)
                      + 86400 * (extract(day FROM i) + 30 * (extract(month FROM i) + 12 * extract(year FROM i))))
$$;

-- The moment so many microseconds after 1970. (to_timestamp() goes through a float.)
CREATE FUNCTION moment(microseconds numeric) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS $$
    SELECT (timestamp '1970-01-01' + make_interval(days => div(microseconds, 86400000000)::integer)
            + mod(microseconds, 86400000000)::double precision * interval '1 microsecond') AT TIME ZONE 'UTC'
$$;

--------------------------------------------------------------------------------------------------------------------------
-- JSON
--------------------------------------------------------------------------------------------------------------------------

-- Whether JSON is nested deeper than 64. For other text the result means nothing. (PostgreSQL's parser recurses, and raises an
-- ERROR at the end of the stack; so this check comes first.)
CREATE FUNCTION too_deep(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    brackets text;
BEGIN
    IF length(t) - length(translate(t, '[{', '')) <= 64 THEN RETURN false; END IF;
    brackets := regexp_replace(t, '"(?:[^"\\]|\\.)*"', '', 'g');
    brackets := regexp_replace(brackets, '[^][{}]+', '', 'g');
    FOR peeled IN 1 .. 64 LOOP      -- removes the innermost pairs, 64 times; the rest is deeper, or not closed
        EXIT WHEN brackets = '';
        brackets := regexp_replace(brackets, '\[\]|\{\}', '', 'g');
    END LOOP;
    RETURN brackets <> '';
END
$$;

-- The row invalid_json: the object that the bytes spell, or NULL.
CREATE FUNCTION read_json(bytes bytea) RETURNS json LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    t       text;
    j       json;
    escapes text;
BEGIN
    t := convert_from(bytes, 'UTF8');           -- invalid UTF-8, or a NUL byte
    IF too_deep(t) THEN RETURN NULL; END IF;
    j := t::json;                               -- malformed, or a BOM
    IF json_typeof(j) <> 'object' THEN RETURN NULL; END IF;
    -- json, unlike jsonb, does not check the code point of \u. An escaped backslash begins no escape.
    IF strpos(t, '\u') > 0 THEN
        escapes := replace(t, '\\', '.');
        IF escapes ~ '\\u0000' THEN RETURN NULL; END IF;
        escapes := regexp_replace(escapes, '\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}', '.', 'g');
        IF escapes ~ '\\u[dD][89a-fA-F]' THEN RETURN NULL; END IF;
    END IF;
    RETURN j;
EXCEPTION
    WHEN character_not_in_repertoire OR invalid_text_representation THEN RETURN NULL;
END
$$;

-- A number that does not affect the verdict: exact up to 400 integer digits and 400 decimals, as spelled, beyond that a string.
CREATE FUNCTION kept_number(spelled text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    n CONSTANT number := read_number(spelled);
BEGIN
    RETURN CASE WHEN n.integer_digits <= 400 AND n.spelled_decimals <= 400 THEN value_of(n)::text ELSE '"' || spelled || '"' END;
END
$$;

-- JSON as jsonb, which holds no number beyond 131,072 digits.
CREATE FUNCTION kept_json(j json) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    -- Fewer than 250 digits in a row and an exponent of at most two digits stay within 400.
    IF j::text !~ '[0-9]{250}|[eE][+-]?[0-9]{3}' THEN RETURN j::jsonb; END IF;
    RETURN (SELECT string_agg(CASE WHEN part[1] ~ '^[-0-9]' THEN kept_number(part[1]) ELSE part[1] END, '' ORDER BY place)
              FROM regexp_matches(j::text, '"(?:[^"\\]|\\.)*"|[-0-9][-+.0-9eE]*|[^-"0-9]+', 'g')
                   WITH ORDINALITY AS m (part, place))::jsonb;
END
$$;

--------------------------------------------------------------------------------------------------------------------------
-- Forms
--------------------------------------------------------------------------------------------------------------------------

-- Decodes a name or value, one character a byte. Raises an error if that is impossible. (+ comes before %, or %2B would become a
-- blank.)
CREATE FUNCTION decode_part(part text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF part !~ '[%\x80-\xff]' THEN RETURN replace(part, '+', ' '); END IF;
    IF part !~ '^(?:[^%]|%[0-9A-Fa-f]{2})*$' THEN RAISE invalid_text_representation; END IF;
    RETURN convert_from((SELECT string_agg(CASE WHEN place = 1 THEN convert_to(piece, 'LATIN1')
                                                ELSE decode(left(piece, 2), 'hex') || convert_to(substr(piece, 3), 'LATIN1') END,
                                           '' ORDER BY place)
                           FROM string_to_table(replace(part, '+', ' '), '%') WITH ORDINALITY AS p (piece, place)), 'UTF8');
END
$$;

-- The row invalid_form: the pairs in the order sent, or NULL. Invalid UTF-8 counts after decoding: a character may be half raw
-- and half escaped.
CREATE FUNCTION read_form(bytes bytea) RETURNS member[] LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    pairs text[];
BEGIN
    pairs := array_remove(string_to_array(convert_from(bytes, 'LATIN1'), '&'), '');      -- an error for a NUL byte
    IF cardinality(pairs) > 1000 THEN RETURN NULL; END IF;
    RETURN (SELECT coalesce(array_agg(ROW (decode_part(split_part(pair, '=', 1)), 'string',
                                           CASE WHEN strpos(pair, '=') = 0 THEN ''
                                                ELSE decode_part(substr(pair, strpos(pair, '=') + 1)) END)::member
                                      ORDER BY place), '{}')
              FROM unnest(pairs) WITH ORDINALITY AS p (pair, place));
EXCEPTION
    WHEN character_not_in_repertoire OR invalid_text_representation THEN RETURN NULL;
END
$$;

--------------------------------------------------------------------------------------------------------------------------
-- Content type (RFC 9110): json, form, sniff, or NULL where it is not supported
--------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION read_content_type(header text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    -- The C collation folds only ASCII: elsewhere the Kelvin sign is a k.
    folded     CONSTANT text := lower(strip(coalesce(header, '')) COLLATE "C");
    media_type CONSTANT text := strip(split_part(folded, ';', 1));
    charset    text;
BEGIN
    IF folded = '' THEN RETURN 'sniff'; END IF;
    -- Parameters end at a semicolon outside a quoted string.
    FOR charset IN
        SELECT strip(substr(parameter[1], strpos(parameter[1], '=') + 1))
          FROM regexp_matches(substr(folded, strpos(folded || ';', ';')),
                              ';((?:[^;"]|"(?:[^"\\]|\\.)*(?:"|\\?$))*)', 'g') AS parameter
         WHERE strpos(parameter[1], '=') > 0 AND strip(split_part(parameter[1], '=', 1)) = 'charset'
    LOOP
        IF charset NOT IN ('utf-8', 'utf8', 'us-ascii', '"utf-8"', '"utf8"', '"us-ascii"') THEN RETURN NULL; END IF;
    END LOOP;
    RETURN CASE WHEN media_type IN ('application/json', 'text/json') THEN 'json'
                WHEN media_type ~ '^application/[-!#$%&''*+.^_`|~0-9a-z]+\+json$' THEN 'json'
                WHEN media_type = 'application/x-www-form-urlencoded' THEN 'form' END;
END
$$;

--------------------------------------------------------------------------------------------------------------------------
-- The token's parts
--------------------------------------------------------------------------------------------------------------------------

-- Canonical base64url without padding, or NULL. (decode() skips white space, accepts trailing bits of any value, and raises an
-- ERROR if padding is missing.)
CREATE FUNCTION decode_base64url(part text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    bytes bytea;
BEGIN
    IF part !~ '^[A-Za-z0-9_-]+$' OR length(part) % 4 = 1 THEN RETURN NULL; END IF;
    bytes := decode(rpad(translate(part, '-_', '+/'), (length(part) + 3) / 4 * 4, '='), 'base64');
    RETURN CASE WHEN translate(encode(bytes, 'base64'), E'+/=\n', '-_') = part THEN bytes END;
END
$$;

CREATE FUNCTION has_member_twice(object json) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT count(*) > count(DISTINCT key) FROM json_each(object)
$$;

CREATE FUNCTION is_kind(value json, kind text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(json_typeof(value) = kind, false)
$$;

--------------------------------------------------------------------------------------------------------------------------
-- The contract's table of reasons, from top to bottom
--------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION verify(body bytea, content_type text, secret text, at timestamptz, leeway interval DEFAULT '0') RETURNS verdict
    LANGUAGE plpgsql IMMUTABLE
AS $$
DECLARE
    six        CONSTANT text[] := '{status,invoice_id,amount_crypto,currency,order_id,token}';
    v          verdict;
    trimmed    CONSTANT bytea := strip(coalesce(body, ''));
    format     text;
    j          json;            -- of a JSON body
    members    member[];        -- of either
    kinds      jsonb;           -- of those of the six fields that are present
    texts      jsonb;
    name       text;
    value      text;
    amount     number;
    token      text;
    part       text[];
    header     json;
    claims     json;
    signature  bytea;
    expires    numeric;         -- this and the two below in microseconds since 1970
    not_before numeric;
    now        numeric;
    claim      json;
BEGIN
    -- Errors of the caller. A NULL secret would make the comparison of signatures NULL, and NOT NULL is not true.
    IF secret IS NULL OR secret = '' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'secret must not be null or empty';
    ELSIF at IS NULL OR NOT isfinite(at) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'time must be finite';
    ELSIF leeway IS NULL OR NOT isfinite(leeway) OR microseconds(leeway) < 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'leeway must be finite and not negative';
    END IF;
    v.verified := false;

    IF length(trimmed) = 0 THEN v.reason := 'empty_body'; RETURN v; END IF;

    IF length(body) > 1048576 THEN v.reason := 'body_too_large'; RETURN v; END IF;

    format := read_content_type(content_type);
    IF format IS NULL THEN v.reason := 'unsupported_content_type'; RETURN v; END IF;
    IF format = 'sniff' THEN format := CASE WHEN get_byte(trimmed, 0) = ascii('{') THEN 'json' ELSE 'form' END; END IF;

    IF format = 'json' THEN
        j := read_json(trimmed);
        IF j IS NULL THEN v.reason := 'invalid_json'; RETURN v; END IF;
        members := ARRAY (SELECT ROW (m.key, json_typeof(m.value), m.value #>> '{}')::member FROM json_each(j) AS m);
        v.payload := kept_json(j) - 'token';
    ELSE
        members := read_form(trimmed);
        IF members IS NULL THEN v.reason := 'invalid_form'; RETURN v; END IF;
        v.payload := coalesce((SELECT jsonb_object_agg(pair.name, CASE WHEN count = 1 THEN all_of -> 0 ELSE all_of END)
                                 FROM (SELECT m.name, count(*), jsonb_agg(m.value ORDER BY m.place)
                                         FROM unnest(members) WITH ORDINALITY AS m (name, kind, value, place)
                                        WHERE m.name <> 'token' GROUP BY m.name) AS pair (name, count, all_of)), '{}');
    END IF;

    IF EXISTS (SELECT FROM unnest(members) AS m
                WHERE m.name = ANY (six) OR m.name = 'invoice_info' AND format = 'json'
                GROUP BY m.name HAVING count(*) > 1) THEN
        v.reason := 'duplicate_field'; RETURN v;
    END IF;
    SELECT coalesce(jsonb_object_agg(m.name, m.kind), '{}'), coalesce(jsonb_object_agg(m.name, m.value), '{}') INTO kinds, texts
      FROM unnest(members) AS m WHERE m.name = ANY (six) AND m.kind <> 'null';      -- null counts as absent

    IF NOT kinds ? 'invoice_id'
       OR kinds ->> 'invoice_id' = 'string' AND strip(without_prefix(texts ->> 'invoice_id')) = '' THEN
        v.reason := 'missing_invoice_id'; RETURN v;
    END IF;

    FOREACH name IN ARRAY six LOOP
        CONTINUE WHEN NOT kinds ? name;
        value := texts ->> name;
        IF name = 'token' THEN value := strip(value); END IF;
        IF kinds ->> name <> 'string'
           AND NOT (kinds ->> name = 'number'
                    AND (name = 'amount_crypto' OR name IN ('invoice_id', 'order_id') AND value ~ '^-?[0-9]+$'))
           OR length(value) > (CASE WHEN name = 'token' THEN 4096 ELSE 255 END)
           OR value ~ '[\u0001-\u001f\u007f-\u009f]' THEN
            v.reason := 'invalid_field'; RETURN v;
        END IF;
    END LOOP;
    IF coalesce(texts ->> 'status', '') = '' OR coalesce(texts ->> 'currency', '') = '' THEN
        v.reason := 'invalid_field'; RETURN v;
    END IF;

    amount := read_number(strip(texts ->> 'amount_crypto'));
    IF amount IS NULL OR amount.negative OR amount.integer_digits > 38 OR amount.decimals > 36 THEN
        v.reason := 'invalid_amount'; RETURN v;
    END IF;

    token := coalesce(strip(texts ->> 'token'), '');
    IF token = '' THEN v.reason := 'missing_token'; RETURN v; END IF;

    part := string_to_array(token, '.');
    v.reason := 'malformed_token';
    IF cardinality(part) <> 3 THEN RETURN v; END IF;
    signature := decode_base64url(part[3]);
    header := read_json(decode_base64url(part[1]));
    claims := read_json(decode_base64url(part[2]));
    IF signature IS NULL OR header IS NULL OR claims IS NULL THEN RETURN v; END IF;
    IF has_member_twice(header) OR has_member_twice(claims) THEN RETURN v; END IF;

    v.reason := 'unsupported_algorithm';
    IF NOT is_kind(header -> 'alg', 'string') OR header ->> 'alg' <> 'HS256' THEN RETURN v; END IF;
    IF (header -> 'crit') IS NOT NULL THEN RETURN v; END IF;
    IF (header -> 'b64') IS NOT NULL AND (header -> 'b64')::text <> 'true' THEN RETURN v; END IF;

    v.reason := 'bad_signature';
    IF signature IS DISTINCT FROM hmac(convert_to(part[1] || '.' || part[2], 'UTF8'), convert_to(secret, 'UTF8'), 'sha256') THEN
        RETURN v;
    END IF;

    v.reason := 'invalid_claims';
    IF NOT is_kind(claims -> 'exp', 'number') THEN RETURN v; END IF;
    IF (read_number(claims ->> 'exp')).negative THEN RETURN v; END IF;
    expires := microseconds(read_number(claims ->> 'exp'));
    IF expires >= 1000000 * extract(epoch FROM timestamptz '10000-01-01 00:00:00+00') THEN RETURN v; END IF;
    FOREACH name IN ARRAY '{nbf,iat}'::text[] LOOP
        IF (claims -> name) IS NOT NULL AND NOT is_kind(claims -> name, 'number') THEN RETURN v; END IF;
    END LOOP;

    now := 1000000 * extract(epoch FROM at);
    not_before := microseconds(read_number(claims ->> 'nbf'));      -- NULL where there is none
    IF not_before > now + microseconds(leeway) THEN v.reason := 'token_not_yet_valid'; RETURN v; END IF;
    IF now >= expires + microseconds(leeway) THEN v.reason := 'token_expired'; RETURN v; END IF;

    FOREACH name IN ARRAY '{id,uuid}'::text[] LOOP
        claim := claims -> name;
        IF is_kind(claim, 'string') AND without_prefix(claim #>> '{}') <> without_prefix(texts ->> 'invoice_id') THEN
            v.reason := 'invoice_mismatch'; RETURN v;
        END IF;
    END LOOP;

    v.verified := true;
    v.reason := NULL;
    v.status := texts ->> 'status';
    v.invoice_id := without_prefix(texts ->> 'invoice_id');
    v.amount_crypto := value_of(amount);
    v.currency := texts ->> 'currency';
    v.order_id := nullif(texts ->> 'order_id', '');
    v.token_expires_at := moment(expires);
    v.claims := kept_json(claims);
    RETURN v;
END
$$;
