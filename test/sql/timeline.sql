-- cc_timeline: the history of an order, an invoice, a transaction, an address.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE SCHEMA cc;
CREATE EXTENSION cryptocloud_postback SCHEMA cc;
CREATE ROLE regress_shop;
CREATE ROLE regress_support;
GRANT USAGE, CREATE ON SCHEMA cc TO regress_shop;
GRANT USAGE ON SCHEMA cc TO regress_support;
GRANT EXECUTE ON FUNCTION cc.cc_timeline(text, text), cc.cc_apply(integer) TO regress_shop;
\set VERBOSITY terse
SET ROLE regress_shop;
SELECT cc.cc_setup();
INSERT INTO cc.cc_project (name, secret) VALUES ('default', 's3cret'), ('second', 'TOPSECRET');
CREATE FUNCTION cc.mark() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.order_id = 'BROKEN' THEN RAISE 'no such order'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER mark AFTER INSERT OR UPDATE OF paid_at ON cc.cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL)
    EXECUTE FUNCTION cc.mark();
CREATE FUNCTION cc.deliver(invoice text, orderid text, secret text DEFAULT 's3cret', shop text DEFAULT 'default',
    type text DEFAULT 'application/json', amount numeric DEFAULT 0.000113)
    RETURNS text LANGUAGE sql AS $$
    INSERT INTO cc.cc_inbox AS i (project, body, content_type)
    VALUES (shop, cc.cc_sample_postback(secret, type, invoice, orderid, amount_crypto => amount), type)
    RETURNING concat_ws('/', i.state, i.reason) $$;
-- The events in order, without their times
CREATE FUNCTION cc.told(search text, project text DEFAULT NULL) RETURNS TABLE (event text, detail text, id bigint) LANGUAGE sql AS $$
    SELECT event, regexp_replace(detail, '0x635D.*', '…'), inbox_id FROM cc.cc_timeline(search, project) $$;

SELECT cc.deliver('AAA', 'ORDER-1'), cc.deliver('AAA', 'ORDER-1'), cc.deliver('BBB', 'ORDER-1'), cc.deliver('CCC', 'ORDER-2');
-- Claims without proof: a forged JSON, a forged form, one for another project's secret, one that is no JSON
SELECT cc.deliver('AAA', 'ORDER-1', 'forged'), cc.deliver('ZZZ', 'ORDER-1', 'forged', 'default', 'application/x-www-form-urlencoded'),
       cc.deliver('AAA', 'ORDER-1', 's3cret', 'second'), cc.deliver('CCC', 'ORDER-2', 'forged');
INSERT INTO cc.cc_inbox (body, content_type) VALUES ('{"invoice_id": "AAA", "order_id": "ORDER-1"', 'application/json');

-- Times and events of one invoice in full
SELECT CASE WHEN at < '2026-02-01' THEN at::text WHEN at <= statement_timestamp() THEN 'today' END AS at, event, detail,
    inbox_id FROM cc.cc_timeline('AAA', 'default') WHERE inbox_id IS NULL OR inbox_id < 3;
-- By order, by invoice with and without INV-, with white space around, by address and transaction
SELECT * FROM cc.told('ORDER-1');
SELECT * FROM cc.told(E' INV-BBB\n');
SELECT count(*) FROM cc.told('BBB');
SELECT event, count(*) FROM cc.cc_timeline((SELECT address FROM cc.cc_invoice LIMIT 1)) GROUP BY 1 ORDER BY 1;
SELECT event, count(*) FROM cc.cc_timeline((SELECT tx_list[1] FROM cc.cc_invoice LIMIT 1)) GROUP BY 1 ORDER BY 1;
-- Of one project; nothing; nothing to search for
SELECT * FROM cc.told('ORDER-1', 'second');
SELECT * FROM cc.told('ORDER-9');
SELECT * FROM cc.told('order-1');
SELECT * FROM cc.told(' ');
SELECT * FROM cc.told('INV-');
SELECT * FROM cc.told(NULL);

-- An order whose trigger fails has no invoice, but is found; it is applied later
SELECT cc.deliver('DDD', 'BROKEN');
SELECT * FROM cc.told('BROKEN');
UPDATE cc.cc_inbox SET received_at = received_at - interval '1 day' WHERE invoice_id = 'DDD';
CREATE OR REPLACE FUNCTION cc.mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
SELECT cc.cc_apply();
SELECT event, regexp_replace(detail, '\d\d:\d\d:\d\d', '<time>') AS detail, id FROM cc.told('BROKEN') WHERE id IS NOT NULL;
-- A conflict, a token with other content
SELECT cc.deliver('DDD', 'another');
SELECT event, detail FROM cc.told('another') WHERE event = 'conflict';
SELECT cc.cc_sign_token(jsonb_build_object('exp', 4000000000), 's3cret') AS token \gset
INSERT INTO cc.cc_inbox (body, content_type) VALUES
    (json_build_object('status', 'success', 'invoice_id', 'INV-EEE', 'amount_crypto', 1, 'currency', 'BNB', 'order_id', 'ORDER-5', 'token',
        :'token'), 'application/json'),
    (json_build_object('status', 'success', 'invoice_id', 'INV-EEE', 'amount_crypto', 9, 'currency', 'BNB', 'order_id', 'ORDER-5', 'token',
        :'token'), 'application/json');
SELECT * FROM cc.told('EEE');

-- Names spelled with escapes, and a stranger's text
SELECT cc.deliver('F"/é', E'заказ\t№ 1', 'forged'),
    cc.deliver('GGG', E'x\x1b[2J''; DROP TABLE orders; --' || repeat('y', 60), 'forged');
SELECT * FROM cc.told('F"/é');
SELECT * FROM cc.told('GGG');

-- By grant only; no table, no body, no token
SELECT has_function_privilege('public', 'cc.cc_timeline(text, text)', 'EXECUTE');
RESET ROLE;
SET ROLE regress_support;
SELECT * FROM cc.cc_timeline('AAA');
RESET ROLE;
GRANT EXECUTE ON FUNCTION cc.cc_timeline(text, text) TO regress_support;
SET ROLE regress_support;
SELECT count(*) > 5 AS some, count(*) FILTER (WHERE t::text ~ 's3cret|eyJ|token') AS with_secret_or_token FROM cc.cc_timeline('AAA') AS t;
SELECT * FROM cc.cc_timeline_rows('AAA', NULL);
SELECT count(*) FROM cc.cc_inbox;
RESET ROLE;

-- The owner may add columns, also of these names
SET ROLE regress_shop;
BEGIN;
ALTER TABLE cc.cc_inbox ADD payload jsonb, ADD at timestamptz, ADD event text, ADD detail text;
ALTER TABLE cc.cc_invoice ADD payload jsonb, ADD at timestamptz, ADD event text, ADD detail text;
SELECT count(*) > 0 AS found FROM cc.cc_timeline('ORDER-1');
ROLLBACK;
RESET ROLE;

-- An order of many invoices, as of a static wallet, and a claim that names but one of them
SET ROLE regress_shop;
SELECT count(*) FROM generate_series(1, 12) AS n, cc.deliver('WALLET' || n, 'CUSTOMER');
SELECT cc.deliver('WALLET7', 'elsewhere', 'forged');
SELECT event, count(*) FROM cc.told('CUSTOMER') WHERE event IN ('applied', 'unverified') GROUP BY 1 ORDER BY 1;
RESET ROLE;

-- A row without its body: what the postback said is no longer known
SET ROLE regress_shop;
UPDATE cc.cc_inbox SET body = NULL WHERE invoice_id = 'CCC' AND state = 'applied';
SELECT detail FROM cc.told('CCC') WHERE event = 'applied';
RESET ROLE;

-- An order and an invoice are found by index, and so are the postbacks that may claim them: rows read in this transaction, of 20,000
SET ROLE regress_shop;
ALTER TABLE cc.cc_inbox DISABLE TRIGGER USER;
INSERT INTO cc.cc_inbox (received_at, body, content_type, state, invoice_id)
SELECT now(), cc.cc_sample_postback('-', invoice_id => 'Z' || n), 'application/json', 'applied',
    'Z' || n FROM generate_series(1, 20000) AS n;
INSERT INTO cc.cc_invoice (project, invoice_id, order_id, status, amount_crypto, currency, token_expires_at, received_at, updated_at)
SELECT 'default', 'Z' || n, 'ZO' || n, 'success', 1, 'BNB', now(), now(), now() FROM generate_series(1, 20000) AS n;
ALTER TABLE cc.cc_inbox ENABLE TRIGGER USER;
ANALYZE cc.cc_inbox, cc.cc_invoice;
SELECT pg_stat_force_next_flush();
BEGIN;
SET LOCAL enable_seqscan = off;
SELECT count(*) FROM cc.cc_timeline('ZO777');
SELECT count(*) FROM cc.cc_timeline('INV-Z777');
SELECT relname, seq_scan, idx_tup_fetch < 100 AS few FROM pg_stat_xact_user_tables
 WHERE schemaname = 'cc' AND relname IN ('cc_inbox', 'cc_invoice') ORDER BY 1;
COMMIT;
RESET ROLE;
DROP SCHEMA cc CASCADE;
DROP ROLE regress_shop, regress_support;
