-- cc_verify_postback on form bodies. The time is fixed.
CREATE EXTENSION cryptocloud_postback;
SET timezone = 'UTC';
CREATE FUNCTION token() RETURNS text LANGUAGE sql AS $$ SELECT cc_sign_token('{"id": "ILRAJE1Q", "exp": 1769509700}', 's3cret') $$;
CREATE FUNCTION body(extra text DEFAULT '') RETURNS text LANGUAGE sql AS $$
    SELECT 'status=success&invoice_id=INV-ILRAJE1Q&amount_crypto=1e-06&currency=BNB&token=' || token() || extra
$$;
CREATE FUNCTION verify(body text) RETURNS cc_postback LANGUAGE sql AS $$
    SELECT cc_verify_postback(body, 'application/x-www-form-urlencoded', 's3cret', '2026-01-27 10:23:20Z')
$$;
CREATE FUNCTION verify(body bytea) RETURNS cc_postback LANGUAGE sql AS $$
    SELECT cc_verify_postback(body, 'application/x-www-form-urlencoded', 's3cret', '2026-01-27 10:23:20Z')
$$;

\x on
SELECT * FROM verify(body('&order_id=ORDER_93223&invoice_info=uuid&invoice_info=created&invoice_info=address'));
\x off
-- Sniffed: anything that does not begin with a brace
SELECT reason FROM cc_verify_postback(body(), NULL, 's3cret', '2026-01-27 10:23:20Z');

-- Escapes, blanks, empty pairs, no equals sign
SELECT extra, reason, order_id, payload -> 'x' AS x FROM unnest(ARRAY['&order_id=a+b%20c%2Bd', '&order%5Fid=%D0%B6', '&&&', '&x', '&x=',
    '&=1',
    '&x=1&x=2&x', '&x=%', '&x=%4', '&x=%4g', '&x=% 41', '&x=%+41', '&x=%00', '&x=%c0%80', '&x=%ff', '&x=%ed%a0%80', '&x=%f0%9f%92%b8',
        '&x=a=b',
    '&x=%25', '&order_id=', '&order_id=%0A', '&order_id=%C2%85', '&order_id=%20']) AS extra, verify(body(extra));
-- All values of a name are one array, in their order, also if other fields or the token stand between them
SELECT payload - '{amount_crypto,currency,invoice_id,status}'::text[] AS payload
  FROM verify(replace(body('&x=4&invoice_information=5&x=6&invoice_information=7&invoice_information=8&y=9'),
                      '&token', '&x=1&x=2&x=3&token'));
-- Bytes that are not text
SELECT reason FROM verify(convert_to(body('&x='), 'UTF8') || '\xff'::bytea);
SELECT reason FROM verify(convert_to(body('&x='), 'UTF8') || '\x00'::bytea);
-- Each field once, whatever its spelling; invoice_info and others any number of times
SELECT extra, reason FROM unnest(ARRAY['&status=success', '&%73tatus=success', '&token=' || token(), '&order_id=1&order_id=1',
    '&invoice_info=1&invoice_info=1']) AS extra, verify(body(extra));
-- 1,000 pairs, empty ones not counted
SELECT pairs, reason FROM unnest(ARRAY[995, 996]) AS pairs, verify(body(repeat('&x', pairs) || '&&&&'));

-- Fields as in JSON, but all text
SELECT left(part, 20) AS part, left(extra, 20) AS instead, reason FROM (VALUES ('invoice_id=INV-ILRAJE1Q', 'invoice_id='),
    ('invoice_id=INV-ILRAJE1Q', 'x='), ('invoice_id=INV-ILRAJE1Q', 'invoice_id=INV-'),
    ('status=success', 'status='), ('currency=BNB', 'x=BNB'), ('amount_crypto=1e-06', 'amount_crypto='),
        ('amount_crypto=1e-06', 'amount_crypto=+5+'), ('amount_crypto=1e-06', 'amount_crypto=%2B5'),
    ('amount_crypto=1e-06', 'amount_crypto=-0'), ('amount_crypto=1e-06', 'amount_crypto=5%09'), ('token=' || token(), 'token=+'),
        ('token=' || token(), 'token=%0A'), ('token=' || token(), 'token=x'), ('currency=BNB', 'currency=' || repeat('x', 255)),
        ('currency=BNB', 'currency=' || repeat('x', 256))) AS v (part, extra),
    verify(replace(body('&'), part || '&', extra || '&'));
-- An amount's text keeps its spelling in the payload
SELECT amount_crypto, payload ->> 'amount_crypto' AS sent FROM verify(body());

DROP FUNCTION body, token, verify(text), verify(bytea);
DROP EXTENSION cryptocloud_postback;
