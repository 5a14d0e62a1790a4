-- Mistakes of hand-written SQL. Each line shows the mistake, and that the second opinion and the extension do not make it.
-- If a newer PostgreSQL has no such trap, the test fails too, because the list is then outdated.
SET search_path = second_opinion, public;
SET timezone = 'UTC';

CREATE TABLE trap (name text, problem text);

--------------------------------------------------------------------------------------------------------------------------
-- Whole verifications: naive() is the code of an hour
--------------------------------------------------------------------------------------------------------------------------

CREATE FUNCTION naive_base64url(part text) RETURNS bytea LANGUAGE sql AS $$
    SELECT decode(translate(part, '-_', '+/') || repeat('=', -length(part) & 3), 'base64')
$$;

CREATE FUNCTION naive(body text, secret text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    at     CONSTANT timestamptz := '2026-01-27 10:23:20Z';
    sent   jsonb;
    part   text[];
    claims jsonb;
BEGIN
    sent := body;
    part := string_to_array(sent ->> 'token', '.');
    claims := convert_from(naive_base64url(part[2]), 'UTF8');
    IF naive_base64url(part[3]) <> hmac(part[1] || '.' || part[2], secret, 'sha256') THEN RETURN 'bad_signature'; END IF;
    IF to_timestamp((claims ->> 'exp')::double precision) < at THEN RETURN 'token_expired'; END IF;
    IF claims ->> 'id' <> ltrim(sent ->> 'invoice_id', 'INV-') THEN RETURN 'invoice_mismatch'; END IF;
    IF (sent ->> 'amount_crypto')::numeric < 0 THEN RETURN 'invalid_amount'; END IF;
    RETURN 'verified';
EXCEPTION WHEN OTHERS THEN
    RETURN 'error ' || SQLSTATE;        -- naive SQL has no such clause; this stands for the error that the proxy gets
END
$$;

CREATE FUNCTION signed(claims text, secret text DEFAULT 's3cret',
    header text DEFAULT '{"alg":"HS256"}') RETURNS text LANGUAGE sql AS $$
    SELECT s || '.' || translate(encode(hmac(s, secret, 'sha256'), 'base64'), E'+/=\n', '-_')
      FROM (SELECT translate(encode(convert_to(header, 'UTF8'), 'base64') || '.' || encode(convert_to(claims, 'UTF8'), 'base64'),
                             E'+/=\n', '-_')) AS v (s)
$$;

CREATE FUNCTION body(token text, invoice_id text DEFAULT 'A', amount text DEFAULT '1', extra text DEFAULT '') RETURNS text
    LANGUAGE sql AS $$
    SELECT format('{"status":"success","invoice_id":"%s","amount_crypto":%s,"currency":"BNB"%s%s}', invoice_id, amount,
                  ',"token":' || to_json(token)::text, extra)
$$;

\set claims '{"id":"A","exp":1769509700}'
CREATE TEMPORARY TABLE whole (name text, body text, secret text, naive text, verdict text);
INSERT INTO whole
SELECT v.* FROM (SELECT signed(:'claims')) AS genuine (token), LATERAL (VALUES
    ('none: a genuine postback is verified', body(token), 's3cret', 'verified', 'verified'),
    ('a NULL secret makes the comparison NULL, which is not true, and anything verifies', body('e30.e30.eA'), NULL, 'verified',
     'error 22023'),
    ('an empty secret is a key that everybody knows', body(signed(:'claims', '')), '', 'verified', 'error 22023'),
    ('no token: NULL all the way down', body(NULL), 's3cret', 'verified', 'missing_token'),
    ('a token of two parts: part[3] is NULL', body(split_part(token, '.', 1) || '.' || split_part(token, '.', 2)), 's3cret',
     'verified', 'malformed_token'),
    ('a fourth part is never looked at', body(token || '.x'), 's3cret', 'verified', 'malformed_token'),
    ('decode() skips white space: one token in many spellings', body(overlay(token PLACING '    ' FROM length(token) - 3 FOR 0)),
     's3cret', 'verified', 'malformed_token'),
    ('decode() takes any trailing bits', body(left(token, -1) || chr(ascii(right(token, 1)) + 1)), 's3cret', 'verified',
     'malformed_token'),
    ('padding: one token in two spellings', body(token || '='), 's3cret', 'verified', 'malformed_token'),
    ('no exp: NULL < at is not true, and the token never expires', body(signed('{"id":"A"}')), 's3cret', 'verified',
     'invalid_claims'),
    ('exp as a string', body(signed('{"id":"A","exp":"1769509700"}')), 's3cret', 'verified', 'invalid_claims'),
    ('exp "Infinity" is after every time', body(signed('{"id":"A","exp":"Infinity"}')), 's3cret', 'verified', 'invalid_claims'),
    ('exp 1e400 is no double', body(signed('{"id":"A","exp":1e400}')), 's3cret', 'error 22003', 'invalid_claims'),
    ('at exp the token is over: <= and not <', body(signed('{"id":"A","exp":1769509400}')), 's3cret', 'verified',
     'token_expired'),
    ('alg is not looked at', body(signed(:'claims', header => '{"alg":"none"}')), 's3cret', 'verified', 'unsupported_algorithm'),
    ('crit is not looked at', body(signed(:'claims', header => '{"alg":"HS256","crit":["x"]}')), 's3cret', 'verified',
     'unsupported_algorithm'),
    ('a claim twice: jsonb keeps the last', body(signed('{"id":"A","exp":1,"exp":1769509700}')), 's3cret', 'verified',
     'malformed_token'),
    ('ltrim(id, ''INV-'') trims letters, and the token of another invoice will do', body(signed('{"id":"OICE","exp":1769509700}'),
     'INVOICE'),
     's3cret', 'verified', 'invoice_mismatch'),
    ('... and one''s own will not', body(signed('{"id":"VIN7","exp":1769509700}'), 'VIN7'), 's3cret', 'invoice_mismatch',
     'verified'),
    ('->> makes text of a number: the documentation''s own token is refused', body(signed('{"id":13,"exp":1769509700}')),
     's3cret', 'invoice_mismatch', 'verified'),
    ('a claim uuid that names another invoice', body(signed('{"uuid":"B","exp":1769509700}')), 's3cret', 'verified',
     'invoice_mismatch'),
    ('a field twice: jsonb keeps the last, the shop''s other parser the first', body(token, extra => ',"amount_crypto":1000'),
     's3cret', 'verified',
     'duplicate_field'),
    ('... also in another spelling', body(token, extra => ',"\u0061mount_crypto":1000'), 's3cret', 'verified', 'duplicate_field'),
    ('NaN is a numeric, and greater than every price', body(token, amount => '"NaN"'), 's3cret', 'verified', 'invalid_amount'),
    ('Infinity is a numeric', body(token, amount => '"inf"'), 's3cret', 'verified', 'invalid_amount'),
    ('numeric takes more spellings than JSON', body(token, amount => '".5"'), 's3cret', 'verified', 'invalid_amount'),
    ('no amount: NULL < 0 is not true', body(token, amount => 'null'), 's3cret', 'verified', 'invalid_amount'),
    ('an amount in an array', body(token, amount => '[]'), 's3cret', 'error 22P02', 'invalid_field'),
    ('an amount of 130,000 digits fits numeric', body(token, amount => '1e130000'), 's3cret', 'verified', 'invalid_amount'),
    ('a number that decides nothing ends in an ERROR: a lost payment', body(token, extra => ',"x":1e200000'), 's3cret',
     'error 22003', 'verified'),
    ('\u0000 in any member is an ERROR of jsonb', body(token, extra => ',"x":"\u0000"'), 's3cret', 'error 22P05', 'invalid_json'),
    ('malformed JSON is an ERROR, which the proxy answers with 500', body(token) || '}', 's3cret', 'error 22P02', 'invalid_json'),
    ('deep nesting is an ERROR where the stack ends', body(token, extra => ',"x":' || repeat('[', 100000)), 's3cret',
     'error 54001', 'invalid_json'),
    ('a body that is no object', '"x"', 's3cret', 'verified', 'invalid_json'),
    ('an empty object', '{}', 's3cret', 'verified', 'missing_invoice_id'),
    ('a control character in a field', body(token, extra => ',"order_id":"1\u001b[2J"'), 's3cret', 'verified', 'invalid_field')
) AS v (name, body, secret, naive, verdict);

INSERT INTO trap
SELECT name, nullif(concat_ws('; ',
           CASE WHEN n <> naive THEN format('hand-written SQL says %s, expected was %s', n, naive) END,
           CASE WHEN o <> verdict THEN format('the second opinion says %s instead of %s', o, verdict) END,
           CASE WHEN p <> verdict THEN format('the extension says %s instead of %s', p, verdict) END), '')
  FROM whole, LATERAL (SELECT naive(body, secret),
                              word(opinion(convert_to(body, 'UTF8'), 'application/json', secret, '2026-01-27 10:23:20Z', '0')),
                              word(product(body, 'application/json', secret, '2026-01-27 10:23:20Z', '0'))) AS said (n, o, p);

--------------------------------------------------------------------------------------------------------------------------
-- Single expressions
--------------------------------------------------------------------------------------------------------------------------

INSERT INTO trap
SELECT name, CASE WHEN NOT coalesce(holds, false) THEN 'does not hold' END FROM (VALUES
    ('trim() removes blanks alone', trim(E'\tx\n') <> 'x' AND strip(E' \t\r\nx\r\n') = 'x'),
    ('\s matches white space that is none here', E'\u2003' ~ '^\s$' AND strip(E'\u2003') <> ''),
    ('lower() makes an i of U+0130 and a k of the Kelvin sign', lower(U&'\0130\212A') = 'ik'
         AND read_content_type(U&'appl\0130cation/json') IS NULL),
    ('json takes a lone surrogate and \u0000, which jsonb does not',
         '{"x":"\ud800"}'::json IS NOT NULL AND '{"x":"\u0000"}'::json IS NOT NULL
         AND read_json('{"x":"\\ud800"}') IS NULL AND read_json('{"x":"\\u0000"}') IS NULL
             AND read_json('{"x":"\\\\u0000"}') IS NOT NULL),
    ('json -> name finds one of two', '{"a":1,"a":2}'::json ->> 'a' = '2' AND has_member_twice('{"a":1,"\u0061":2}')),
    ('to_timestamp() goes through a float', to_timestamp(253402300799.999999) = '10000-01-01 00:00:00Z'
         AND moment(253402300799999999) = '9999-12-31 23:59:59.999999Z'),
    ('extract(epoch) makes a year 365.25 days', extract(epoch FROM interval '1 year') = 31557600
         AND microseconds(interval '1 year') = 31104000000000),
    ('-1 month 30 days is not negative, and an interval''s sign is that of the whole',
     microseconds(interval '-1 month 30 days') = 0
         AND microseconds(interval '1 day -24:00:00.000001') = -1),
    ('%2B becomes a blank where + comes after %', replace(convert_from(decode('2b', 'hex'), 'UTF8'), '+', ' ') = ' '
     AND decode_part('a%2Bb+c') = 'a+b c'),
    ('a character may be half raw and half escaped', (read_form('\x783dd0254236'))[1].value = 'ж'),
    ('encode(…, ''base64'') breaks its lines after 76 characters', strpos(encode(decode(repeat('00', 60), 'hex'), 'base64'),
     E'\n') > 0),
    ('float8 loses an amount''s digits', (0.1234567890123456789::double precision)::numeric <> 0.1234567890123456789
         AND value_of(read_number('0.1234567890123456789')) = 0.1234567890123456789),
    ('length() counts characters, octet_length() bytes', length('жж') = 2 AND octet_length('жж') = 4)
) AS v (name, holds);

SET timezone = 'Europe/Berlin';
INSERT INTO trap
SELECT 'timestamptz + interval ''1 day'' is 23 hours when the clocks go forward',
       CASE WHEN t + interval '1 day' <> t + interval '23 hours'
           OR microseconds(interval '1 day') <> 86400000000 THEN 'does not hold' END
  FROM (VALUES (timestamptz '2026-03-28 12:00')) AS v (t);
RESET timezone;
