-- The extension against the second opinion (verifier.sql), and the second opinion against the vectors.

CREATE EXTENSION cryptocloud_postback SCHEMA public;
SET search_path = second_opinion, public;

--------------------------------------------------------------------------------------------------------------------------
-- One verdict each. An ERROR is a verdict too: verified is NULL then, and reason its SQLSTATE.
--------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION opinion(body bytea, content_type text, secret text, at timestamptz, leeway interval) RETURNS verdict
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN verify(body, content_type, secret, at, leeway);
EXCEPTION WHEN OTHERS THEN
    RETURN ROW (NULL, 'error ' || SQLSTATE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::verdict;
END
$$;

CREATE FUNCTION product(body bytea, content_type text, secret text, at timestamptz, leeway interval) RETURNS verdict
    LANGUAGE plpgsql AS $$
DECLARE
    p cc_postback;
BEGIN
    p := cc_verify_postback(body, content_type, secret, at, leeway);
    RETURN ROW (p.*)::verdict;
EXCEPTION WHEN OTHERS THEN
    RETURN ROW (NULL, 'error ' || SQLSTATE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::verdict;
END
$$;

CREATE FUNCTION product(body text, content_type text, secret text, at timestamptz, leeway interval) RETURNS verdict
    LANGUAGE plpgsql AS $$
DECLARE
    p cc_postback;
BEGIN
    p := cc_verify_postback(body, content_type, secret, at, leeway);
    RETURN ROW (p.*)::verdict;
EXCEPTION WHEN OTHERS THEN
    RETURN ROW (NULL, 'error ' || SQLSTATE, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::verdict;
END
$$;

-- The body as text; NULL if it is not valid text.
CREATE FUNCTION as_text(body bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN convert_from(body, 'UTF8');
EXCEPTION WHEN character_not_in_repertoire THEN
    RETURN NULL;
END
$$;

-- The result of cc_parse_postback: the payload, or the reason why there is none.
CREATE FUNCTION parsed(body bytea, content_type text, OUT payload jsonb, OUT error text) LANGUAGE plpgsql AS $$
BEGIN
    payload := cc_parse_postback(body, content_type);
EXCEPTION WHEN OTHERS THEN
    error := SQLSTATE || ' ' || SQLERRM;
END
$$;

CREATE FUNCTION word(v verdict) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT coalesce(v.reason, 'verified') $$;

-- The names of the columns in which two verdicts differ. Numbers compare by value, also inside jsonb.
CREATE FUNCTION differing_columns(a verdict, b verdict) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_remove(ARRAY[
        CASE WHEN a.verified IS DISTINCT FROM b.verified THEN 'verified' END,
        CASE WHEN a.reason IS DISTINCT FROM b.reason THEN 'reason' END,
        CASE WHEN a.status IS DISTINCT FROM b.status THEN 'status' END,
        CASE WHEN a.invoice_id IS DISTINCT FROM b.invoice_id THEN 'invoice_id' END,
        CASE WHEN a.amount_crypto IS DISTINCT FROM b.amount_crypto THEN 'amount_crypto' END,
        CASE WHEN a.currency IS DISTINCT FROM b.currency THEN 'currency' END,
        CASE WHEN a.order_id IS DISTINCT FROM b.order_id THEN 'order_id' END,
        CASE WHEN a.token_expires_at IS DISTINCT FROM b.token_expires_at THEN 'token_expires_at' END,
        CASE WHEN a.claims IS DISTINCT FROM b.claims THEN 'claims' END,
        CASE WHEN a.payload IS DISTINCT FROM b.payload THEN 'payload' END], NULL)
$$;

-- Both verdicts; `problem` is NULL if they agree. Calls the extension with bytes, with text if the body is text, and
-- cc_parse_postback too.
CREATE FUNCTION compare(body bytea, content_type text, secret text, at timestamptz, leeway interval,
                        OUT reason text, OUT problem text) LANGUAGE plpgsql AS $$
DECLARE
    o CONSTANT verdict := opinion(body, content_type, secret, at, leeway);
    p verdict := product(body, content_type, secret, at, leeway);
    t text;
    s record;
BEGIN
    reason := word(o);
    IF p IS DISTINCT FROM o THEN
        problem := format('the extension says %s, the second opinion %s (%s)', word(p), word(o),
                          array_to_string(differing_columns(p, o), ', '));
        RETURN;
    END IF;
    s := parsed(body, content_type);
    IF o.verified IS NOT NULL AND (s.payload IS DISTINCT FROM o.payload OR s.error IS NULL <> (o.payload IS NOT NULL)
                                   OR s.error NOT LIKE '22P02 %' || o.reason) THEN
        problem := format('cc_parse_postback says %s where the second opinion says %s', coalesce(s.error, 'what differs'),
                          word(o));
        RETURN;
    END IF;
    t := as_text(body);
    IF t IS NULL AND body IS NOT NULL THEN RETURN; END IF;
    p := product(t, content_type, secret, at, leeway);
    IF p IS DISTINCT FROM o THEN
        problem := format('the extension says %s of the body as text, the second opinion %s (%s)', word(p), word(o),
                          array_to_string(differing_columns(p, o), ', '));
    END IF;
END
$$;

-- The smallest body with the same `problem`: removes pieces as long as it stays the same.
CREATE FUNCTION smallest(body bytea, content_type text, secret text, at timestamptz, leeway interval, wanted text) RETURNS bytea
    LANGUAGE plpgsql AS $$
DECLARE
    piece     integer := greatest(length(body) / 2, 1);
    place     integer;
    candidate bytea;
    smaller   boolean;
BEGIN
    LOOP
        smaller := false;
        place := 1;
        WHILE place <= length(body) LOOP
            candidate := substr(body, 1, place - 1) || substr(body, place + piece);
            IF (compare(candidate, content_type, secret, at, leeway)).problem = wanted THEN
                body := candidate;
                smaller := true;
            ELSE
                place := place + piece;
            END IF;
        END LOOP;
        CONTINUE WHEN smaller AND piece = 1;
        EXIT WHEN piece = 1;
        piece := piece / 2;
    END LOOP;
    RETURN body;
END
$$;

--------------------------------------------------------------------------------------------------------------------------
-- The totals
--------------------------------------------------------------------------------------------------------------------------

CREATE TABLE body (n bigint, kind text, body bytea, content_type text, secret text, at timestamptz, leeway interval);
CREATE TABLE tally (kind text, reason text, bodies bigint);
CREATE TABLE disagreement (LIKE body, problem text);

-- Adds the bodies of `body` to tally and disagreement. Each session has its own temporary table of that name.
CREATE PROCEDURE judge_bodies() LANGUAGE plpgsql AS $$
BEGIN
    CREATE TEMPORARY TABLE judged ON COMMIT DROP AS
        SELECT b.*, c.reason, c.problem FROM body AS b, LATERAL compare(b.body, b.content_type, b.secret, b.at, b.leeway) AS c;
    INSERT INTO tally SELECT kind, reason, count(*) FROM judged GROUP BY kind, reason;
    INSERT INTO disagreement
    SELECT n, kind, body, content_type, secret, at, leeway, problem FROM judged WHERE problem IS NOT NULL;
END
$$;

CREATE FUNCTION vector_body(v jsonb) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(convert_to(v ->> 'body', 'UTF8'), decode(v ->> 'body_b64', 'base64'))
$$;

-- Compares a vector's expectation (test/vectors/README.md) with the second opinion. NULL if they agree.
CREATE FUNCTION judge_vector(v jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    expect CONSTANT jsonb := v -> 'expect';
    fields CONSTANT jsonb := coalesce(expect -> 'fields', '{}');
    o      CONSTANT verdict := opinion(vector_body(v), v ->> 'content_type', v ->> 'secret', (v ->> 'at')::timestamptz,
                                       (v ->> 'leeway')::interval);
    got    CONSTANT jsonb := to_jsonb(o);
BEGIN
    IF o.verified IS NULL OR expect ? 'error' THEN
        RETURN CASE WHEN o.reason IS DISTINCT FROM 'error ' || (expect ->> 'error')
                    THEN format('%s instead of %s', word(o), expect) END;
    END IF;
    IF o.verified = (o.reason IS NOT NULL) THEN RETURN 'verified and reason do not fit'; END IF;
    IF NOT o.verified AND num_nonnulls(o.status, o.invoice_id, o.amount_crypto, o.currency, o.order_id, o.token_expires_at,
                                       o.claims) > 0 THEN RETURN 'a column is set'; END IF;
    IF o.payload ? 'token' THEN RETURN 'payload has the token'; END IF;
    IF expect -> 'verified' <> '"any"' AND expect -> 'verified' <> to_jsonb(o.verified)
       OR expect ->> 'reason' IS DISTINCT FROM o.reason AND expect ->> 'reason' IS DISTINCT FROM 'any' THEN
        RETURN format('%s instead of %s', word(o), coalesce(expect ->> 'reason', 'verified'));
    END IF;
    IF EXISTS (SELECT FROM jsonb_each(fields) AS f
                WHERE CASE f.key WHEN 'payload_has' THEN EXISTS (SELECT FROM jsonb_each(f.value) AS m
                                                                  WHERE o.payload -> m.key IS DISTINCT FROM m.value)
                                 WHEN 'amount_crypto' THEN o.amount_crypto IS DISTINCT FROM (f.value #>> '{}')::numeric
                                 WHEN 'token_expires_at' THEN o.token_expires_at IS DISTINCT FROM (f.value #>> '{}')::timestamptz
                                 ELSE coalesce(got -> f.key, 'null') <> f.value END) THEN
        RETURN format('%s instead of %s', got, fields);
    END IF;
    RETURN NULL;
END
$$;
