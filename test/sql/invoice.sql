-- How postbacks change an invoice: typed columns, order of deliveries, paid_at.
\ir test/sql/shared/begin.sql
SET timezone = 'Asia/Tokyo';  -- the service's times are UTC, whatever the session's zone
INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
CREATE FUNCTION receive(invoice text, info jsonb DEFAULT '{}', minutes int DEFAULT 5, status text DEFAULT 'success',
    amount numeric DEFAULT 1,
                        orders text DEFAULT 'O1', content_type text DEFAULT 'application/json') RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    ends   CONSTANT timestamptz := date_trunc('day', now()) + interval '1 year' + minutes * interval '1 min';
    sample CONSTANT text := cc_sample_postback('s3cret', content_type, invoice, orders, 0.1, amount, 'BNB', status, info, ends);
    -- Two tokens with the same exp must differ
    token  CONSTANT text := cc_sign_token(jsonb_build_object('id', invoice, 'exp', extract(epoch FROM ends), 'jti', random()), 's3cret');
    result text;
BEGIN
    INSERT INTO cc_inbox (body, content_type)
    VALUES (regexp_replace(sample, 'eyJ[A-Za-z0-9._-]+', token), content_type)
    RETURNING concat_ws(' ', state, reason, error) INTO result;
    RETURN result;
END $$;

-- Every column
SELECT receive('A');
SET timezone = 'UTC';
SET datestyle = 'ISO';
SELECT c.key, c.value FROM cc_invoice AS i, jsonb_each_text(to_jsonb(i) - ARRAY['info', 'received_at', 'updated_at', 'token_expires_at',
    'amounts_expire_at', 'paid_at']) AS c ORDER BY 1;
SELECT info ->> 'uuid' AS uuid, paid_at = received_at AND updated_at = received_at AND amounts_expire_at = token_expires_at AS times
  FROM cc_invoice;

-- An odd value gives NULL in its column, never a lost payment
SELECT receive('ODD', '{"address": 5, "currency": "BNB", "invoice_status": null, "status": {}, "test_mode": "maybe", "amount": "abc",
    "amount_usd": " 1.50 ", "fee": 1e400,
    "received": "1e-6", "fee_usd": true, "service_fee": [], "tx_list": ["a", 1], "created": "yesterday",
        "expiry_date": "2026-02-30 00:00:00", "date_finished": 5}');
SELECT receive('STRANGE', '{"address": "", "currency": {"network": "BSC"}, "tx_list": [], "test_mode": 0,
    "created": "2026-01-27T10:20:04Z", "expiry_date": "2026-01-27 10:20:04.1234567", "date_finished": "2026-01-27 10:20:04+02:00"}');
SELECT invoice_id, paid_at IS NOT NULL AS paid, address, network, invoice_status, payment_status, is_test, amount, amount_usd, fee,
    received, fee_usd, service_fee, tx_list, created_at, expires_at, finished_at
  FROM cc_invoice WHERE invoice_id IN ('ODD', 'STRANGE') ORDER BY 1;
-- invoice_info of other shapes, and as JSON within a form
SELECT info, (SELECT state FROM cc_inbox ORDER BY id DESC LIMIT 1) FROM unnest(ARRAY['null', '"text"', '[1]', '7', 'true']) AS info,
    LATERAL (SELECT * FROM cc_receive(jsonb_set(cc_sample_postback('s3cret', invoice_id => 'SHAPE' || info)::jsonb, '{invoice_info}',
        info::jsonb)::text, NULL)) AS r;
SELECT state FROM (SELECT cc_sample_postback('s3cret', 'application/x-www-form-urlencoded', 'FORM') || '&invoice_info='
    || cc_form_encode('{"test_mode": true, "amount_paid": 5}') AS body) AS b,
    LATERAL (SELECT * FROM cc_receive(regexp_replace(body, '&invoice_info=[a-z_]+(?=&)', '', 'g'), NULL)) AS r,
        LATERAL (SELECT state FROM cc_inbox ORDER BY id DESC LIMIT 1) AS s;
SELECT invoice_id, info, is_test, amount_paid, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id LIKE 'SHAPE%'
    OR invoice_id = 'FORM' ORDER BY 1;
-- payment
SELECT receive('UNDER', '{"amount_paid": 0.9, "amount_to_pay": 1, "status": "partial"}'),
    receive('OVER', '{"amount_paid": 1.00001, "amount_to_pay": 1, "status": "overpaid"}'),
       receive('EXACT', '{"amount_paid": 1.0, "amount_to_pay": 1}'), receive('UNKNOWN', '{"amount_paid": null}');
SELECT invoice_id, payment, payment_status, paid_at IS NOT NULL AS paid FROM cc_invoice
    WHERE invoice_id IN ('UNDER', 'OVER', 'EXACT', 'UNKNOWN') ORDER BY 1;

-- Order of deliveries: by exp. The minutes are those of exp.
SELECT receive('LATE', '{"status": "created", "invoice_status": "created"}', 3, 'pending', 0), receive('LATE', '{"network": null}', 5);
SELECT receive('LATE', '{"status": "partial", "invoice_status": "created", "fee": 7, "links": 1}', 4, 'pending', 1) AS an_older_one;
SELECT status, invoice_status, payment_status, fee, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'LATE';
-- An older postback adds unknown values; a newer form blanks nothing
SELECT receive('FILL', '{}', 5, content_type => 'application/x-www-form-urlencoded'), receive('FILL', '{}', 4),
    receive('FILL', '{}', 6, content_type => 'application/x-www-form-urlencoded', amount => 2);
SELECT amount_crypto, network, payment_status, cardinality(tx_list) FROM cc_invoice WHERE invoice_id = 'FILL';
-- Equal exp: the higher rank counts
SELECT receive('EQUAL', '{}', 5), receive('EQUAL', '{"status": "canceled", "invoice_status": "canceled"}', 5),
    receive('EQUAL', '{"status": "overpaid"}', 5);
SELECT invoice_status, payment_status FROM cc_invoice WHERE invoice_id = 'EQUAL';
-- A newer postback counts, but paid stays paid
SELECT receive('BACK', '{}', 5), receive('BACK', '{"status": "canceled", "invoice_status": "canceled"}', 6);
SELECT invoice_status, payment_status, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'BACK';

-- paid_at: status and invoice_status must say success; set once
SELECT receive('STEPS', '{"invoice_status": "created"}', 3);
SELECT paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'STEPS';
SELECT receive('STEPS', '{}', 4, 'pending');
SELECT paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'STEPS';
SELECT receive('STEPS', '{}', 5);
SELECT paid_at AS first_paid_at, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'STEPS' \gset
SELECT receive('STEPS', '{"fee": 1}', 6);
SELECT :'paid' AS paid, paid_at = :'first_paid_at' AND updated_at > paid_at AS kept FROM cc_invoice WHERE invoice_id = 'STEPS';
-- A later order_id is stored
SELECT receive('ORDERLESS', orders => NULL, minutes => 4), receive('ORDERLESS', orders => 'O7'),
    receive('ORDERLESS', orders => NULL, minutes => 6);
SELECT order_id FROM cc_invoice WHERE invoice_id = 'ORDERLESS';

-- Test payments: not paid, unless the project accepts them; a form does not make one real
SELECT receive('TEST', '{"test_mode": true}', 4), receive('TEST', minutes => 5, content_type => 'application/x-www-form-urlencoded');
SELECT is_test, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'TEST';
UPDATE cc_project SET accept_test_payments = true;
SELECT receive('TEST', '{"test_mode": true, "fee": 3}', 6), receive('TEST2', '{"test_mode": true}');
SELECT invoice_id, is_test, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id LIKE 'TEST%' ORDER BY 1;

-- Amounts: with paid_at they are the paying postback's; a newer canceled changes only the status; a later top-up counts
SELECT receive('M3', '{"status": "canceled", "invoice_status": "canceled"}', 6, 'pending', 1000), receive('M3', '{}', 5, amount => 1);
SELECT status, payment_status, amount_crypto, amount_paid, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'M3';
SELECT receive('TOPUP', '{}', 1, amount => 4), receive('TOPUP', '{"status": "canceled", "invoice_status": "canceled"}', 5, amount => 4),
    receive('TOPUP', '{}', 3, amount => 10),
       receive('TOPUP', '{}', 2, amount => 20);
SELECT status, payment_status, amount_crypto, amount_paid FROM cc_invoice WHERE invoice_id = 'TOPUP';
-- A form that pays after JSON that did not: no amount of the older postback stays
SELECT receive('FORM3', '{"status": "partial", "invoice_status": "created", "amount_paid": 0.4}', 4),
    receive('FORM3', minutes => 5, content_type => 'application/x-www-form-urlencoded');
SELECT amount_crypto, amount_paid, amount_usd, payment, network, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id = 'FORM3';
-- An unreadable value never counts as real or as success
SELECT info, receive('ODD' || n, info::jsonb) FROM unnest(ARRAY['{"test_mode": 1.0}', '{"test_mode": "yes"}', '{"test_mode": [true]}',
    '{"invoice_status": ["success"]}', '{"invoice_status": 1}', '{"test_mode": "0"}']) WITH ORDINALITY AS i (info, n);
SELECT state FROM cc_receive(jsonb_set(cc_sample_postback('s3cret', invoice_id => 'ODD7')::jsonb, '{invoice_info}',
    '"{\"test_mode\": true}"')::text, NULL) AS r, LATERAL (SELECT state FROM cc_inbox ORDER BY id DESC LIMIT 1) AS s;
SELECT state FROM cc_receive(jsonb_set(cc_sample_postback('s3cret', invoice_id => 'ODD8')::jsonb, '{invoice_info}',
    '"{\"test_mode\": tr"')::text, NULL) AS r, LATERAL (SELECT state FROM cc_inbox ORDER BY id DESC LIMIT 1) AS s;
SELECT invoice_id, is_test, invoice_status, paid_at IS NOT NULL AS paid FROM cc_invoice WHERE invoice_id ~ 'ODD\d' ORDER BY 1;

\ir test/sql/shared/end.sql
DROP FUNCTION receive;
