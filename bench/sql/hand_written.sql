-- A merchant's own solution with pgcrypto and jsonb: verify, then keep the invoice. It knows only JSON, and has no protection
-- from a reused token, a failing order trigger or a late delivery. Floats are read as sent.
CREATE EXTENSION pgcrypto;

CREATE TYPE hand_postback AS (
    verified boolean, status text, invoice_id text, amount_crypto numeric, currency text, order_id text,
    token_expires_at timestamptz, claims jsonb, payload jsonb
);

CREATE FUNCTION hand_base64url(part text) RETURNS bytea LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT decode(rpad(translate(part, '-_', '+/'), (length(part) + 3) / 4 * 4, '='), 'base64') $$;

CREATE FUNCTION hand_verify(body text, secret text, at timestamptz) RETURNS hand_postback
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
AS $$
DECLARE
    postback jsonb;
    parts    text[];
    result   hand_postback;
BEGIN
    postback := body::jsonb;
    parts := string_to_array(postback ->> 'token', '.');
    result.verified := false;
    result.payload := postback - 'token';
    IF array_length(parts, 1) = 3
       AND convert_from(hand_base64url(parts[1]), 'UTF8')::jsonb ->> 'alg' = 'HS256'
       AND hmac(parts[1] || '.' || parts[2], secret, 'sha256') = hand_base64url(parts[3]) THEN
        result.claims := convert_from(hand_base64url(parts[2]), 'UTF8')::jsonb;
        result.token_expires_at := to_timestamp((result.claims ->> 'exp')::numeric);
        result.invoice_id := regexp_replace(postback ->> 'invoice_id', '^INV-', '');
        IF at < result.token_expires_at AND result.claims ->> 'id' = result.invoice_id THEN
            result.verified := true;
            result.status := postback ->> 'status';
            result.amount_crypto := (postback ->> 'amount_crypto')::numeric;
            result.currency := postback ->> 'currency';
            result.order_id := postback ->> 'order_id';
        END IF;
    END IF;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN ROW(false, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)::hand_postback;
END
$$;

CREATE TABLE hand_invoice (
    invoice_id    text PRIMARY KEY,
    order_id      text,
    status        text NOT NULL,
    amount_crypto numeric NOT NULL,
    currency      text NOT NULL,
    paid_at       timestamptz,
    updated_at    timestamptz NOT NULL,
    payload       jsonb NOT NULL
);

CREATE TABLE hand_inbox (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL DEFAULT now(),
    content_type text,
    body         text,
    verified     boolean
);

CREATE FUNCTION hand_inbox_insert() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    postback hand_postback;
BEGIN
    postback := hand_verify(NEW.body, (SELECT secret FROM cc_project WHERE name = 'default'), NEW.received_at);
    NEW.verified := postback.verified;
    IF postback.verified THEN
        INSERT INTO hand_invoice AS i (invoice_id, order_id, status, amount_crypto, currency, paid_at, updated_at, payload)
        VALUES (postback.invoice_id, postback.order_id, postback.status, postback.amount_crypto, postback.currency,
                CASE WHEN postback.status = 'success' THEN NEW.received_at END, NEW.received_at, postback.payload)
        ON CONFLICT (invoice_id) DO UPDATE
           SET order_id = excluded.order_id, status = excluded.status, amount_crypto = excluded.amount_crypto,
               currency = excluded.currency, paid_at = coalesce(i.paid_at, excluded.paid_at),
               updated_at = excluded.updated_at, payload = excluded.payload;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER hand_inbox_insert BEFORE INSERT ON hand_inbox FOR EACH ROW EXECUTE FUNCTION hand_inbox_insert();
