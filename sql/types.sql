-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cryptocloud_postback" to load this file. \quit

-- Every name below resolves to PostgreSQL's own objects. Objects that others made in the extension's schema are never found,
-- neither now nor when a function runs. So functions in SQL have bodies that are parsed here (RETURN, BEGIN ATOMIC), and the
-- extension's own names are qualified.
SET LOCAL search_path = pg_catalog, pg_temp;

DO $$
BEGIN
    IF current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'cryptocloud_postback needs a database with encoding UTF8, not %', current_setting('server_encoding')
            USING ERRCODE = 'feature_not_supported',
                  HINT = 'Create the database with ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END
$$;

CREATE TYPE @extschema@.cc_postback AS (
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
COMMENT ON TYPE @extschema@.cc_postback IS 'a verified postback, or the reason why it is not';
COMMENT ON COLUMN @extschema@.cc_postback.verified IS 'true if the token proves that the postback is genuine and in time; never NULL';
COMMENT ON COLUMN @extschema@.cc_postback.reason IS 'why not, NULL when verified; README.md lists the words';
COMMENT ON COLUMN @extschema@.cc_postback.status IS 'the field status; this and all that follow but payload are NULL unless verified';
COMMENT ON COLUMN @extschema@.cc_postback.invoice_id IS 'the field invoice_id without INV-';
COMMENT ON COLUMN @extschema@.cc_postback.amount_crypto IS 'the exact decimal that was sent';
COMMENT ON COLUMN @extschema@.cc_postback.currency IS 'the field currency';
COMMENT ON COLUMN @extschema@.cc_postback.order_id IS 'the field order_id; NULL if absent or empty';
COMMENT ON COLUMN @extschema@.cc_postback.token_expires_at IS 'the claim exp';
COMMENT ON COLUMN @extschema@.cc_postback.claims IS 'the claims of the token';
COMMENT ON COLUMN @extschema@.cc_postback.payload IS 'the whole body without the token, if it could be read, verified or not';
