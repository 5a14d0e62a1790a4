-- A new invoice is inserted directly where that does all that an INSERT would do, and by an INSERT elsewhere. Both give the same,
-- on the vectors and on thousands of bodies with odd values.
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE EXTENSION cryptocloud_postback;
SELECT cc_setup();

CREATE TEMPORARY TABLE line (value text);
\copy line FROM 'test/vectors/documentation.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
\copy line FROM 'test/vectors/wire.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
\copy line FROM 'test/vectors/rfc.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
\copy line FROM 'test/vectors/wycheproof.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
\copy line FROM 'test/vectors/json_suite.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
CREATE TABLE body (id bigint GENERATED ALWAYS AS IDENTITY, project text, content_type text, body text);
INSERT INTO body (project, content_type, body)
SELECT v ->> 'secret', v ->> 'content_type', v ->> 'body'
  FROM (SELECT value::jsonb FROM line) AS line (v) WHERE v ->> 'secret' <> '' AND length(v ->> 'secret') <= 255 AND v ? 'body';
-- What was genuine at its time is genuine with this leeway
INSERT INTO cc_project (name, secret, leeway) SELECT DISTINCT project, project, interval '5000 years' FROM body;

-- Any value in any member of invoice_info
SELECT setseed(0.4711);
INSERT INTO cc_project (name, secret, accept_test_payments) VALUES ('default', 's3cret', true);
INSERT INTO body (project, body)
SELECT 'default', cc_sample_postback('s3cret', CASE WHEN n % 7 = 0 THEN 'application/x-www-form-urlencoded' ELSE 'application/json' END, 'N' || n,
                                     (ARRAY['O1', NULL, ''])[1 + n % 3], status => (ARRAY['success', 'fail', 'ключ'])[1 + n % 3], invoice_info => info)
  FROM generate_series(1, 3000) AS n, LATERAL (
       SELECT jsonb_object_agg(member, (ARRAY['null', 'true', '"true"', '1', '0', '""', '"paid"', '"success"', '"canceled"', '1e-24', '"1e-06"', '-0.0', '12345678901234567890.000',
                                              '"2026-01-27 10:20:04.222439"', '"0001-01-01 00:00:00"', '"9999-12-31T23:59:59.9999999Z"', '"2026-02-30 00:00:00"',
                                              '[]', '["a","b"]', '[1]', '{}', '{"network":{"code":"BSC"}}', '"ключ"', '"\u007f"'])[1 + floor(24 * random())]::jsonb) AS info
         FROM unnest(ARRAY['address', 'currency', 'invoice_status', 'status', 'side_commission', 'type_payments', 'test_mode', 'amount', 'amount_in_crypto', 'amount_in_fiat', 'amount_usd',
                           'amount_to_pay', 'amount_to_pay_usd', 'amount_paid', 'amount_paid_usd', 'fee', 'service_fee', 'received', 'to_surcharge', 'tx_list', 'created', 'expiry_date',
                           'date_finished']) AS member
        WHERE random() < 0.6 AND n > 0) AS odd;

CREATE TABLE outcome (way text, kind text, id text, content jsonb);
CREATE PROCEDURE deliver(way text) LANGUAGE plpgsql AS $$
BEGIN
    TRUNCATE cc_inbox, cc_invoice RESTART IDENTITY;
    INSERT INTO cc_inbox (project, body, content_type) SELECT b.project, b.body, b.content_type FROM body AS b ORDER BY b.id;
    INSERT INTO outcome SELECT way, 'inbox', i.id, to_jsonb(i) - '{received_at, applied_at}'::text[] || jsonb_build_object('is_applied', applied_at IS NOT NULL) FROM cc_inbox AS i;
    INSERT INTO outcome SELECT way, 'invoice', i.project || '/' || i.invoice_id,
                               to_jsonb(i) - '{received_at, updated_at, paid_at, shipped, to_surcharge_usd}'::text[] || jsonb_build_object('is_paid', paid_at IS NOT NULL) FROM cc_invoice AS i;
END $$;

-- Directly: no trigger
CALL deliver('no trigger');
-- Directly: a row trigger, which sees whether a statement called it
CREATE TABLE fired (trigger text, in_statement boolean);
CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stack text;
BEGIN
    GET DIAGNOSTICS stack = PG_CONTEXT;
    INSERT INTO fired VALUES (TG_NAME, stack LIKE '%INSERT INTO %cc_invoice%');
    RETURN NEW;
END $$;
CREATE TRIGGER before_row BEFORE INSERT ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fired();
CREATE TRIGGER after_row AFTER INSERT ON cc_invoice FOR EACH ROW EXECUTE FUNCTION fired();
CALL deliver('row trigger');
SELECT trigger, in_statement, count(*) = (SELECT count(*) FROM cc_invoice) AS for_each_invoice FROM fired GROUP BY 1, 2 ORDER BY 1, 2;
-- By a statement: each of these asks for one
TRUNCATE fired;
CREATE TRIGGER after_statement AFTER INSERT ON cc_invoice FOR EACH STATEMENT EXECUTE FUNCTION fired();
CALL deliver('statement trigger');
DROP TRIGGER after_statement ON cc_invoice;
CREATE TRIGGER transition AFTER INSERT ON cc_invoice REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION fired();
CALL deliver('transition table');
DROP TRIGGER transition ON cc_invoice;
SELECT trigger, in_statement, count(*) = (SELECT count(*) FROM cc_invoice) * CASE WHEN trigger LIKE '%row' THEN 2 ELSE 1 END AS for_each_invoice FROM fired GROUP BY 1, 2 ORDER BY 1, 2;
TRUNCATE fired;
ALTER TABLE cc_invoice ADD shipped boolean NOT NULL DEFAULT false;
CALL deliver('a column with a default');
SELECT DISTINCT shipped FROM cc_invoice;
ALTER TABLE cc_invoice DROP shipped;
ALTER TABLE cc_invoice ADD shipped bigint GENERATED ALWAYS AS IDENTITY;
CALL deliver('an identity column');
SELECT count(DISTINCT shipped) = count(*) AS numbered FROM cc_invoice;
ALTER TABLE cc_invoice DROP shipped;
ALTER TABLE cc_invoice ALTER to_surcharge_usd TYPE numeric(20, 10);
CALL deliver('a scale');
ALTER TABLE cc_invoice ALTER to_surcharge_usd TYPE numeric;
ALTER TABLE cc_invoice ADD CONSTRAINT positive CHECK (amount_crypto >= 0);
CALL deliver('a check');
ALTER TABLE cc_invoice DROP CONSTRAINT positive;
CREATE INDEX by_order ON cc_invoice (lower(order_id));
CALL deliver('an index on an expression');
DROP INDEX by_order;
CREATE RULE also AS ON INSERT TO cc_invoice DO ALSO SELECT 1;
CALL deliver('a rule');
DROP RULE also ON cc_invoice;
SELECT trigger, in_statement, count(*) = 6 * (SELECT count(*) FROM cc_invoice) AS for_each_invoice FROM fired GROUP BY 1, 2 ORDER BY 1, 2;
-- Directly again: dropped columns are no hindrance
TRUNCATE fired;
CALL deliver('dropped columns');
SELECT DISTINCT in_statement FROM fired;

SELECT content ->> 'state' AS state, content ->> 'reason' AS reason, count(*) > 0 AS some FROM outcome WHERE way = 'no trigger' AND kind = 'inbox' AND content ->> 'state' <> 'rejected' GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) > 3000 AS enough FROM outcome WHERE way = 'no trigger' AND kind = 'invoice';
-- numeric keeps its scale in jsonb: the text is compared
SELECT ways.way, count(*) FILTER (WHERE o.content::text IS DISTINCT FROM first.content::text) AS different
  FROM (SELECT DISTINCT way FROM outcome) AS ways CROSS JOIN (SELECT * FROM outcome WHERE way = 'no trigger') AS first
  LEFT JOIN outcome AS o ON (o.way, o.kind, o.id) = (ways.way, first.kind, first.id) GROUP BY 1 ORDER BY ways.way COLLATE "C";
SELECT way, count(*) - (SELECT count(*) FROM outcome WHERE way = 'no trigger') AS more FROM outcome GROUP BY 1 HAVING count(*) <> (SELECT count(*) FROM outcome WHERE way = 'no trigger');

DROP TABLE cc_project, cc_inbox, cc_invoice, body, outcome, fired;
DROP PROCEDURE deliver;
DROP FUNCTION fired();
DROP EXTENSION cryptocloud_postback;
