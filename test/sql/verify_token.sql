-- Checks of the token: form, algorithm, signature, claims, time, and the invoice that it names.
CREATE EXTENSION cryptocloud_postback;
SET timezone = 'UTC';
CREATE FUNCTION base64url(value text) RETURNS text LANGUAGE sql AS $$
    SELECT translate(encode(convert_to(value, 'UTF8'), 'base64'), E'+/=\n', '-_')
$$;
-- Signs any header and payload. HMAC by RFC 2104 with sha256() only, independent of the extension.
CREATE FUNCTION xored(bytes bytea, value int) RETURNS bytea LANGUAGE sql AS $$
    SELECT string_agg(set_byte('\x00', 0, get_byte(bytes, i) # value), '' ORDER BY i) FROM generate_series(0, length(bytes) - 1) AS i
$$;
CREATE FUNCTION sign(header text, payload text, secret text DEFAULT 's3cret') RETURNS text LANGUAGE sql AS $$
    SELECT signed || '.' || translate(encode(sha256(xored(key, 92) || sha256(xored(key, 54) || convert_to(signed, 'UTF8'))), 'base64'),
        '+/=', '-_')
      FROM (SELECT base64url(header) || '.' || base64url(payload),
                   convert_to(secret, 'UTF8') || decode(repeat('00', 64 - octet_length(secret)), 'hex')) AS v (signed, key)
$$;
CREATE FUNCTION verify(token text, at timestamptz DEFAULT '2026-01-27 10:23:20Z', leeway interval DEFAULT '0') RETURNS text
    LANGUAGE sql AS $$
    SELECT coalesce(reason, 'verified') FROM cc_verify_postback(
        format('{"status":"success","invoice_id":"ILRAJE1Q","amount_crypto":1,"currency":"BNB","token":%s}', to_json(token)),
        'application/json', 's3cret', at, leeway)
$$;
\set claims '{"id":"ILRAJE1Q","exp":1769509700}'
\set hs256 '{"typ":"JWT","alg":"HS256"}'

-- cc_sign_token follows RFC 7515
SELECT cc_sign_token(:'claims', 's3cret') = sign(:'hs256', (:'claims'::jsonb)::text) AS same;
SELECT verify(sign(:'hs256', :'claims')), verify(sign(:'hs256', :'claims', 'other'));
-- Algorithms: exactly HS256, no extension is understood; other members mean nothing
SELECT header, verify(sign(header, :'claims')) FROM unnest(ARRAY[
    '{"alg":"HS256"}', '{"alg":"HS256","kid":"../../dev/null","jku":"http://x","jwk":{"k":"x"},"x5u":"x","typ":1}',
        '{"alg":"HS256","b64":true}',
    '{"alg":"none"}', '{"alg":"None"}', '{"alg":"hs256"}', '{"alg":"HS256 "}', '{"alg":"HS384"}', '{"alg":"RS256"}', '{"alg":""}',
        '{"alg":null}',
    '{"alg":["HS256"]}', '{"alg":256}', '{}', '{"ALG":"HS256"}', '{"alg":"HS256","crit":[]}', '{"alg":"HS256","crit":["b64"],"b64":true}',
    '{"alg":"HS256","crit":null}', '{"alg":"HS256","b64":false}', '{"alg":"HS256","b64":"true"}', '{"alg":"HS256","b64":null}',
    '{"alg":"none","alg":"HS256"}', '{"alg":"HS256","\u0061lg":"none"}', '{"alg":"HS256","x":{"y":1,"y":2}}', '["HS256"]', '"HS256"', '',
        '{"alg":"HS256"', ' {"alg":"HS256"} ',
    '{"alg":"HS256","x":"\u0000"}', '{"alg":"HS256","x":"\udc00"}']) AS header;
-- Claims
SELECT payload, verify(sign(:'hs256', payload)) FROM unnest(ARRAY['{}', '[]', 'null', '', '{"exp":1769509700', '{"exp":1769509700}',
    '{"exp":1769509700,"exp":1769509700}',
    '{"exp":"1769509700"}', '{"exp":null}', '{"exp":true}', '{"exp":[1769509700]}', '{"exp":-1}', '{"exp":-0}', '{"exp":1769509700.5}',
        '{"exp":1.7695097e9}', '{"exp":0.1e11}',
    '{"exp":253402300799}', '{"exp":253402300799.5}', '{"exp":253402300800}', '{"exp":1e400}', '{"exp":1e99999999999}', '{"exp":1e-99999}',
    '{"exp":1769509700,"nbf":"1"}', '{"exp":1769509700,"nbf":null}', '{"exp":1769509700,"nbf":-1e400}', '{"exp":1769509700,"nbf":1e400}',
    '{"exp":1769509700,"iat":"1"}', '{"exp":1769509700,"iat":1e400}', '{"exp":1769509700,"iat":-5.5}']) AS payload;
-- Time: expired at exp; not yet valid before nbf; the leeway moves both, to the microsecond
SELECT claims, at, leeway, verify(sign(:'hs256', claims), at, leeway) FROM (VALUES
    ('{"exp":1769509700}', '2026-01-27 10:28:19.999999Z'::timestamptz, '0'::interval), ('{"exp":1769509700}', '2026-01-27 10:28:20Z', '0'),
    ('{"exp":1769509700}', '2026-01-27 10:28:20Z', '1 microsecond'), ('{"exp":1769509700}', '2026-01-27 10:28:20.000001Z', '1 microsecond'),
    ('{"exp":1769509700}', '2026-01-28 10:28:19.999999Z', '1 day'), ('{"exp":1769509700}', '2026-01-28 10:28:20Z', '1 day'),
    ('{"exp":1769509700}', '294000-01-01', '178000000 years'), ('{"exp":1769509700.0000001}', '2026-01-27 10:28:20Z', '0'),
        ('{"exp":1769509700.0000001}', '2026-01-27 10:28:20.000001Z', '0'),
    ('{"exp":1769509700,"nbf":1769509400}', '2026-01-27 10:23:19.999999Z', '0'),
        ('{"exp":1769509700,"nbf":1769509400}', '2026-01-27 10:23:20Z', '0'),
    ('{"exp":1769509700,"nbf":1769509400}', '2026-01-27 10:23:19Z', '1 second'),
        ('{"exp":1769509700,"nbf":1769509400.0000001}', '2026-01-27 10:23:20Z', '0'),
    ('{"exp":1769509700}', '4714-11-24 00:00:00 BC', '0')) AS v (claims, at, leeway);
-- The invoice: a string that names another invoice exactly; anything else binds nothing
SELECT id, verify(sign(:'hs256', format('{"exp":1769509700,%s}', id))) FROM
    unnest(ARRAY['"id":"ILRAJE1Q"', '"id":"INV-ILRAJE1Q"', '"uuid":"INV-ILRAJE1Q"', '"id":13', '"id":null',
    '"id":["OTHER"]', '"id":"ilraje1q"', '"id":"inv-ILRAJE1Q"', '"id":"INV-INV-ILRAJE1Q"', '"id":" ILRAJE1Q"', '"id":""',
        '"id":"ILRAJE1Q","uuid":"OTHER"', '"id":1,"uuid":"OTHER"']) AS id;

-- Form: three parts of canonical base64url, and nothing else
SELECT what, verify(token) FROM (SELECT sign(:'hs256', :'claims') AS t, cc_sign_token(:'claims', 's3cret') AS c) AS s, LATERAL (VALUES
    (1, 'signature empty', left(t, -43)), (2, 'signature and dot cut off', left(t, -44)), (3, 'one character less', left(t, -1)),
        (4, 'four characters less', left(t, -4)),
    (5, 'one character more', t || 'A'), (6, 'four characters more', t || 'AAAA'), (7, 'padded', t || '='), (8, 'a fourth part', t || '.'),
        (9, 'a fifth part', t || '.x.x'),
    (10, 'an empty header', substr(t, strpos(t, '.'))), (11, 'no claims', split_part(t, '.', 1) || '..' || split_part(t, '.', 3)),
    (12, 'a blank inside', overlay(t placing ' ' from 10 for 0)), (13, 'a line break inside', overlay(t placing E'\n' from 10 for 0)),
    (14, 'base64 instead of base64url', replace(replace(c, '-', '+'), '_', '/')),
    (15, 'JSON serialised', format('{"payload":"%s","protected":"%s","signature":"%s"}', split_part(t, '.', 2), split_part(t, '.', 1),
        split_part(t, '.', 3))),
    (16, 'Bearer', 'Bearer ' || t), (17, 'nested', sign('{"alg":"HS256","cty":"JWT"}', t)), (18, 'not ASCII', 'é' || t)) AS v (n, what,
        token) ORDER BY n;
-- Every character of a valid token replaced by every other character: none verifies
SELECT verify(token) AS verdict, count(*) > 0 AS some FROM (SELECT cc_sign_token(:'claims', 's3cret')) AS s (t),
    generate_series(1, length(t)) AS place,
       regexp_split_to_table('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/', '') AS letter,
       LATERAL (SELECT overlay(t placing letter from place)) AS v (token)
 WHERE token <> t GROUP BY 1 ORDER BY 1;
-- Long secrets and keys of the block's size
SELECT length(secret), reason FROM unnest(ARRAY['x', repeat('x', 64), repeat('x', 65), repeat('ж', 1000)]) AS secret,
       cc_verify_postback(cc_sample_postback(secret), 'application/json', secret);
-- Several secrets in one session are kept apart
SELECT secret, given, reason FROM unnest(ARRAY['a', 'b', 'ab']) AS secret, unnest(ARRAY['a', 'b', 'ab']) AS given,
    cc_verify_postback(cc_sample_postback(secret), 'application/json', given);

-- cc_sign_token: errors of the caller
\set VERBOSITY sqlstate
SELECT cc_sign_token('{}', NULL);
SELECT cc_sign_token('{}', '');
SELECT cc_sign_token(NULL, 's3cret');
SELECT cc_sign_token('[]', 's3cret');

DROP FUNCTION verify, sign(text, text, text), xored, base64url;
DROP EXTENSION cryptocloud_postback;
