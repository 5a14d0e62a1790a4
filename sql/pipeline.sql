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
