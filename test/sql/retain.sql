-- cc_purge and cc_erase: deleted data, kept data, and that no data come back.
\ir test/sql/shared/begin.sql
SET timezone = 'UTC';
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
-- A token without n binds no invoice. All tokens live for years; only the rows are old.
CREATE FUNCTION token(invoice text, n integer DEFAULT 0, secret text DEFAULT 's3cret') RETURNS text LANGUAGE sql AS $$
    SELECT cc_sign_token(jsonb_strip_nulls(jsonb_build_object('id', invoice, 'exp', 4070908800 + n)), secret) $$;
CREATE FUNCTION body(invoice text, token text, fields jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('status', 'success', 'invoice_id', invoice, 'order_id', 'O' || invoice, 'amount_crypto', 1,
                               'currency', 'BNB', 'invoice_info', jsonb '{"address": "0xSECRET", "tx_list": ["0xTX"]}')
            || fields || jsonb_build_object('token', token))::text $$;
CREATE FUNCTION deliver(body text, project text DEFAULT 'default') RETURNS text LANGUAGE sql AS $$
    INSERT INTO cc_inbox AS i (body, project) VALUES (body, project) RETURNING concat_ws('/', i.state, i.reason) $$;
CREATE PROCEDURE age(days integer DEFAULT 3) LANGUAGE sql AS $$ UPDATE cc_inbox SET received_at = now() - make_interval(days => days) $$;
CREATE VIEW rows AS
    SELECT id, concat_ws('/', state, reason) AS state, invoice_id AS invoice, token_digest IS NOT NULL AS spends,
           CASE WHEN body IS NOT NULL THEN 'body' WHEN raw IS NOT NULL THEN 'raw' ELSE 'none' END AS kept FROM cc_inbox ORDER BY id;

-- One of each kind
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON cc_invoice FOR EACH ROW WHEN (NEW.invoice_id = 'FAILED') EXECUTE FUNCTION refuse();
SELECT deliver(body('A', token('A'))), deliver(body('A', token('A'))), deliver(body('A', token('A', 1)));
SELECT deliver(body('A', token('A'), '{"amount_crypto": 9}')), deliver(body('A', token('A', 2), '{"order_id": "OTHER"}'));
SELECT deliver(body('FAILED', token('FAILED'))), deliver(body('B', token('B', 0, 'wrong'))), deliver(body('B', token('B')), 'nobody'),
       deliver(NULL);
SELECT http_status FROM cc_receive('\xff00'::bytea, 'application/json');
UPDATE cc_project SET require_order_id = true;
SELECT deliver(body('NONE', token('NONE'), '{"order_id": null}')), deliver(body('NONE', token('NONE'), '{"order_id": null}'));
UPDATE cc_project SET require_order_id = false, apply = 'deferred';
SELECT deliver(body('LATER', token('LATER')));
UPDATE cc_project SET apply = 'immediate';

-- Arguments
SELECT cc_purge(NULL);
SELECT cc_purge('1 day', NULL);
SELECT cc_purge('1 day', -1);
SELECT cc_purge('23:59:59.999999');
SELECT cc_purge('-1 year');
SELECT cc_purge('1 month -29 days -23 hours');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT cc_purge('1 day');
ROLLBACK;
BEGIN READ ONLY;
SELECT cc_purge('1 day');
ROLLBACK;
CREATE ROLE regress_stranger;
SET ROLE regress_stranger;
SELECT cc_purge('1 day');
SELECT cc_erase('A');
RESET ROLE;
DROP ROLE regress_stranger;

-- Younger rows stay; then at most max_rows, the oldest first
SELECT cc_purge('1 day');
CALL age();
SELECT cc_purge('4 days'), cc_purge('1 day', 0);
SELECT cc_purge('1 day', 2), cc_purge('1 day', 3);
SELECT * FROM rows;
SELECT cc_purge('1 day'), cc_purge('1 day');
SELECT * FROM rows;

-- In each project, also in unknown ones, and by the index: of 3,000 purged rows it reads none, of 2,000 young ones one per project
INSERT INTO cc_inbox (body) SELECT '{}' FROM generate_series(1, 5000);
CREATE TABLE others AS SELECT id, row_number() OVER (ORDER BY id DESC) AS n FROM cc_inbox WHERE body = '{}';
UPDATE cc_inbox AS i
   SET received_at = now() - CASE WHEN n > 12 AND n <= 2000 THEN interval '0' ELSE interval '2 days' END, is_purged = n > 2000,
       project = CASE WHEN n <= 12 THEN ('{a,default,z}'::text[])[n % 3 + 1] WHEN n > 1000 AND n <= 2000 THEN 'young' ELSE 'default' END
  FROM others AS o WHERE o.id = i.id;
ANALYZE cc_inbox;
SELECT pg_stat_force_next_flush();
BEGIN;
SELECT cc_purge('1 day', 7), cc_purge('1 day');
SELECT pg_stat_get_xact_tuples_returned('cc_inbox'::regclass) AS read_one_by_one,
       pg_stat_get_xact_tuples_returned('cc_inbox_received'::regclass) < 200 AS few_read_by_index;
COMMIT;
SELECT project, is_purged, count(*) FROM cc_inbox JOIN others USING (id) GROUP BY 1, 2 ORDER BY 1, 2;
DROP TABLE others;
DELETE FROM cc_inbox WHERE reason = 'missing_invoice_id';

-- A replay is always rejected, and the same message is still a duplicate
SELECT deliver(body('A', token('A'), '{"amount_crypto": 9}')), deliver(body('A', token('A', 1), '{"amount_crypto": 9}'));
SELECT deliver(body('A', token('A'))), deliver(body('A', token('A', 5))), deliver(body('NONE', token('NONE'), '{"order_id": "CHOSEN"}'));
SELECT invoice_id, amount_crypto FROM cc_invoice ORDER BY 1;

-- A row without a body cannot be judged again: it waits for a person, and keeps its token
UPDATE cc_inbox SET state = 'pending' WHERE id = 1;
SELECT cc_apply();
SELECT id, state, error, token_digest IS NOT NULL AS spends FROM cc_inbox WHERE id = 1;
SELECT deliver(body('A', token('A'), '{"amount_crypto": 9}'));
UPDATE cc_inbox SET state = 'applied', error = NULL WHERE id = 1;

-- cc_reverify does not judge it again either
SELECT id, reason FROM cc_inbox WHERE reason = 'missing_order_id' AND token_digest IS NOT NULL;
SELECT * FROM cc_reverify();
SELECT id, state, reason FROM cc_inbox WHERE invoice_id = 'NONE' AND token_digest IS NOT NULL;

-- Waiting rows still have their body, and are settled as usual
DROP TRIGGER refuse ON cc_invoice;
SELECT cc_apply();
SELECT invoice_id, paid_at IS NOT NULL AS paid FROM cc_invoice ORDER BY 1;

-- T2 for B came under a wrong secret and was rejected; T2 for A was applied, and then purged: B judged again pays nothing
TRUNCATE cc_inbox, cc_invoice;
UPDATE cc_project SET secret = 'wrong';
SELECT deliver(body('M18B', token(NULL)));
UPDATE cc_project SET secret = 's3cret';
SELECT deliver(body('M18A', token(NULL)));
CALL age();
UPDATE cc_inbox SET received_at = now() WHERE state = 'rejected';
SELECT cc_purge('1 day');
UPDATE cc_inbox SET state = 'pending' WHERE state = 'rejected';
SELECT cc_apply();
SELECT * FROM rows;

-- An applied row that spends no token stays: a person accepted it
TRUNCATE cc_inbox, cc_invoice;
SELECT deliver(body('A', token('A'))), deliver(body('A', token('A'), '{"amount_crypto": 9}'));
SELECT cc_accept(id) FROM cc_inbox WHERE reason = 'token_reused';
CALL age();
SELECT cc_purge('1 day'), cc_purge('1 day');
SELECT * FROM rows;

-- The body of a reused token's row is erased with its invoice, so it cannot be accepted
SELECT deliver(body('GONE', token('GONE'))), deliver(body('GONE', token('GONE'), '{"amount_crypto": 9}'));
SELECT cc_erase('GONE');
SELECT cc_accept(id) FROM cc_inbox WHERE reason = 'token_reused';
DELETE FROM cc_inbox WHERE invoice_id = 'GONE';
DELETE FROM cc_invoice WHERE invoice_id = 'GONE';

-- The merchant's code on the inbox: its rights, its search_path, its decisions
CREATE SCHEMA evil;
CREATE TABLE seen (event text, id bigint, who name, path text);
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO seen VALUES (TG_OP, OLD.id, current_user, current_setting('search_path'));
    IF OLD.error = 'keep' THEN RETURN NULL; END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER see BEFORE UPDATE OF body OR DELETE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION see();
SELECT deliver('{}'), deliver('{}'), deliver(body('C', token('C')));
UPDATE cc_inbox SET received_at = now() - interval '3 days', error = CASE WHEN id = (SELECT max(id) - 1 FROM cc_inbox) THEN 'keep' END;
SET search_path = evil, public;
SELECT public.cc_purge('1 day'), public.cc_purge('1 day');
SHOW search_path;
RESET search_path;
SELECT event, id - (SELECT max(id) FROM cc_inbox) AS nr, who = current_user AS owner, path FROM seen;
DROP TRIGGER see ON cc_inbox;
DROP FUNCTION see;
DROP TABLE seen;
DROP SCHEMA evil;

-- --- cc_erase ---
TRUNCATE cc_inbox, cc_invoice RESTART IDENTITY;
CREATE TABLE fired (name text);
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (TG_NAME); RETURN NULL; END $$;
CREATE TRIGGER order_paid AFTER INSERT OR UPDATE OF paid_at, amount_crypto, order_id ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fired();
CREATE TRIGGER erased AFTER UPDATE OF erased_at ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fired();
CREATE VIEW invoices AS
    SELECT invoice_id, amount_crypto, status, paid_at IS NOT NULL AS paid, address, tx_list, info, erased_at IS NOT NULL AS erased
      FROM cc_invoice ORDER BY project, invoice_id;
INSERT INTO cc_project (name, secret) VALUES ('second', 'other');
SELECT deliver(body('A', token('A'))), deliver(body('A', token('A'))), deliver(body('A', token('A'), '{"amount_crypto": 9}')),
       deliver(body('B', token('B'))), deliver(body('A', token('A', 0, 'other')), 'second'), deliver(body('A', token('A', 0, 'wrong')));
SELECT cc_erase(NULL);
SELECT cc_erase('A', NULL);
SELECT cc_erase('UNKNOWN'), cc_erase('inv-A'), cc_erase('A', 'nobody');
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT cc_erase('A');
ROLLBACK;
SELECT invoice_id, address, tx_list, info IS NOT NULL AS info, erased_at FROM cc_invoice ORDER BY project, invoice_id;

-- Not while postbacks wait
UPDATE cc_project SET apply = 'deferred' WHERE name = 'default';
SELECT deliver(body('A', token('A', 1), '{"status": "canceled"}'));
UPDATE cc_project SET apply = 'immediate';
SELECT cc_erase('A');
SELECT cc_apply();
SELECT deliver(body('A', token('A', 2), '{"order_id": "OTHER"}'));
SELECT cc_erase('A');
DELETE FROM cc_inbox WHERE state = 'conflict';
TRUNCATE fired;
-- With or without INV-, as the service writes it
SELECT cc_erase('INV-A'), cc_erase('A');
SELECT * FROM fired;
SELECT * FROM invoices;
-- An unverified postback that claims this invoice does not belong to it; cc_purge deletes it
SELECT * FROM rows;
SELECT count(*) FROM cc_inbox AS i WHERE i.state <> 'rejected' AND i.invoice_id = 'A' AND i.project = 'default' AND i::text ~ 'SECRET|0xTX';

-- No postback brings it back: duplicate, status, top-up, pending, failed; their bodies are deleted when they are settled
SELECT deliver(body('A', token('A'))), deliver(body('A', token('A', 1), '{"status": "canceled"}')),
       deliver(body('A', token('A', 3), '{"status": "created"}')), deliver(body('A', token('A', 4), '{"amount_crypto": 2}')),
       deliver(body('A', token('A', 4), '{"amount_crypto": 3}'));
INSERT INTO cc_inbox (raw, content_type)
VALUES (convert_to(body('A', token('A', 6), '{"amount_crypto": 2, "x": 1}'), 'UTF8'), 'application/json') RETURNING state, body, raw;
UPDATE cc_project SET apply = 'deferred' WHERE name = 'default';
SELECT deliver(body('A', token('A', 7), '{"amount_crypto": 4}'));
SELECT * FROM rows WHERE id > 7;
SELECT cc_apply();
UPDATE cc_project SET apply = 'immediate';
CREATE TRIGGER refuse BEFORE UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION refuse();
SELECT deliver(body('A', token('A', 8), '{"amount_crypto": 5}'));
DROP TRIGGER refuse ON cc_invoice;
SELECT cc_erase('A');
SELECT cc_apply();
SELECT * FROM rows WHERE id > 7;
SELECT * FROM invoices;
SELECT count(*) FROM cc_invoice AS i WHERE i::text ~ 'SECRET|0xTX' AND invoice_id = 'A';
-- Nor an accepted postback
SELECT deliver(body('A', token('A', 20), '{"order_id": "OTHER", "amount_crypto": 7}'));
SELECT cc_accept(max(id), true) FROM cc_inbox;
SELECT amount_crypto, order_id, address, info FROM cc_invoice WHERE invoice_id = 'A' AND project = 'default';
SELECT state, body FROM cc_inbox ORDER BY id DESC LIMIT 1;
-- The owner can fill them by hand and erase them again. A form fills nothing either
UPDATE cc_invoice SET address = '0xSECRET' WHERE invoice_id = 'A';
SELECT cc_erase('A');
INSERT INTO cc_inbox (body) VALUES ('status=success&invoice_id=A&amount_crypto=8&currency=BNB&token=' || token('A', 30)
                                    || '&order_id=OTHER&invoice_info=' || cc_form_encode('{"address": "0xSECRET"}')) RETURNING state, body;
SELECT * FROM invoices WHERE invoice_id = 'A';
-- An invoice without a row has no erased_at
UPDATE cc_project SET require_order_id = true;
SELECT deliver(body('NONE', token('NONE'), '{"order_id": null}'));
SELECT cc_erase('NONE');
SELECT * FROM rows WHERE invoice = 'NONE';
-- A rejected postback of an erased invoice stays for cc_accept, until it is purged
CALL age();
SELECT cc_purge('1 day'), cc_purge('1 day');
SELECT count(*), count(body), count(raw), count(*) FILTER (WHERE is_purged) AS purged FROM cc_inbox;

-- A duplicate of a conflicting or pending row keeps no body, although that row keeps its own
TRUNCATE cc_inbox, cc_invoice;
UPDATE cc_project SET require_order_id = false;
SELECT deliver(body('D', token('D')));
SELECT cc_erase('D');
SELECT deliver(body('D', token('D', 1), '{"order_id": "OTHER"}')), deliver(body('D', token('D', 2), '{"order_id": "OTHER"}'));
UPDATE cc_project SET apply = 'deferred' WHERE name = 'default';
SELECT deliver(body('D', token('D', 3), '{"amount_crypto": 4}')), deliver(body('D', token('D', 4), '{"amount_crypto": 4}'));
UPDATE cc_project SET apply = 'immediate';
SELECT state, body IS NOT NULL AS body FROM cc_inbox ORDER BY id;
-- Nor does a duplicate of a row from before the project was renamed
TRUNCATE cc_inbox, cc_invoice;
SELECT deliver(body('E', token('E')));
UPDATE cc_project SET name = 'renamed' WHERE name = 'default';
SELECT deliver(body('E', token('E', 1), '{"amount_crypto": 9}'), 'renamed');
SELECT cc_erase('E', 'renamed');
SELECT deliver(body('E', token('E')), 'renamed');
SELECT project, state, body IS NOT NULL AS body FROM cc_inbox ORDER BY id;
UPDATE cc_project SET name = 'default' WHERE name = 'renamed';

-- The API's answers for an erased invoice are erased too, and a later answer brings nothing back
SELECT outcome FROM cc_import('{"status": "success", "result": {"uuid": "INV-IMPORTED", "status": "created", "order_id": "O",
    "address": "0xPERSON",
    "currency": {"code": "BNB", "fullcode": "BNB"}, "amount_to_pay": 1, "amount_to_pay_usd": 1}}');
SELECT cc_erase('IMPORTED');
SELECT outcome FROM cc_import('{"status": "success", "result": {"uuid": "INV-IMPORTED", "status": "paid", "invoice_status": "success",
    "order_id": "O",
    "address": "0xPERSON", "currency": {"code": "BNB", "fullcode": "BNB"}, "amount_paid": 1, "amount_to_pay": 1, "amount_to_pay_usd": 1}}');
SELECT outcome FROM cc_import('{"status": "success", "result": {"uuid": "INV-IMPORTED", "status": "unknown", "address": "0xPERSON"}}');
SELECT outcome, element FROM cc_import_log ORDER BY id;
SELECT address, info, amount_crypto, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'IMPORTED';

DROP VIEW rows, invoices;
\ir test/sql/shared/end.sql
DROP TABLE fired;
DROP FUNCTION fired, refuse, deliver, body, token;
DROP PROCEDURE age;
