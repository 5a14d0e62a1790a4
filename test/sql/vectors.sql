-- Every case of test/vectors (format: its README) has the expected result.
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS cryptocloud_postback;

CREATE TEMPORARY TABLE line (suite text DEFAULT current_setting('vectors.suite'), value text);
SET vectors.suite = 'documentation';
\copy line (value) FROM 'test/vectors/documentation.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'wire';
\copy line (value) FROM 'test/vectors/wire.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'rfc';
\copy line (value) FROM 'test/vectors/rfc.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'wycheproof';
\copy line (value) FROM 'test/vectors/wycheproof.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'json_suite';
\copy line (value) FROM 'test/vectors/json_suite.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

-- Compares the expected result with the function's, as bytes and, if possible, as text. NULL if they are equal.
CREATE FUNCTION pg_temp.judge(v jsonb, as_text boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    expect CONSTANT jsonb := v -> 'expect';
    fields CONSTANT jsonb := coalesce(expect -> 'fields', '{}');
    at     CONSTANT timestamptz := v ->> 'at';
    leeway CONSTANT interval := v ->> 'leeway';
    body   bytea;
    p      cc_postback;
    got    jsonb;
BEGIN
    body := coalesce(convert_to(v ->> 'body', 'UTF8'), decode(v ->> 'body_b64', 'base64'));
    IF as_text THEN
        p := cc_verify_postback(convert_from(body, 'UTF8'), v ->> 'content_type', v ->> 'secret', at, leeway);
    ELSE
        p := cc_verify_postback(body, v ->> 'content_type', v ->> 'secret', at, leeway);
    END IF;
    IF expect ? 'error' THEN RETURN 'no error'; END IF;
    IF p.verified IS NULL OR p.verified = (p.reason IS NOT NULL) THEN RETURN 'verified and reason do not fit'; END IF;
    IF NOT p.verified AND num_nonnulls(p.status, p.invoice_id, p.amount_crypto, p.currency, p.order_id, p.token_expires_at,
                                       p.claims) > 0 THEN RETURN 'a column is set'; END IF;
    IF p.payload ? 'token' THEN RETURN 'payload has the token'; END IF;
    IF expect -> 'verified' <> '"any"' AND expect -> 'verified' <> to_jsonb(p.verified)
       OR expect ->> 'reason' IS DISTINCT FROM p.reason AND expect ->> 'reason' IS DISTINCT FROM 'any' THEN
        RETURN format('%s instead of %s', coalesce(p.reason, 'verified'), coalesce(expect ->> 'reason', 'verified'));
    END IF;
    got := to_jsonb(p);
    IF NOT got @> (fields - 'payload_has' - 'token_expires_at' - 'amount_crypto')
       OR fields ? 'amount_crypto' AND p.amount_crypto IS DISTINCT FROM (fields ->> 'amount_crypto')::numeric
       OR fields ? 'token_expires_at' AND p.token_expires_at IS DISTINCT FROM (fields ->> 'token_expires_at')::timestamptz
       OR fields ? 'claims' AND got -> 'claims' <> fields -> 'claims'
       OR fields ? 'payload' AND got -> 'payload' <> fields -> 'payload'
       OR EXISTS (SELECT FROM jsonb_each(fields -> 'payload_has') AS m WHERE p.payload -> m.key IS DISTINCT FROM m.value) THEN
        RETURN format('%s instead of %s', got, fields);
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    IF expect ->> 'error' = SQLSTATE THEN RETURN NULL; END IF;
    RETURN SQLSTATE || ' ' || SQLERRM;
END
$$;

-- bytea has no encoding: tells whether a body is text.
CREATE FUNCTION pg_temp.is_text(v jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM convert_from(decode(v ->> 'body_b64', 'base64'), 'UTF8');
    RETURN true;
EXCEPTION WHEN character_not_in_repertoire THEN
    RETURN false;
END
$$;

CREATE TEMPORARY TABLE verdict AS
SELECT suite, v ->> 'name' AS name, form, CASE WHEN form = 'text' THEN pg_temp.judge(v, true) ELSE pg_temp.judge(v, false) END AS problem
  FROM (SELECT suite, value::jsonb AS v FROM line) AS vector
 CROSS JOIN (VALUES ('text'), ('bytea')) AS f (form)
 WHERE form = 'bytea' OR pg_temp.is_text(v);

SELECT suite, form, count(*) AS cases, count(problem) AS wrong FROM verdict GROUP BY suite, form ORDER BY suite, form;
SELECT suite, form, name, left(problem, 300) AS problem FROM verdict WHERE problem IS NOT NULL ORDER BY suite, form, name;

DROP EXTENSION cryptocloud_postback;
