-- cc_verify_postback on JSON bodies: columns, reasons and their precedence. The time is fixed.
CREATE EXTENSION cryptocloud_postback;
SET timezone = 'UTC';

-- A body with a valid token; fields replaces or adds members, including JSON null.
CREATE FUNCTION body(fields jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('status', 'success', 'invoice_id', 'ILRAJE1Q', 'amount_crypto', 0.000113, 'currency', 'BNB',
                               'order_id', 'ORDER_93223',
                               'token', cc_sign_token('{"id": "ILRAJE1Q", "exp": 1769509700}', 's3cret')) || fields)::text
$$;
CREATE FUNCTION verify(body text, content_type text DEFAULT 'application/json') RETURNS cc_postback LANGUAGE sql AS $$
    SELECT cc_verify_postback(body, content_type, 's3cret', '2026-01-27 10:23:20Z')
$$;

-- The whole composite, honest and not
\x on
SELECT * FROM verify(body());
SELECT * FROM verify(body('{"token": null}'));
SELECT * FROM verify('no JSON');
\x off
-- The statement's time: the same postback has expired by now, a new one has not
SELECT verified, reason FROM cc_verify_postback(body(), 'application/json', 's3cret');
SELECT verified, reason FROM cc_verify_postback(cc_sample_postback('s3cret'), 'application/json', 's3cret');
SELECT verified, reason FROM cc_verify_postback(convert_to(cc_sample_postback('s3cret'), 'UTF8'), 'application/json', 's3cret');

-- {"alg":"none"}, {} and one byte instead of a signature
\set unsigned_token 'eyJhbGciOiJub25lIn0.e30.eA'
-- Precedence: each body has a fault and all later faults
SELECT reason FROM (VALUES
    (1, E' \t\r\n', 'application/json'),
    (2, repeat('x', 1048577), 'image/png'),
    (3, '{', 'image/png'),
    (4, '{', 'application/json'),
    (5, '{"status": 1, "status": 2}', 'application/json'),
    (6, '{"status": 1}', 'application/json'),
    (7, '{"invoice_id": "I", "status": 1, "amount_crypto": "x"}', 'application/json'),
    (8, '{"invoice_id": "I", "status": "s", "currency": "c", "amount_crypto": "x"}', 'application/json'),
    (9, '{"invoice_id": "I", "status": "s", "currency": "c", "amount_crypto": 1}', 'application/json'),
    (10, '{"invoice_id": "I", "status": "s", "currency": "c", "amount_crypto": 1, "token": "x"}', 'application/json'),
    (11, body(jsonb_build_object('token', :'unsigned_token')), 'application/json'),
    (12, body(jsonb_build_object('token', cc_sign_token('{"id": "OTHER"}', 'other'))), 'application/json'),
    (13, body(jsonb_build_object('token', cc_sign_token('{"id": "OTHER"}', 's3cret'))), 'application/json'),
    (14, body(jsonb_build_object('token', cc_sign_token('{"id": "OTHER", "exp": 1, "nbf": 1769509701}', 's3cret'))), 'application/json'),
    (15, body(jsonb_build_object('token', cc_sign_token('{"id": "OTHER", "exp": 1}', 's3cret'))), 'application/json'),
    (16, body(jsonb_build_object('token', cc_sign_token('{"id": "OTHER", "exp": 1769509700}', 's3cret'))), 'application/json')
) AS v (n, body, content_type), LATERAL verify(body, content_type) ORDER BY n;

-- Body: the limit is 1 MiB, whatever its content; white space around it counts, but is ignored otherwise
SELECT octet_length(b), reason FROM (VALUES (rpad(body(), 1048576)), (rpad(body(), 1048577)), (repeat(' ', 1048577))) AS v (b), verify(b);
-- Depth: the body's object is 1
SELECT depth, reason FROM unnest(ARRAY[63, 64]) AS depth,
       verify(left(body(), -1) || ', "x": ' || repeat('[', depth) || repeat(']', depth) || '}');
-- Content types
SELECT content_type, reason FROM unnest(ARRAY['application/json', 'Application/JSON; Charset="UTF-8"', 'text/json;charset=utf8',
    'application/vnd.api+json', 'application/json; charset=us-ascii; x=y', 'application/json;', 'application/+json', 'text/plain',
    'application/jsonp', 'json', 'application/json; charset=iso-8859-1', 'application/json; charset=', 'application/json, text/json',
    NULL, '', E' \t']) AS content_type, verify(body(), content_type);
-- A repeated field is refused, also escaped, also with the same value; inner and other members may repeat
SELECT extra, reason FROM unnest(ARRAY['"status": "success"', '"\u0073tatus": null', '"invoice_info": 1, "invoice_info": 1',
    '"x": 1, "x": 2', '"invoice_info": {"status": 1, "status": 2}']) AS extra, verify(left(body(), -1) || ', ' || extra || '}');

-- Fields at their limits
SELECT fields, reason FROM (VALUES
    ('{"invoice_id": null}'), ('{"invoice_id": ""}'), ('{"invoice_id": " \t\r\n"}'), ('{"invoice_id": "INV-"}'),
    ('{"invoice_id": "inv-"}'), ('{"invoice_id": false}'), ('{"invoice_id": 1.0}'), ('{"invoice_id": []}'),
    ('{"status": null}'), ('{"status": ""}'), ('{"status": 0}'), ('{"currency": null}'), ('{"currency": ""}'), ('{"currency": {}}'),
    ('{"order_id": null}'), ('{"order_id": ""}'), ('{"order_id": " "}'), ('{"order_id": 7}'), ('{"order_id": 7.5}'),
    ('{"order_id": "a\u007fb"}'), ('{"order_id": "a\u0080b"}'), ('{"order_id": "a\u009fb"}'), ('{"order_id": "a\u00a0b"}'),
    ('{"order_id": "a\nb"}'), ('{"token": "  "}'), ('{"token": 1}'), ('{"amount_crypto": true}')
) AS v (fields), verify(body(fields::jsonb));
-- Lengths are characters: 255, the token 4,096
SELECT chars, reason FROM unnest(ARRAY[255, 256]) AS chars, verify(body(jsonb_build_object('order_id', repeat('ж', chars))));
SELECT chars, reason FROM unnest(ARRAY[4096, 4097]) AS chars, verify(body(jsonb_build_object('token', repeat('ж', chars))));
SELECT reason FROM verify(body(jsonb_build_object('token', E' \t\r\n' || (body()::jsonb ->> 'token') || E'\n ')));

-- Amounts are the exact decimals that were sent; a string may have blanks around it
SELECT amount, reason, amount_crypto FROM unnest(ARRAY['0', '-0', '-0.0e7', '0.000113', '1e-06', '1E+2', '100.00', '"  5 "', '"1e-06"',
    '12345678901234567890123456789012345678', '123456789012345678901234567890123456789', '1e37', '1e38', '1e-36', '1e-37',
    '0.1000000000000000000000000000000000000000', '0e-99999', '-1', '"-1"', '"1,5"', '"0x1"', '"NaN"', '"Infinity"', '""', '"."', 'null'
    ]) AS amount, verify(replace(body(), '0.000113', amount));

-- Numbers in other members never cost a payment: exact up to 400 digits, then kept as text
SELECT number, reason, payload -> 'x' AS kept, jsonb_typeof(payload -> 'x')
    FROM unnest(ARRAY['1.6543612251060553e-24', '1e400', '1e99999999999',
    '-1e-401', '0.10', '-0', '-0.0', '1e-5']) AS number, verify(left(body(), -1) || ', "x": ' || number || '}');
SELECT length((payload ->> 'x')) AS digits, jsonb_typeof(payload -> 'x') FROM unnest(ARRAY['1e399', '1e400', '1e-400', '1e-401']) AS number,
       verify(left(body(), -1) || ', "x": ' || number || '}');

-- The caller's mistakes are errors
\set VERBOSITY sqlstate
SELECT cc_verify_postback(body(), 'application/json', NULL);
SELECT cc_verify_postback(body(), 'application/json', '');
SELECT cc_verify_postback(NULL::text, NULL, '');
SELECT cc_verify_postback(body(), 'application/json', 's3cret', NULL::timestamptz);
SELECT cc_verify_postback(body(), 'application/json', 's3cret', 'infinity');
SELECT cc_verify_postback(body(), 'application/json', 's3cret', now(), '-1 second');
SELECT cc_verify_postback(body(), 'application/json', 's3cret', now(), NULL);
\set VERBOSITY default
SELECT cc_verify_postback(body(), 'application/json', '');
-- A NULL body is an empty body
SELECT verified, reason FROM cc_verify_postback(NULL::text, NULL, 's3cret');
SELECT verified, reason FROM cc_verify_postback(NULL::bytea, NULL, 's3cret');

-- cc_parse_postback reads a body whose fields are malformed, and reports other faults
SELECT cc_parse_postback('{"token": "t", "status": 1, "status": 2, "in": {"token": "kept"}}', 'application/json');
SELECT cc_parse_postback('[]', 'application/json');
SELECT cc_parse_postback('{}', 'text/html');
SELECT cc_parse_postback('\x7b7d00'::bytea, NULL);
\set VERBOSITY sqlstate
SELECT cc_parse_postback(NULL::text, NULL);

DROP FUNCTION body, verify;
DROP EXTENSION cryptocloud_postback;
