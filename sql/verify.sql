--------------------------------------------------------------------------------------------------------------------------
-- Verification: these functions depend only on their arguments, and on none of the tables that cc_setup() makes.
--------------------------------------------------------------------------------------------------------------------------

-- Each function takes the body as text, which PostgreSQL knows to be valid UTF-8, or as bytea, which is checked.
-- A NULL or empty secret is the caller's error (22023), and so are a NULL or infinite time and a negative leeway.
-- No body raises an error, whatever bytes it contains: `reason` names the fault.
-- The token is a JWS in compact serialization (RFC 7515) with claims (RFC 7519), signed HS256 (RFC 7518).

CREATE OR REPLACE FUNCTION @extschema@.cc_verify_postback(body text, content_type text, secret text) RETURNS @extschema@.cc_postback
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_verify_postback';
COMMENT ON FUNCTION @extschema@.cc_verify_postback(text, text, text) IS
    'verification of a postback as of the current statement';

CREATE OR REPLACE FUNCTION @extschema@.cc_verify_postback(body bytea, content_type text, secret text) RETURNS @extschema@.cc_postback
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_verify_postback_bytea';
COMMENT ON FUNCTION @extschema@.cc_verify_postback(bytea, text, text) IS
    'verification of a postback as of the current statement';

-- A leeway extends the token's life at both ends. A day of it is 24 hours and a month 30 days, whatever the time zone.
CREATE OR REPLACE FUNCTION @extschema@.cc_verify_postback(body text, content_type text, secret text, at timestamptz, leeway interval DEFAULT '0')
    RETURNS @extschema@.cc_postback
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_verify_postback';
COMMENT ON FUNCTION @extschema@.cc_verify_postback(text, text, text, timestamptz, interval) IS
    'verification of a postback as of a given time';

CREATE OR REPLACE FUNCTION @extschema@.cc_verify_postback(body bytea, content_type text, secret text, at timestamptz, leeway interval DEFAULT '0')
    RETURNS @extschema@.cc_postback
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_verify_postback_bytea';
COMMENT ON FUNCTION @extschema@.cc_verify_postback(bytea, text, text, timestamptz, interval) IS
    'verification of a postback as of a given time';

CREATE OR REPLACE FUNCTION @extschema@.cc_parse_postback(body text, content_type text) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_parse_postback';
COMMENT ON FUNCTION @extschema@.cc_parse_postback(text, text) IS
    'the body as jsonb, without the token and NOT verified; error 22P02 if it cannot be read';

CREATE OR REPLACE FUNCTION @extschema@.cc_parse_postback(body bytea, content_type text) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_parse_postback_bytea';
COMMENT ON FUNCTION @extschema@.cc_parse_postback(bytea, text) IS
    'the body as jsonb, without the token and NOT verified; error 22P02 if it cannot be read';

CREATE OR REPLACE FUNCTION @extschema@.cc_sign_token(claims jsonb, secret text) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_sign_token';
COMMENT ON FUNCTION @extschema@.cc_sign_token(jsonb, text) IS
    'a token with these claims, signed HS256 as by the service; for tests and experiments';

-- application/x-www-form-urlencoded (WHATWG URL Standard, section 5.2). E'': whatever standard_conforming_strings is here.
CREATE OR REPLACE FUNCTION @extschema@.cc_form_encode(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT string_agg(CASE WHEN c ~ '^[A-Za-z0-9*._-]$' THEN c
                           WHEN c = ' ' THEN '+'
                           ELSE upper(regexp_replace(encode(convert_to(c, 'UTF8'), 'hex'), '(..)', E'%\\1', 'g')) END,
                      '' ORDER BY n)
      FROM unnest(string_to_array(value, NULL)) WITH ORDINALITY AS character (c, n)
);
COMMENT ON FUNCTION @extschema@.cc_form_encode(text) IS 'internal: a value encoded for a form, for cc_sample_postback()';

-- The sample of the service's documentation. Its token is valid for five minutes, like the service's tokens.
CREATE OR REPLACE FUNCTION @extschema@.cc_sample_postback(
    secret       text,
    content_type text DEFAULT 'application/json',
    invoice_id   text DEFAULT 'ILRAJE1Q',
    order_id     text DEFAULT 'ORDER_93223',
    amount_usd   numeric DEFAULT 0.1,
    amount_crypto numeric DEFAULT 0.000113,
    currency     text DEFAULT 'BNB',
    status       text DEFAULT 'success',
    invoice_info jsonb DEFAULT '{}',
    expires_at   timestamptz DEFAULT statement_timestamp() + interval '5 minutes'
) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    -- exp has microseconds, so that the next call makes another token: a token is valid for one delivery.
    WITH signed AS (
        SELECT @extschema@.cc_sign_token(jsonb_build_object('id', invoice_id, 'exp', extract(epoch FROM expires_at)), secret) AS token
    ), info AS (
        SELECT jsonb_build_object(
            'uuid', 'INV-' || invoice_id, 'created', '2026-01-27 10:20:04.222439',
            'address', '0x635DBa9c6e5E9aF0d9b1C2f3A4e5B6c7D8e9F0a1',
            'currency', jsonb_build_object('id', 20, 'code', currency, 'fullcode', currency, 'name', currency,
                                           'network', jsonb_build_object('code', 'BSC', 'id', 20, 'fullname', 'BNB Smart Chain')),
            'date_finished', '2026-01-27 10:23:14.000940', 'expiry_date', '2026-01-28 10:20:04.197389',
            'side_commission', 'client', 'type_payments', 'crypto', 'amount', amount_crypto,
            'status', 'paid', 'invoice_status', 'success', 'project', jsonb_build_object('id', 1, 'name', 'Test'),
            'tx_list', jsonb_build_array('0x12fb777c41b58b8304278416e5a8a9b0c1d2e3f4a5b6c7d8e9f0c1e7708b2160'),
            'amount_in_crypto', NULL, 'amount_in_fiat', amount_usd, 'amount_usd', amount_usd, 'amount_to_pay', amount_crypto,
            'amount_to_pay_usd', amount_usd, 'amount_paid', amount_crypto, 'amount_paid_usd', amount_usd, 'fee', 0, 'fee_usd', 0,
            'service_fee', 0.000002, 'service_fee_usd', 0, 'received', amount_crypto, 'received_usd', amount_usd,
            'to_surcharge', 0, 'to_surcharge_usd', 0, 'test_mode', false, 'type', 'up') || invoice_info AS members
    )
    -- In a form the service omits an order_id that is null, and sends only the names of the members of invoice_info.
    SELECT CASE WHEN content_type LIKE 'application/x-www-form-urlencoded%' THEN
                    (SELECT string_agg(field.name || '=' || @extschema@.cc_form_encode(field.value), '&' ORDER BY field.place)
                       FROM (VALUES (1, 'status', status), (2, 'invoice_id', invoice_id), (3, 'amount_crypto', amount_crypto::text),
                                    (4, 'currency', currency), (5, 'order_id', order_id),
                                    (6, 'token', signed.token)) AS field (place, name, value)
                      WHERE field.value IS NOT NULL)
                    || (SELECT string_agg('&invoice_info=' || @extschema@.cc_form_encode(member), '')
                          FROM jsonb_object_keys(info.members) AS member)
                ELSE jsonb_pretty(jsonb_build_object('status', status, 'invoice_id', invoice_id, 'amount_crypto', amount_crypto,
                                                     'currency', currency, 'order_id', order_id, 'token', signed.token,
                                                     'invoice_info', info.members))
           END
      FROM signed, info;
END;
COMMENT ON FUNCTION @extschema@.cc_sample_postback(text, text, text, text, numeric, numeric, text, text, jsonb, timestamptz) IS
    'a complete, freshly signed body like the service''s, as JSON or a form; for tests and experiments';
