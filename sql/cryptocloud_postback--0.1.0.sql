-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cryptocloud_postback" to load this file. \quit

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'cryptocloud_postback needs a database with encoding UTF8, not %', current_setting('server_encoding')
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END
$$;

--------------------------------------------------------------------------------------------------------------------------
-- Verification: functions of their arguments alone. They need none of the tables that cc_setup() makes.
--------------------------------------------------------------------------------------------------------------------------

CREATE TYPE cc_postback AS (
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
COMMENT ON TYPE cc_postback IS 'a verified postback, or the reason why it is not';
COMMENT ON COLUMN cc_postback.verified IS 'true if the token proves that the postback is genuine and in time; never NULL';
COMMENT ON COLUMN cc_postback.reason IS 'why not, NULL when verified; README.md lists the words';
COMMENT ON COLUMN cc_postback.status IS 'the field status; this and all that follow but payload are NULL unless verified';
COMMENT ON COLUMN cc_postback.invoice_id IS 'the field invoice_id without INV-';
COMMENT ON COLUMN cc_postback.amount_crypto IS 'the exact decimal that was sent';
COMMENT ON COLUMN cc_postback.currency IS 'the field currency';
COMMENT ON COLUMN cc_postback.order_id IS 'the field order_id; NULL if absent or empty';
COMMENT ON COLUMN cc_postback.token_expires_at IS 'the claim exp';
COMMENT ON COLUMN cc_postback.claims IS 'the claims of the token';
COMMENT ON COLUMN cc_postback.payload IS 'the whole body without the token, if it could be read, verified or not';

-- Each function is there twice: for text, which PostgreSQL knows to be valid UTF-8, and for bytea, where that is checked.
-- A NULL or empty secret is an error of the caller (22023), as are a NULL or infinite time and a negative leeway.
-- A body, whatever bytes it holds, never is: the reason tells what is wrong with it.
-- The token is a JWS in compact serialisation (RFC 7515) with claims (RFC 7519), signed HS256 (RFC 7518).

CREATE FUNCTION cc_verify_postback(body text, content_type text, secret text) RETURNS cc_postback
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_verify_postback';
COMMENT ON FUNCTION cc_verify_postback(text, text, text) IS
    'verify a postback at the time of the current statement';

CREATE FUNCTION cc_verify_postback(body bytea, content_type text, secret text) RETURNS cc_postback
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_verify_postback_bytea';
COMMENT ON FUNCTION cc_verify_postback(bytea, text, text) IS
    'verify a postback at the time of the current statement';

-- A leeway lengthens the token's life at both ends. Its days count 24 hours and its months 30 days, whatever the time zone.
CREATE FUNCTION cc_verify_postback(body text, content_type text, secret text, at timestamptz, leeway interval DEFAULT '0')
    RETURNS cc_postback
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_verify_postback';
COMMENT ON FUNCTION cc_verify_postback(text, text, text, timestamptz, interval) IS
    'verify a postback as of a given time';

CREATE FUNCTION cc_verify_postback(body bytea, content_type text, secret text, at timestamptz, leeway interval DEFAULT '0')
    RETURNS cc_postback
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_verify_postback_bytea';
COMMENT ON FUNCTION cc_verify_postback(bytea, text, text, timestamptz, interval) IS
    'verify a postback as of a given time';

CREATE FUNCTION cc_parse_postback(body text, content_type text) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_parse_postback';
COMMENT ON FUNCTION cc_parse_postback(text, text) IS
    'the body as jsonb, without the token and NOT verified; error 22P02 if it cannot be read';

CREATE FUNCTION cc_parse_postback(body bytea, content_type text) RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_parse_postback_bytea';
COMMENT ON FUNCTION cc_parse_postback(bytea, text) IS
    'the body as jsonb, without the token and NOT verified; error 22P02 if it cannot be read';

CREATE FUNCTION cc_sign_token(claims jsonb, secret text) RETURNS text
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'cc_sign_token';
COMMENT ON FUNCTION cc_sign_token(jsonb, text) IS
    'a token with these claims, signed HS256, as the service would make it; for tests and for trying things out';

-- application/x-www-form-urlencoded (WHATWG URL Standard, section 5.2).
CREATE FUNCTION cc_form_encode(value text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE SET search_path = pg_catalog, pg_temp
RETURN (
    SELECT string_agg(CASE WHEN c ~ '^[A-Za-z0-9*._-]$' THEN c
                           WHEN c = ' ' THEN '+'
                           ELSE upper(regexp_replace(encode(convert_to(c, 'UTF8'), 'hex'), '(..)', '%\1', 'g')) END,
                      '' ORDER BY n)
      FROM unnest(string_to_array(value, NULL)) WITH ORDINALITY AS character (c, n)
);
COMMENT ON FUNCTION cc_form_encode(text) IS 'a value as a form spells it; used by cc_sample_postback';

-- The documented sample of the service, with a token that is valid for five minutes as the service's are.
CREATE FUNCTION cc_sample_postback(
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
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    -- To the microsecond: a token is good for one delivery, and the next call is to make another one.
    token  CONSTANT text := @extschema@.cc_sign_token(
        jsonb_build_object('id', invoice_id, 'exp', extract(epoch FROM expires_at)), secret);
    fields CONSTANT jsonb := jsonb_build_object('status', status, 'invoice_id', invoice_id, 'amount_crypto', amount_crypto,
                                                'currency', currency, 'order_id', order_id, 'token', token);
    info   CONSTANT jsonb := jsonb_build_object(
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
        'to_surcharge', 0, 'to_surcharge_usd', 0, 'test_mode', false, 'type', 'up') || invoice_info;
BEGIN
    IF content_type LIKE 'application/x-www-form-urlencoded%' THEN
        -- The service leaves out an order_id that is null, and sends of invoice_info the names of its members.
        RETURN (SELECT string_agg(name || '=' || @extschema@.cc_form_encode(value), '&' ORDER BY place)
                  FROM (VALUES (1, 'status', status), (2, 'invoice_id', invoice_id), (3, 'amount_crypto', amount_crypto::text),
                               (4, 'currency', currency), (5, 'order_id', order_id), (6, 'token', token)) AS field (place, name, value)
                 WHERE value IS NOT NULL)
            || (SELECT string_agg('&invoice_info=' || @extschema@.cc_form_encode(key), '') FROM jsonb_object_keys(info) AS key);
    END IF;
    RETURN jsonb_pretty(fields || jsonb_build_object('invoice_info', info));
END
$$;
COMMENT ON FUNCTION cc_sample_postback(text, text, text, text, numeric, numeric, text, text, jsonb, timestamptz) IS
    'a complete, freshly signed body as the service would send it, in either format; to try things out on yourself';
--------------------------------------------------------------------------------------------------------------------------
-- Tables: made by cc_setup(), owned by whoever calls it, not members of the extension. So pg_dump takes them with their
-- rows and with the triggers that the merchant put on them, and DROP EXTENSION does not take them away.
--------------------------------------------------------------------------------------------------------------------------

-- Checks before the constraints do: their messages show the failing row, and with it the secret.
CREATE FUNCTION cc_project_check() RETURNS trigger
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    problem CONSTANT text := CASE
        WHEN NEW.name IS NULL OR NEW.name = '' THEN 'name must not be empty'
        WHEN length(NEW.name) > 255 THEN 'name must not be longer than 255 characters'
        WHEN NEW.secret IS NULL OR NEW.secret = '' THEN 'secret must not be empty'
        WHEN NEW.previous_secret = '' THEN 'previous_secret must not be empty'
        WHEN NEW.previous_secret IS NOT NULL AND NEW.previous_secret_until IS NULL
            THEN 'previous_secret needs previous_secret_until'
        WHEN NEW.leeway IS NULL OR NOT isfinite(NEW.leeway) OR NEW.leeway < '0' THEN 'leeway must be finite and not negative'
        WHEN NEW.apply IS NULL OR NEW.apply NOT IN ('immediate', 'deferred') THEN 'apply must be immediate or deferred'
        WHEN num_nulls(NEW.require_order_id, NEW.accept_test_payments, NEW.notify) > 0 THEN 'a setting must not be null'
    END;
BEGIN
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'invalid project: %', problem USING ERRCODE = 'check_violation', TABLE = 'cc_project';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION cc_project_check() IS 'trigger function: refuses a project that could not work, without showing its secret';

CREATE FUNCTION cc_setup() RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
AS $$
DECLARE
    is_new CONSTANT boolean := to_regclass('@extschema@.cc_project') IS NULL;
    grants record;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('@extschema@.cc_setup', 0));

    CREATE TABLE IF NOT EXISTS @extschema@.cc_project (
        name                  text PRIMARY KEY CHECK (name <> '' AND length(name) <= 255),
        secret                text NOT NULL CHECK (secret <> ''),
        previous_secret       text CHECK (previous_secret <> ''),
        previous_secret_until timestamptz,
        require_order_id      boolean NOT NULL DEFAULT false,
        leeway                interval NOT NULL DEFAULT '0' CHECK (leeway >= '0'),
        accept_test_payments  boolean NOT NULL DEFAULT false,
        notify                boolean NOT NULL DEFAULT false,
        apply                 text NOT NULL DEFAULT 'immediate' CHECK (apply IN ('immediate', 'deferred')),
        CHECK (previous_secret IS NULL OR previous_secret_until IS NOT NULL)
    );
    COMMENT ON TABLE @extschema@.cc_project IS 'a shop in the merchant''s account: what its postbacks are signed with, and how they are taken';
    COMMENT ON COLUMN @extschema@.cc_project.name IS 'what cc_inbox.project names';
    COMMENT ON COLUMN @extschema@.cc_project.secret IS 'the SECRET KEY of the project, as the service shows it';
    COMMENT ON COLUMN @extschema@.cc_project.previous_secret IS 'the key before: verifies as well while previous_secret_until lies ahead';
    COMMENT ON COLUMN @extschema@.cc_project.previous_secret_until IS 'when previous_secret stops verifying';
    COMMENT ON COLUMN @extschema@.cc_project.require_order_id IS 'reject a postback without order_id';
    COMMENT ON COLUMN @extschema@.cc_project.leeway IS 'how far the clocks may be apart when a token is judged';
    COMMENT ON COLUMN @extschema@.cc_project.accept_test_payments IS 'let a test payment count as paid';
    COMMENT ON COLUMN @extschema@.cc_project.notify IS 'NOTIFY cc_invoice for each applied postback';
    COMMENT ON COLUMN @extschema@.cc_project.apply IS 'immediate: with the insert; deferred: when cc_apply() is called';
    -- ANALYZE is to keep no copy of a secret, nor of a body with its token.
    ALTER TABLE @extschema@.cc_project ALTER secret SET STATISTICS 0, ALTER previous_secret SET STATISTICS 0;
    CREATE OR REPLACE TRIGGER cc_project_check BEFORE INSERT OR UPDATE ON @extschema@.cc_project
        FOR EACH ROW EXECUTE FUNCTION @extschema@.cc_project_check();

    CREATE TABLE IF NOT EXISTS @extschema@.cc_inbox (
        id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        project          text NOT NULL DEFAULT 'default',
        received_at      timestamptz NOT NULL,
        content_type     text,
        body             text,
        raw              bytea,
        state            text NOT NULL,
        reason           text,
        invoice_id       text,
        token_digest     bytea,
        content_digest   bytea,
        token_expires_at timestamptz,
        error            text,
        attempts         integer NOT NULL DEFAULT 0,
        applied_at       timestamptz
    );
    COMMENT ON TABLE @extschema@.cc_inbox IS 'every postback as it arrived; insert (body, content_type) or (project, body, content_type), the rest is filled in';
    COMMENT ON COLUMN @extschema@.cc_inbox.id IS 'in the order of arrival';
    COMMENT ON COLUMN @extschema@.cc_inbox.project IS 'the name of a cc_project';
    COMMENT ON COLUMN @extschema@.cc_inbox.received_at IS 'when it was inserted: the time that its token is judged at';
    COMMENT ON COLUMN @extschema@.cc_inbox.content_type IS 'the header Content-Type; NULL, empty or blank: JSON if the body begins with {, else a form';
    COMMENT ON COLUMN @extschema@.cc_inbox.body IS 'the request body';
    COMMENT ON COLUMN @extschema@.cc_inbox.raw IS 'the request body instead, if it is no text (a NUL byte, invalid UTF-8)';
    COMMENT ON COLUMN @extschema@.cc_inbox.state IS 'rejected, pending, applied, duplicate, conflict or failed';
    COMMENT ON COLUMN @extschema@.cc_inbox.reason IS 'why it is rejected';
    COMMENT ON COLUMN @extschema@.cc_inbox.invoice_id IS 'the invoice of a verified postback, without INV-';
    COMMENT ON COLUMN @extschema@.cc_inbox.token_digest IS 'SHA-256 of the token of a verified postback';
    COMMENT ON COLUMN @extschema@.cc_inbox.content_digest IS 'SHA-256 of the content without the token, as jsonb';
    COMMENT ON COLUMN @extschema@.cc_inbox.token_expires_at IS 'exp of the token: newer postbacks have later ones';
    COMMENT ON COLUMN @extschema@.cc_inbox.error IS 'what the merchant''s trigger or constraint said when applying failed';
    COMMENT ON COLUMN @extschema@.cc_inbox.attempts IS 'how often it was tried to apply it';
    COMMENT ON COLUMN @extschema@.cc_inbox.applied_at IS 'when it was applied';
    ALTER TABLE @extschema@.cc_inbox ALTER body SET STATISTICS 0, ALTER raw SET STATISTICS 0;
    -- A token is good for one delivery.
    CREATE UNIQUE INDEX IF NOT EXISTS cc_inbox_token ON @extschema@.cc_inbox (token_digest, project)
        WHERE state NOT IN ('rejected', 'duplicate');
    CREATE INDEX IF NOT EXISTS cc_inbox_invoice ON @extschema@.cc_inbox (invoice_id, project);
    CREATE INDEX IF NOT EXISTS cc_inbox_unapplied ON @extschema@.cc_inbox (attempts, id) WHERE state IN ('pending', 'failed');
    CREATE OR REPLACE TRIGGER cc_inbox_insert BEFORE INSERT ON @extschema@.cc_inbox
        FOR EACH ROW EXECUTE FUNCTION @extschema@.cc_inbox_insert();

    CREATE TABLE IF NOT EXISTS @extschema@.cc_invoice (
        project           text NOT NULL,
        invoice_id        text NOT NULL,
        order_id          text,
        status            text NOT NULL,
        amount_crypto     numeric NOT NULL,
        currency          text NOT NULL,
        paid_at           timestamptz,
        is_test           boolean,
        payment           text,
        invoice_status    text,
        payment_status    text,
        network           text,
        address           text,
        tx_list           text[],
        amount            numeric,
        amount_in_crypto  numeric,
        amount_in_fiat    numeric,
        amount_usd        numeric,
        amount_to_pay     numeric,
        amount_to_pay_usd numeric,
        amount_paid       numeric,
        amount_paid_usd   numeric,
        fee               numeric,
        fee_usd           numeric,
        service_fee       numeric,
        service_fee_usd   numeric,
        received          numeric,
        received_usd      numeric,
        to_surcharge      numeric,
        to_surcharge_usd  numeric,
        side_commission   text,
        type_payments     text,
        created_at        timestamptz,
        expires_at        timestamptz,
        finished_at       timestamptz,
        info              jsonb,
        token_expires_at  timestamptz NOT NULL,
        received_at       timestamptz NOT NULL,
        updated_at        timestamptz NOT NULL,
        PRIMARY KEY (invoice_id, project)
    );
    COMMENT ON TABLE @extschema@.cc_invoice IS 'what the verified postbacks say of each invoice; the place for the merchant''s triggers';
    COMMENT ON COLUMN @extschema@.cc_invoice.project IS 'the name of a cc_project';
    COMMENT ON COLUMN @extschema@.cc_invoice.invoice_id IS 'without INV-; unique in its project';
    COMMENT ON COLUMN @extschema@.cc_invoice.order_id IS 'the merchant''s own number; several invoices may share one';
    COMMENT ON COLUMN @extschema@.cc_invoice.status IS 'the field status';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount_crypto IS 'paid amount in the cryptocurrency, the field amount_crypto';
    COMMENT ON COLUMN @extschema@.cc_invoice.currency IS 'the field currency, such as USDT_TRC20';
    COMMENT ON COLUMN @extschema@.cc_invoice.paid_at IS 'when the first postback arrived that says it is paid; set once';
    COMMENT ON COLUMN @extschema@.cc_invoice.is_test IS 'invoice_info.test_mode: no money moved; NULL where unknown, as in a form';
    COMMENT ON COLUMN @extschema@.cc_invoice.payment IS 'amount_paid against amount_to_pay: exact, under or over; NULL where unknown';
    COMMENT ON COLUMN @extschema@.cc_invoice.invoice_status IS 'invoice_info.invoice_status: success once confirmed';
    COMMENT ON COLUMN @extschema@.cc_invoice.payment_status IS 'invoice_info.status: created, paid, partial, overpaid or canceled';
    COMMENT ON COLUMN @extschema@.cc_invoice.network IS 'invoice_info.currency.network.code';
    COMMENT ON COLUMN @extschema@.cc_invoice.address IS 'invoice_info.address';
    COMMENT ON COLUMN @extschema@.cc_invoice.tx_list IS 'invoice_info.tx_list: the transactions';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount IS 'invoice_info.amount';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount_in_crypto IS 'invoice_info.amount_in_crypto';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount_in_fiat IS 'invoice_info.amount_in_fiat';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount_usd IS 'invoice_info.amount_usd';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount_to_pay IS 'invoice_info.amount_to_pay, in the cryptocurrency';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount_to_pay_usd IS 'invoice_info.amount_to_pay_usd';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount_paid IS 'invoice_info.amount_paid, in the cryptocurrency';
    COMMENT ON COLUMN @extschema@.cc_invoice.amount_paid_usd IS 'invoice_info.amount_paid_usd';
    COMMENT ON COLUMN @extschema@.cc_invoice.fee IS 'invoice_info.fee';
    COMMENT ON COLUMN @extschema@.cc_invoice.fee_usd IS 'invoice_info.fee_usd';
    COMMENT ON COLUMN @extschema@.cc_invoice.service_fee IS 'invoice_info.service_fee';
    COMMENT ON COLUMN @extschema@.cc_invoice.service_fee_usd IS 'invoice_info.service_fee_usd';
    COMMENT ON COLUMN @extschema@.cc_invoice.received IS 'invoice_info.received, what reaches the merchant';
    COMMENT ON COLUMN @extschema@.cc_invoice.received_usd IS 'invoice_info.received_usd';
    COMMENT ON COLUMN @extschema@.cc_invoice.to_surcharge IS 'invoice_info.to_surcharge';
    COMMENT ON COLUMN @extschema@.cc_invoice.to_surcharge_usd IS 'invoice_info.to_surcharge_usd';
    COMMENT ON COLUMN @extschema@.cc_invoice.side_commission IS 'invoice_info.side_commission: who pays the fee';
    COMMENT ON COLUMN @extschema@.cc_invoice.type_payments IS 'invoice_info.type_payments';
    COMMENT ON COLUMN @extschema@.cc_invoice.created_at IS 'invoice_info.created';
    COMMENT ON COLUMN @extschema@.cc_invoice.expires_at IS 'invoice_info.expiry_date';
    COMMENT ON COLUMN @extschema@.cc_invoice.finished_at IS 'invoice_info.date_finished: when the service took it for paid';
    COMMENT ON COLUMN @extschema@.cc_invoice.info IS 'invoice_info as it came';
    COMMENT ON COLUMN @extschema@.cc_invoice.token_expires_at IS 'exp of the newest postback';
    COMMENT ON COLUMN @extschema@.cc_invoice.received_at IS 'when the first postback arrived';
    COMMENT ON COLUMN @extschema@.cc_invoice.updated_at IS 'when the last postback arrived that was applied';

    -- Most of the time of an insert would go into pglz. Without lz4 in this PostgreSQL, it does.
    BEGIN
        ALTER TABLE @extschema@.cc_inbox ALTER body SET COMPRESSION lz4, ALTER raw SET COMPRESSION lz4;
        ALTER TABLE @extschema@.cc_invoice ALTER info SET COMPRESSION lz4;
    EXCEPTION WHEN feature_not_supported THEN
        NULL;
    END;

    -- Private to the owner, also where ALTER DEFAULT PRIVILEGES opens new tables to others. Later grants are the owner's affair.
    IF is_new THEN
        FOR grants IN
            SELECT DISTINCT c.oid::regclass AS relation, coalesce(quote_ident(r.rolname), 'PUBLIC') AS grantee
              FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) AS a LEFT JOIN pg_roles r ON r.oid = a.grantee
             WHERE c.oid = ANY (ARRAY['@extschema@.cc_project', '@extschema@.cc_inbox', '@extschema@.cc_invoice',
                                      pg_get_serial_sequence('@extschema@.cc_inbox', 'id')]::regclass[])
               AND a.grantee <> c.relowner
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %s', grants.relation, grants.grantee);
        END LOOP;
    END IF;
END
$$;
COMMENT ON FUNCTION cc_setup() IS
    'make the tables cc_project, cc_inbox and cc_invoice, or bring them up to this version; may be called at any time';
--------------------------------------------------------------------------------------------------------------------------
-- Pipeline: an insert into cc_inbox verifies the postback, stores it and brings its invoice up to date.
--
--   cc_receive ──▶ cc_inbox ──▶ cc_inbox_insert ──▶ cc_deliver ──▶ cc_invoice ──▶ merchant's triggers
--                                                        ▲
--   cc_apply (pending and failed rows again) ────────────┘
--
-- What runs at every insert is in C++, under the same names in src/pg: it finds rows by index without a plan, as setting up
-- the executor takes longer than the answer. cc_inbox_insert calls the code of cc_deliver directly. What runs seldom is SQL.
--------------------------------------------------------------------------------------------------------------------------

-- What a SECURITY DEFINER function calls first. It then has the rights of the owner of the tables, and no others: the
-- merchant's triggers run with those too, not with the rights of whoever created the extension, often a superuser.
-- ERROR 42501 outside of a SECURITY DEFINER function, or if its definer could not SET ROLE to the owner; 42P01 if there is no
-- such table.
CREATE FUNCTION cc_become_owner(relation regclass) RETURNS oid
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION cc_become_owner(regclass) IS
    'internal: go on with the rights of a table''s owner until the calling SECURITY DEFINER function ends';

CREATE FUNCTION cc_text_or_null(bytes bytea) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION cc_text_or_null(bytea) IS 'internal: the bytes as text; NULL if they are no valid UTF-8 or hold a NUL';

-- From address on, the members of invoice_info under the names of cc_invoice.
CREATE TYPE cc_delivery AS (
    reason            text,
    invoice_id        text,
    order_id          text,
    status            text,
    amount_crypto     numeric,
    currency          text,
    token_expires_at  timestamptz,
    token_digest      bytea,
    content_digest    bytea,
    address           text,
    network           text,
    invoice_status    text,
    payment_status    text,
    side_commission   text,
    type_payments     text,
    is_test           boolean,
    amount            numeric,
    amount_in_crypto  numeric,
    amount_in_fiat    numeric,
    amount_usd        numeric,
    amount_to_pay     numeric,
    amount_to_pay_usd numeric,
    amount_paid       numeric,
    amount_paid_usd   numeric,
    fee               numeric,
    fee_usd           numeric,
    service_fee       numeric,
    service_fee_usd   numeric,
    received          numeric,
    received_usd      numeric,
    to_surcharge      numeric,
    to_surcharge_usd  numeric,
    tx_list           text[],
    created_at        timestamptz,
    expires_at        timestamptz,
    finished_at       timestamptz,
    info              jsonb
);
COMMENT ON TYPE cc_delivery IS 'internal: all that a body says, read for the pipeline';

-- All that a body says, NOT verified, and without token_expires_at; only reason if it cannot be read. The times of the service are
-- UTC and carry no zone; the session's time zone has no say in how they are read.
CREATE FUNCTION cc_read_delivery(body text, raw bytea, content_type text) RETURNS cc_delivery
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION cc_read_delivery(text, bytea, text) IS
    'internal: read a body again that was verified when it came';

-- The newer of two values, and the older where the newer is unknown: a form after a JSON never blanks what is known.
CREATE FUNCTION cc_merge(given_is_newer boolean, given anyelement, known anyelement) RETURNS anyelement
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS 'SELECT CASE WHEN given_is_newer THEN coalesce(given, known) ELSE coalesce(known, given) END';
COMMENT ON FUNCTION cc_merge(boolean, anyelement, anyelement) IS 'internal: the newer of two values that is known';

-- Which of two states counts when two tokens have the same exp: the further one.
CREATE FUNCTION cc_state_rank(status text, invoice_status text, payment_status text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN status = 'success' AND coalesce(invoice_status, 'success') = 'success' THEN 4
            WHEN payment_status IN ('paid', 'overpaid') THEN 3
            WHEN payment_status = 'canceled' OR invoice_status = 'canceled' THEN 2
            WHEN payment_status = 'partial' THEN 1
            ELSE 0 END;
COMMENT ON FUNCTION cc_state_rank(text, text, text) IS 'internal: how far an invoice has come, to order states by';

CREATE FUNCTION cc_payment(amount_paid numeric, amount_to_pay numeric) RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION cc_payment(numeric, numeric) IS 'internal: cc_invoice.payment';

-- What sets paid_at.
CREATE FUNCTION cc_is_paid(status text, invoice_status text, is_test boolean, accept_test_payments boolean) RETURNS boolean
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION cc_is_paid(text, text, boolean, boolean) IS 'internal: whether a verified delivery says that the invoice is paid';

-- Brings a known invoice up to date. False, and nothing changed, if the delivery contradicts what is known. The caller holds the
-- lock of the invoice.
-- paid_at is set in a statement of its own, and only when it changes: a trigger on UPDATE OF paid_at fires once.
CREATE FUNCTION cc_update_invoice(project text, received_at timestamptz, accept_test_payments boolean, given cc_delivery)
    RETURNS boolean
    LANGUAGE plpgsql
AS $$
DECLARE
    known    record;
    is_newer boolean;
BEGIN
    SELECT * INTO STRICT known FROM @extschema@.cc_invoice AS i
     WHERE i.project = cc_update_invoice.project AND i.invoice_id = given.invoice_id
       FOR UPDATE;
    IF given.order_id <> known.order_id
       OR (known.paid_at IS NOT NULL
           AND (given.currency <> known.currency OR given.amount_crypto < known.amount_crypto)) THEN
        RETURN false;
    END IF;

    is_newer := given.token_expires_at > known.token_expires_at
                OR (given.token_expires_at = known.token_expires_at
                    AND @extschema@.cc_state_rank(given.status, given.invoice_status, given.payment_status)
                        >= @extschema@.cc_state_rank(known.status, known.invoice_status, known.payment_status));
    UPDATE @extschema@.cc_invoice AS i
       SET order_id          = coalesce(i.order_id, given.order_id),
           status            = @extschema@.cc_merge(is_newer, given.status, i.status),
           amount_crypto     = @extschema@.cc_merge(is_newer, given.amount_crypto, i.amount_crypto),
           currency          = @extschema@.cc_merge(is_newer, given.currency, i.currency),
           is_test           = @extschema@.cc_merge(is_newer, given.is_test, i.is_test),
           payment           = @extschema@.cc_payment(@extschema@.cc_merge(is_newer, given.amount_paid, i.amount_paid),
                                                      @extschema@.cc_merge(is_newer, given.amount_to_pay, i.amount_to_pay)),
           invoice_status    = @extschema@.cc_merge(is_newer, given.invoice_status, i.invoice_status),
           payment_status    = @extschema@.cc_merge(is_newer, given.payment_status, i.payment_status),
           network           = @extschema@.cc_merge(is_newer, given.network, i.network),
           address           = @extschema@.cc_merge(is_newer, given.address, i.address),
           tx_list           = @extschema@.cc_merge(is_newer, given.tx_list, i.tx_list),
           amount            = @extschema@.cc_merge(is_newer, given.amount, i.amount),
           amount_in_crypto  = @extschema@.cc_merge(is_newer, given.amount_in_crypto, i.amount_in_crypto),
           amount_in_fiat    = @extschema@.cc_merge(is_newer, given.amount_in_fiat, i.amount_in_fiat),
           amount_usd        = @extschema@.cc_merge(is_newer, given.amount_usd, i.amount_usd),
           amount_to_pay     = @extschema@.cc_merge(is_newer, given.amount_to_pay, i.amount_to_pay),
           amount_to_pay_usd = @extschema@.cc_merge(is_newer, given.amount_to_pay_usd, i.amount_to_pay_usd),
           amount_paid       = @extschema@.cc_merge(is_newer, given.amount_paid, i.amount_paid),
           amount_paid_usd   = @extschema@.cc_merge(is_newer, given.amount_paid_usd, i.amount_paid_usd),
           fee               = @extschema@.cc_merge(is_newer, given.fee, i.fee),
           fee_usd           = @extschema@.cc_merge(is_newer, given.fee_usd, i.fee_usd),
           service_fee       = @extschema@.cc_merge(is_newer, given.service_fee, i.service_fee),
           service_fee_usd   = @extschema@.cc_merge(is_newer, given.service_fee_usd, i.service_fee_usd),
           received          = @extschema@.cc_merge(is_newer, given.received, i.received),
           received_usd      = @extschema@.cc_merge(is_newer, given.received_usd, i.received_usd),
           to_surcharge      = @extschema@.cc_merge(is_newer, given.to_surcharge, i.to_surcharge),
           to_surcharge_usd  = @extschema@.cc_merge(is_newer, given.to_surcharge_usd, i.to_surcharge_usd),
           side_commission   = @extschema@.cc_merge(is_newer, given.side_commission, i.side_commission),
           type_payments     = @extschema@.cc_merge(is_newer, given.type_payments, i.type_payments),
           created_at        = @extschema@.cc_merge(is_newer, given.created_at, i.created_at),
           expires_at        = @extschema@.cc_merge(is_newer, given.expires_at, i.expires_at),
           finished_at       = @extschema@.cc_merge(is_newer, given.finished_at, i.finished_at),
           info              = @extschema@.cc_merge(is_newer, given.info, i.info),
           token_expires_at  = greatest(given.token_expires_at, i.token_expires_at),
           updated_at        = cc_update_invoice.received_at
     WHERE i.project = cc_update_invoice.project AND i.invoice_id = given.invoice_id;

    -- A form after a JSON does not say whether it is a test; the JSON did.
    IF known.paid_at IS NULL
       AND @extschema@.cc_is_paid(given.status, given.invoice_status, coalesce(given.is_test, known.is_test), accept_test_payments) THEN
        UPDATE @extschema@.cc_invoice AS i SET paid_at = cc_update_invoice.received_at
         WHERE i.project = cc_update_invoice.project AND i.invoice_id = given.invoice_id;
    END IF;
    RETURN true;
END
$$;
COMMENT ON FUNCTION cc_update_invoice(text, timestamptz, boolean, cc_delivery) IS
    'internal: bring an invoice up to date by a verified delivery; false if it contradicts what is known';

-- Decides what becomes of a verified delivery, and applies it:
--   1. Waits until it is the only delivery of this token and of this invoice (or, with can_wait false, gives up).
--   2. The token came before with other content: rejected, token_reused. The same content came before: duplicate, unless that
--      one failed and this is another message; then it is another attempt.
--   3. A deferred project: pending. Otherwise the invoice is made, or brought up to date by cc_update_invoice, and with the
--      deferred constraints checked it is applied; or it contradicts what is known: conflict.
-- Whatever is raised in here, by the merchant's triggers and constraints too, makes it failed, and undoes no more than what was
-- done in here: the inbox row itself is safe. The merchant's triggers see a search_path that nobody who inserts can choose: this
-- schema, then what a new session of the tables' owner would have.
-- Uses the caller's rights. NULL if an argument is NULL; ERROR 22004 if given is no delivery.
CREATE FUNCTION cc_deliver(inbox_id bigint, project text, received_at timestamptz, accept_test_payments boolean, notify boolean,
                           apply_now boolean, can_wait boolean, given cc_delivery,
                           OUT state text, OUT reason text, OUT error text)
    LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION cc_deliver(bigint, text, timestamptz, boolean, boolean, boolean, boolean, cc_delivery) IS
    'internal: what becomes of a verified delivery; nothing but NULLs if another session is at work on it and can_wait is false';

-- BEFORE INSERT FOR EACH ROW. Reads the project, verifies the body under its secret (and the previous one, while that lasts) as of
-- now, and hands what is verified to cc_deliver. Whoever inserts decides about project, body, raw and content_type, and nothing else.
-- ERROR 42P01 if a table is missing, 42804 if its columns are not as cc_setup() makes them.
-- It needs no search_path: it resolves no name by one.
CREATE FUNCTION cc_inbox_insert() RETURNS trigger
    LANGUAGE c VOLATILE SECURITY DEFINER AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION cc_inbox_insert() IS 'trigger function: verifies, stores and applies what is inserted into cc_inbox';
ALTER FUNCTION cc_inbox_insert() OWNER TO @extowner@;

CREATE FUNCTION cc_apply(max_rows integer DEFAULT 100) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner   CONSTANT oid := @extschema@.cc_become_owner(to_regclass('@extschema@.cc_inbox'));
    waiting record;
    given   @extschema@.cc_delivery;
    result  record;
    settled integer := 0;
BEGIN
    -- Those that failed least come first, so that some that fail for ever never keep the others waiting.
    FOR waiting IN
        SELECT i.*, coalesce(p.accept_test_payments, false) AS accept_test_payments, coalesce(p.notify, false) AS notify
          FROM @extschema@.cc_inbox AS i LEFT JOIN @extschema@.cc_project AS p ON p.name = i.project
         WHERE i.state IN ('pending', 'failed')
         ORDER BY i.attempts, i.id
         LIMIT max_rows
           FOR UPDATE OF i SKIP LOCKED
    LOOP
        given := @extschema@.cc_read_delivery(waiting.body, waiting.raw, waiting.content_type);
        given.token_expires_at := waiting.token_expires_at;
        result := @extschema@.cc_deliver(waiting.id, waiting.project, waiting.received_at, waiting.accept_test_payments,
                                         waiting.notify, true, false, given);
        CONTINUE WHEN result.state IS NULL;  -- another session has that invoice in hand
        UPDATE @extschema@.cc_inbox AS i
           SET state = result.state, reason = result.reason, error = result.error, attempts = waiting.attempts + 1,
               applied_at = CASE WHEN result.state = 'applied' THEN clock_timestamp() END
         WHERE i.id = waiting.id;
        IF result.state <> 'failed' THEN
            settled := settled + 1;
        END IF;
        EXIT WHEN result.error LIKE '57014:%';  -- cancelled, or out of time: keep what was reached, and end
    END LOOP;
    RETURN settled;
END
$$;
COMMENT ON FUNCTION cc_apply(integer) IS
    'apply pending and failed postbacks again, at most so many; returns how many are neither any more';
ALTER FUNCTION cc_apply(integer) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION cc_apply(integer) FROM PUBLIC;

CREATE FUNCTION cc_http_answer(state text, reason text, OUT http_status integer, OUT response jsonb)
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME';
COMMENT ON FUNCTION cc_http_answer(text, text) IS 'what a proxy should send back for a row of cc_inbox with this state and reason';

CREATE FUNCTION cc_receive(body text, content_type text, project text DEFAULT 'default')
    RETURNS TABLE (http_status integer, response jsonb)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner CONSTANT oid := @extschema@.cc_become_owner(to_regclass('@extschema@.cc_inbox'));
BEGIN
    INSERT INTO @extschema@.cc_inbox AS i (project, body, content_type)
    VALUES (cc_receive.project, cc_receive.body, cc_receive.content_type)
    RETURNING (@extschema@.cc_http_answer(i.state, i.reason)).* INTO http_status, response;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION cc_receive(text, text, text) IS
    'store a postback and answer the HTTP status and the JSON to send back: all that a proxy needs to call';
ALTER FUNCTION cc_receive(text, text, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION cc_receive(text, text, text) FROM PUBLIC;

CREATE FUNCTION cc_receive(body bytea, content_type text, project text DEFAULT 'default')
    RETURNS TABLE (http_status integer, response jsonb)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    owner   CONSTANT oid := @extschema@.cc_become_owner(to_regclass('@extschema@.cc_inbox'));
    as_text CONSTANT text := @extschema@.cc_text_or_null(body);
BEGIN
    INSERT INTO @extschema@.cc_inbox AS i (project, body, raw, content_type)
    VALUES (cc_receive.project, as_text, CASE WHEN as_text IS NULL THEN cc_receive.body END, cc_receive.content_type)
    RETURNING (@extschema@.cc_http_answer(i.state, i.reason)).* INTO http_status, response;
    RETURN NEXT;
END
$$;
COMMENT ON FUNCTION cc_receive(bytea, text, text) IS
    'store a postback and answer the HTTP status and the JSON to send back: all that a proxy needs to call';
ALTER FUNCTION cc_receive(bytea, text, text) OWNER TO @extowner@;
REVOKE ALL ON FUNCTION cc_receive(bytea, text, text) FROM PUBLIC;
