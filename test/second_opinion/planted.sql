-- Would the bodies notice? Each rule of verifier.sql broken, one at a time: on some body the extension must then disagree.
-- For `run --planted`. The table body holds the dose; bodies about which the two disagree anyway are taken out first.
SET search_path = second_opinion, public;
SET timezone = 'UTC';

DELETE FROM body USING disagreement AS d WHERE body.n = d.n;

CREATE TABLE fault (id serial, what text, function regprocedure, rule text, broken text, problem text);
INSERT INTO fault (what, function, rule, broken) VALUES
    ('white space is blanks alone', 'strip(bytea)', '\x20090d0a', '\x20'),
    ('white space has a vertical tab', 'strip(bytea)', '\x20090d0a', '\x20090d0a0b'),
    ('white space around the token: blanks alone', 'strip(text)', ' \t\r\n', ' '),
    ('inv- is a prefix too', 'without_prefix(text)', 'starts_with(id', 'starts_with(upper(id)'),
    ('no prefix', 'without_prefix(text)', 'substr(id, 5)', 'id'),
    ('a number may begin with 0', 'read_number(text)', '(0|[1-9][0-9]*)', '([0-9]+)'),
    ('a number may end with a point', 'read_number(text)', '([0-9]+))?(?:', '([0-9]*))?(?:'),
    ('+1', 'read_number(text)', '^(-?)', '^([-+]?)'),
    ('-0 is negative', 'read_number(text)', 'part[1] = ''-'' AND n.digits <> ''''', 'part[1] = ''-'''),
    ('exponents are not cut', 'read_number(text)', 'length(power) > 9', 'length(power) > 99'),
    ('microseconds rounded down', 'microseconds(number)', 'whole + (keep < length(n.digits))::integer', 'whole'),
    ('a month of 31 days', 'microseconds(interval)', '30 * (extract(month', '31 * (extract(month'),
    ('depth 63', 'too_deep(text)', '64', '63'),
    ('depth 65', 'too_deep(text)', '64', '65'),
    ('brackets in strings count', 'too_deep(text)', '"(?:[^"\\]|\\.)*"', '""'),
    ('an array is a body', 'read_json(bytea)', '<> ''object''', '= ''null'''),
    ('\u0000', 'read_json(bytea)', '''\\u0000''', '''\\u0000z'''),
    ('an escaped backslash is looked at', 'read_json(bytea)', 'replace(t, ''\\'', ''.'')', 't'),
    ('a lone low surrogate', 'read_json(bytea)', '[89a-fA-F]'' THEN', '[89abAB]'' THEN'),
    ('a lone high surrogate', 'read_json(bytea)', '[89a-fA-F]'' THEN', '[c-fC-F]'' THEN'),
    ('no surrogate pairs', 'read_json(bytea)', '[dD][89abAB][0-9a-fA-F]{2}', '[xX][89abAB][0-9a-fA-F]{2}'),
    ('399 digits are kept', 'kept_number(text)', 'integer_digits <= 400', 'integer_digits <= 399'),
    ('401 digits are kept', 'kept_number(text)', 'integer_digits <= 400', 'integer_digits <= 401'),
    ('399 decimals are kept', 'kept_number(text)', 'spelled_decimals <= 400', 'spelled_decimals <= 399'),
    ('decimals by value', 'kept_number(text)', 'spelled_decimals <= 400', 'decimals <= 400'),
    ('+ after %', 'decode_part(text)', 'string_to_table(replace(part, ''+'', '' ''), ''%'')', 'string_to_table(part, ''%'')'),
    ('a lone % stands for itself', 'decode_part(text)', '|%[0-9A-Fa-f]{2}', '|%'),
    ('999 pairs', 'read_form(bytea)', '> 1000', '> 999'),
    ('1001 pairs', 'read_form(bytea)', '> 1000', '> 1001'),
    ('empty pairs count', 'read_form(bytea)', 'array_remove(string_to_array(convert_from(bytes, ''LATIN1''), ''&''), '''')',
     'string_to_array(convert_from(bytes, ''LATIN1''), ''&'')'),
    ('a value ends at the second =', 'read_form(bytea)', 'decode_part(substr(pair, strpos(pair, ''='') + 1))', 'decode_part(split_part(pair, ''='', 2))'),
    ('case of a content type', 'read_content_type(text)', 'lower(strip(coalesce(header, '''')) COLLATE "C")', 'strip(coalesce(header, ''''))'),
    ('İ is an i', 'read_content_type(text)', ' COLLATE "C"', ''),
    ('application/+json', 'read_content_type(text)', 'a-z]+\+json', 'a-z]*\+json'),
    ('text/json', 'read_content_type(text)', ', ''text/json''', ''),
    ('any charset', 'read_content_type(text)', 'charset NOT IN', 'charset IS NULL AND charset NOT IN'),
    ('no quoted charset', 'read_content_type(text)', ', ''"utf-8"''', ', ''"x"'''),
    ('semicolons in quotes', 'read_content_type(text)', '(?:[^;"]|"(?:[^"\\]|\\.)*(?:"|\\?$))*', '[^;]*'),
    ('padding', 'decode_base64url(text)', '_-]+$', '_-]+=*$'),
    ('trailing bits', 'decode_base64url(text)', 'E''+/=\n'', ''-_'') = part', 'E''+/=\n'', ''-_'') IS NOT NULL'),
    ('a member twice in header or claims', 'has_member_twice(json)', 'count(*) > count(DISTINCT key)', 'false'),
    ('a NULL secret', 'verify(bytea,text,text,timestamptz,interval)', 'secret IS NULL OR', ''),
    ('an empty secret', 'verify(bytea,text,text,timestamptz,interval)', 'OR secret = ''''', ''),
    ('an infinite time', 'verify(bytea,text,text,timestamptz,interval)', 'OR NOT isfinite(at)', ''),
    ('a negative leeway', 'verify(bytea,text,text,timestamptz,interval)', 'OR microseconds(leeway) < 0', ''),
    ('a size of 1 MiB', 'verify(bytea,text,text,timestamptz,interval)', 'length(body) > 1048576', 'length(body) >= 1048576'),
    ('size after trimming', 'verify(bytea,text,text,timestamptz,interval)', 'length(body) > 1048576', 'length(trimmed) > 1048576'),
    ('sniffing [', 'verify(bytea,text,text,timestamptz,interval)', '= ascii(''{'')', 'IN (ascii(''{''), ascii(''[''))'),
    ('payload with the token', 'verify(bytea,text,text,timestamptz,interval)', 'kept_json(j) - ''token''', 'kept_json(j)'),
    ('a form''s payload with the token', 'verify(bytea,text,text,timestamptz,interval)', 'm.name <> ''token'' GROUP', 'true GROUP'),
    ('repeated names in any order', 'verify(bytea,text,text,timestamptz,interval)', 'ORDER BY m.place)', 'ORDER BY -m.place)'),
    ('invoice_info twice in JSON', 'verify(bytea,text,text,timestamptz,interval)', 'OR m.name = ''invoice_info'' AND format = ''json''', ''),
    ('invoice_info twice in a form', 'verify(bytea,text,text,timestamptz,interval)', 'AND format = ''json''', ''),
    ('a field twice', 'verify(bytea,text,text,timestamptz,interval)', 'm.name = ANY (six) OR', ''),
    ('null is a kind', 'verify(bytea,text,text,timestamptz,interval)', 'AND m.kind <> ''null''', ''),
    ('a blank invoice_id', 'verify(bytea,text,text,timestamptz,interval)', 'strip(without_prefix(texts ->> ''invoice_id'')) = ''''',
     'without_prefix(texts ->> ''invoice_id'') = '''''),
    ('invoice_id INV- alone', 'verify(bytea,text,text,timestamptz,interval)', 'strip(without_prefix(texts ->> ''invoice_id'')) = ''''',
     'strip(texts ->> ''invoice_id'') = '''''),
    ('any number as an id', 'verify(bytea,text,text,timestamptz,interval)', 'value ~ ''^-?[0-9]+$''', 'true'),
    ('no number as an id', 'verify(bytea,text,text,timestamptz,interval)', 'value ~ ''^-?[0-9]+$''', 'false'),
    ('true is a status', 'verify(bytea,text,text,timestamptz,interval)', 'kinds ->> name <> ''string''', 'kinds ->> name NOT IN (''string'', ''boolean'')'),
    ('254 characters', 'verify(bytea,text,text,timestamptz,interval)', 'ELSE 255', 'ELSE 254'),
    ('256 characters', 'verify(bytea,text,text,timestamptz,interval)', 'ELSE 255', 'ELSE 256'),
    ('255 bytes', 'verify(bytea,text,text,timestamptz,interval)', 'length(value)', 'octet_length(value)'),
    ('a token of 4095', 'verify(bytea,text,text,timestamptz,interval)', 'THEN 4096', 'THEN 4095'),
    ('a token of 4097', 'verify(bytea,text,text,timestamptz,interval)', 'THEN 4096', 'THEN 4097'),
    ('control characters to 1E', 'verify(bytea,text,text,timestamptz,interval)', '\u001f', '\u001e'),
    ('7F', 'verify(bytea,text,text,timestamptz,interval)', '\u007f', '\u0080'),
    ('9F', 'verify(bytea,text,text,timestamptz,interval)', '\u009f', '\u009e'),
    ('A0', 'verify(bytea,text,text,timestamptz,interval)', '\u009f', '\u00a0'),
    ('an empty status', 'verify(bytea,text,text,timestamptz,interval)', 'coalesce(texts ->> ''status'', '''') = '''' OR', ''),
    ('an empty currency', 'verify(bytea,text,text,timestamptz,interval)', 'OR coalesce(texts ->> ''currency'', '''') = ''''', ''),
    ('blanks around an amount', 'verify(bytea,text,text,timestamptz,interval)', 'strip(texts ->> ''amount_crypto'')', 'texts ->> ''amount_crypto'''),
    ('a negative amount', 'verify(bytea,text,text,timestamptz,interval)', 'OR amount.negative', ''),
    ('37 digits', 'verify(bytea,text,text,timestamptz,interval)', '> 38', '> 37'),
    ('39 digits', 'verify(bytea,text,text,timestamptz,interval)', '> 38', '> 39'),
    ('35 decimals', 'verify(bytea,text,text,timestamptz,interval)', '> 36', '> 35'),
    ('37 decimals', 'verify(bytea,text,text,timestamptz,interval)', '> 36', '> 37'),
    ('decimals of an amount as spelled', 'verify(bytea,text,text,timestamptz,interval)', 'amount.decimals', 'amount.spelled_decimals'),
    ('four parts', 'verify(bytea,text,text,timestamptz,interval)', 'cardinality(part) <> 3', 'cardinality(part) < 3'),
    ('alg none', 'verify(bytea,text,text,timestamptz,interval)', 'header ->> ''alg'' <> ''HS256''', 'header ->> ''alg'' NOT IN (''HS256'', ''none'')'),
    ('alg hs256', 'verify(bytea,text,text,timestamptz,interval)', 'header ->> ''alg'' <> ''HS256''', 'upper(header ->> ''alg'') <> ''HS256'''),
    ('alg of another type', 'verify(bytea,text,text,timestamptz,interval)', 'NOT is_kind(header -> ''alg'', ''string'') OR header ->> ''alg'' <>',
     '(header -> ''alg'') IS NULL OR header -> ''alg'' ->> 0 IS NULL AND header ->> ''alg'' <>'),
    ('crit null', 'verify(bytea,text,text,timestamptz,interval)', '(header -> ''crit'') IS NOT NULL', '(header ->> ''crit'') IS NOT NULL'),
    ('b64 false', 'verify(bytea,text,text,timestamptz,interval)', '(header -> ''b64'')::text <> ''true''', 'false'),
    ('b64 "true"', 'verify(bytea,text,text,timestamptz,interval)', '(header -> ''b64'')::text <> ''true''', '(header ->> ''b64'') <> ''true'''),
    ('any signature', 'verify(bytea,text,text,timestamptz,interval)', 'signature IS DISTINCT FROM', 'NULL IS NOT DISTINCT FROM signature AND NULL <>'),
    ('a cut signature', 'verify(bytea,text,text,timestamptz,interval)', 'signature IS DISTINCT FROM hmac(', 'signature IS DISTINCT FROM substr(hmac('),
    ('exp as a string', 'verify(bytea,text,text,timestamptz,interval)', 'NOT is_kind(claims -> ''exp'', ''number'')', 'read_number(claims ->> ''exp'') IS NULL'),
    ('a negative exp', 'verify(bytea,text,text,timestamptz,interval)', 'IF (read_number(claims ->> ''exp'')).negative', 'IF false'),
    ('exp in the year 10000', 'verify(bytea,text,text,timestamptz,interval)', 'IF expires >=', 'IF expires >'),
    ('nbf null', 'verify(bytea,text,text,timestamptz,interval)', '''{nbf,iat}''', '''{iat}'''),
    ('iat null', 'verify(bytea,text,text,timestamptz,interval)', '''{nbf,iat}''', '''{nbf}'''),
    ('at nbf', 'verify(bytea,text,text,timestamptz,interval)', 'not_before > now', 'not_before >= now'),
    ('at exp', 'verify(bytea,text,text,timestamptz,interval)', 'now >= expires', 'now > expires'),
    ('leeway of nbf', 'verify(bytea,text,text,timestamptz,interval)', 'now + microseconds(leeway) THEN', 'now THEN'),
    ('leeway of exp', 'verify(bytea,text,text,timestamptz,interval)', 'expires + microseconds(leeway) THEN', 'expires THEN'),
    ('no claim uuid', 'verify(bytea,text,text,timestamptz,interval)', '''{id,uuid}''', '''{id}'''),
    ('no claim id', 'verify(bytea,text,text,timestamptz,interval)', '''{id,uuid}''', '''{uuid}'''),
    ('a number binds', 'verify(bytea,text,text,timestamptz,interval)', 'is_kind(claim, ''string'') AND', ''),
    ('prefix of a claim', 'verify(bytea,text,text,timestamptz,interval)', 'without_prefix(claim #>> ''{}'')', '(claim #>> ''{}'')'),
    ('case of a claim', 'verify(bytea,text,text,timestamptz,interval)', 'without_prefix(claim #>> ''{}'') <> without_prefix(texts ->> ''invoice_id'')',
     'lower(without_prefix(claim #>> ''{}'')) <> lower(without_prefix(texts ->> ''invoice_id''))'),
    ('invoice_id with its prefix', 'verify(bytea,text,text,timestamptz,interval)', 'v.invoice_id := without_prefix(texts ->> ''invoice_id'')',
     'v.invoice_id := texts ->> ''invoice_id'''),
    ('an empty order_id', 'verify(bytea,text,text,timestamptz,interval)', 'nullif(texts ->> ''order_id'', '''')', 'texts ->> ''order_id'''),
    ('an amount through a float', 'verify(bytea,text,text,timestamptz,interval)', 'value_of(amount)', 'value_of(amount)::double precision::numeric'),
    ('exp through a float', 'verify(bytea,text,text,timestamptz,interval)', 'moment(expires)', 'to_timestamp(round(expires / 1000000)::double precision)'),
    ('claims that keep no number', 'verify(bytea,text,text,timestamptz,interval)', 'kept_json(claims)', 'claims::jsonb');
UPDATE fault SET broken = 'signature IS DISTINCT FROM substr(hmac(convert_to(part[1] || ''.'' || part[2], ''UTF8''), convert_to(secret, ''UTF8''), ''sha256''), 1, length(signature))',
                 rule = 'signature IS DISTINCT FROM hmac(convert_to(part[1] || ''.'' || part[2], ''UTF8''), convert_to(secret, ''UTF8''), ''sha256'')'
 WHERE what = 'a cut signature';

DO $$
DECLARE
    f        fault;
    original text;
BEGIN
    FOR f IN SELECT * FROM fault ORDER BY id LOOP
        original := pg_get_functiondef(f.function);
        IF strpos(original, f.rule) = 0 THEN
            UPDATE fault SET problem = 'the rule is not there' WHERE id = f.id;
            CONTINUE;
        END IF;
        EXECUTE replace(original, f.rule, f.broken);
        IF NOT EXISTS (SELECT FROM body AS b, LATERAL compare(b.body, b.content_type, b.secret, b.at, b.leeway) AS c WHERE c.problem IS NOT NULL) THEN
            UPDATE fault SET problem = 'no body notices' WHERE id = f.id;
        END IF;
        EXECUTE original;
    END LOOP;
END
$$;
