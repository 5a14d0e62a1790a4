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
