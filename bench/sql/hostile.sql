-- Bodies of 1 MiB that cost as much as anybody could invent, and an honest one to compare them with.
CREATE TABLE hostile (place int GENERATED ALWAYS AS IDENTITY, name text PRIMARY KEY, content_type text, body text);
ALTER TABLE hostile ALTER body SET STORAGE EXTERNAL, ALTER content_type SET STORAGE EXTERNAL;

-- The documented sample, signed, with one more member that fills it up to 1 MiB: `unit` repeated.
CREATE FUNCTION frame() RETURNS text LANGUAGE sql STABLE AS
    $$SELECT left(cc_sample_postback('s3cret', expires_at => '2100-01-01')::jsonb::text, -1) || ', "x": '$$;
CREATE FUNCTION filled(start text, unit text, stop text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT frame() || start || rtrim(repeat(unit, (1048576 - octet_length(frame() || start || stop || '}')) / octet_length(unit)), ',') || stop || '}'
$$;
-- The same with different units: `unit` gets a number in place of each #.
CREATE FUNCTION counted(start text, unit text, stop text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT frame() || start || string_agg(replace(unit, '#', to_char(n, 'FM000000')), ',') || stop || '}'
      FROM generate_series(1, (1048576 - octet_length(frame() || start || stop || '}')) / (octet_length(replace(unit, '#', '123456')) + 1)) AS n
$$;
CREATE FUNCTION form(unit text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT sample || repeat(unit, (1048576 - octet_length(sample)) / greatest(octet_length(unit), 1))
      FROM (SELECT cc_sample_postback('s3cret', 'application/x-www-form-urlencoded', expires_at => '2100-01-01') || '&') AS s (sample)
$$;

INSERT INTO hostile (name, content_type, body)
SELECT 'honest: the sample''s invoice_info 600 times', 'application/json',
       filled('[', ((cc_sample_postback('s3cret', expires_at => '2100-01-01')::jsonb) -> 'invoice_info')::text || ',', ']');

INSERT INTO hostile (name, content_type, body)
SELECT name, 'application/json', body FROM (VALUES
    -- Nesting
    ('1 MiB of [', repeat('[', 1048576)),
    ('1 MiB of {"":', repeat('{"":', 262144)),
    ('arrays, 62 deep', filled('[', repeat('[', 62) || repeat(']', 62) || ',', ']')),
    ('objects, 62 deep', filled('[', repeat('{"":', 61) || '{}' || repeat('}', 61) || ',', ']')),
    -- Many small values
    ('[0,0,0,...]', filled('[', '0,', ']')),
    ('[[],[],...]', filled('[', '[],', ']')),
    ('[{},{},...]', filled('[', '{},', ']')),
    ('["","",...]', filled('[', '"",', ']')),
    ('[[0],[0],...]', filled('[', '[0],', ']')),
    ('[{"":0},...]', filled('[', '{"":0},', ']')),
    ('["","",...] as tx_list', regexp_replace(left(frame(), -7), '"tx_list": \[[^]]*\]', '"tx_list": [' || repeat('"",', 348500) || '""]') || '}'),
    ('["x","x",...] as tx_list', regexp_replace(left(frame(), -7), '"tx_list": \[[^]]*\]', '"tx_list": [' || repeat('"x",', 261000) || '"x"]') || '}'),
    ('[0,0,0,...] as invoice_info', replace(replace(filled('[', '0,', ']'), '"invoice_info"', '"y"'), '"x"', '"invoice_info"')),
    -- Keys
    ('"":0 209,000 times', filled('{', '"":0,', '}')),
    ('the same key, 1 kB', filled('{', '"' || repeat('k', 1000) || '":0,', '}')),
    ('95,000 keys', counted('{', '"#":0', '}')),
    ('95,000 keys, downwards', (SELECT frame() || '{' || string_agg(format('"%s":0', n), ',' ORDER BY n DESC) || '}}' FROM generate_series(100001, 195000) AS n)),
    ('75,000 keys, each twice', counted('{', '"#":0,"#":1', '}')),
    ('keys alike for 100 bytes', counted('{', '"' || repeat('k', 100) || '#":0', '}')),
    ('keys alike for 1,000 bytes', counted('{', '"' || repeat('k', 1000) || '#":0', '}')),
    ('keys in escapes', filled('{', '"\u0061\u0062":0,', '}')),
    ('"status" 87,000 times', filled('{}, ', '"status":0,', '')),
    -- Strings
    ('one string of 1 MiB', filled('"', 'x', '"')),
    ('\u0061 in one string', filled('"', '\u0061', '"')),
    ('\ud83d\ude00 in one string', filled('"', '\ud83d\ude00', '"')),
    ('\n in one string', filled('"', '\n', '"')),
    ('\\ in one string', filled('"', '\\', '"')),
    ('\\ and never an end', repeat('\\', 524288)),
    ('["\u0061",...]', filled('[', '"\u0061",', ']')),
    ('U+D000, which looks like a surrogate, after an escape', filled('"\n', U&'\D000', '"')),
    ('U+1F600', filled('"', U&'\+01F600', '"')),
    ('lone surrogate at the end', filled('"', '\u0061', '\ud800"')),
    -- Numbers
    ('1e399', filled('[', '1e399,', ']')),
    ('1e-399', filled('[', '1e-399,', ']')),
    ('1e400', filled('[', '1e400,', ']')),
    ('1e131071', filled('[', '1e131071,', ']')),
    ('1e99999999999999', filled('[', '1e99999999999999,', ']')),
    ('0e-400', filled('[', '0e-400,', ']')),
    ('1e9', filled('[', '1e9,', ']')),
    ('1.5', filled('[', '1.5,', ']')),
    ('-0.0', filled('[', '-0.0,', ']')),
    ('20 digits', filled('[', repeat('7', 20) || ',', ']')),
    ('400 digits', filled('[', repeat('7', 400) || ',', ']')),
    ('400 decimals', filled('[', '0.' || repeat('7', 400) || ',', ']')),
    ('401 digits', filled('[', repeat('7', 401) || ',', ']')),
    ('one number of 1 MiB', filled('', '7', '')),
    ('one number of 1 MiB decimals', filled('0.', '0', '1')),
    ('one exponent of 1 MiB', filled('1e', '7', '')),
    ('[1e400,0,0,...], read twice', filled('[1e400,', '0,', ']')),
    ('[1e400,1e399,...], read twice', filled('[1e400,', '1e399,', ']')),
    ('1e400 and the honest one', filled('[1e400,', ((cc_sample_postback('s3cret', expires_at => '2100-01-01')::jsonb) -> 'invoice_info')::text || ',', ']')),
    ('1e400 and a run of zeros', filled('[1e400,', '0', ']')),
    ('1e400 and a run of -', filled('[1e400,', '-', ']')),
    ('1e400 and a run of "', filled('[1e400,', '"', ']')),
    ('1e400 and a run of \', filled('[1e400,"', '\', ']')),
    -- White space
    ('blanks', filled('[', ' ', ']'))) AS given (name, body);

INSERT INTO hostile (name, content_type, body)
SELECT name, 'application/x-www-form-urlencoded', body FROM (VALUES
    ('form: &&&...', form('&')),
    ('form: one value of %41', form('%41')),
    ('form: one value of +', form('+')),
    ('form: one value of %F0%9F%98%80', form('%F0%9F%98%80')),
    ('form: one name of 1 MiB', form('x')),
    ('form: 900 pairs of 1 kB', form('x=' || repeat('%41', 380) || '&')),
    ('form: 900 names alike for 1 kB', (SELECT form('') || string_agg(repeat('k', 1140) || to_char(n, 'FM000') || '=', '&') FROM generate_series(1, 900) AS n)),
    ('form: 1 MiB of a=&', form('a=&')),
    ('form: invoice_info, a JSON string of [0,0,...]', form('') || 'invoice_info={"x":[' || repeat('0,', 523000) || '0]}'),
    ('form: %', form('%'))) AS given (name, body);

INSERT INTO hostile (name, content_type, body)
SELECT 'a content type of 1 MiB', 'application/json' || repeat(';a="\";', 149796), cc_sample_postback('s3cret', expires_at => '2100-01-01');

-- Bodies are filled up or cut to 1 MiB. In JSON white space counts like anything else.
UPDATE hostile SET body = CASE WHEN content_type LIKE '%json' THEN rpad(body, 1048576 - octet_length(body) + length(body)) ELSE body END
 WHERE octet_length(body) < 1048576 AND content_type NOT LIKE '%;%';

-- The processor time of this backend, in milliseconds, as the kernel accounts it.
CREATE FUNCTION busy() RETURNS double precision LANGUAGE sql VOLATILE AS
    $$SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::double precision / 1e6$$;

-- Milliseconds for `statement`, which gets body and content type as $1 and $2: the minimum of three runs of at least 60 ms.
CREATE FUNCTION cost(statement text, body text, content_type text) RETURNS double precision LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    least double precision;
    began double precision;
    times int;
BEGIN
    FOR turn IN 1 .. 3 LOOP
        began := busy();
        times := 0;
        WHILE busy() < began + 60 LOOP
            EXECUTE statement USING body, content_type;
            times := times + 1;
        END LOOP;
        least := least(least, (busy() - began) / times);
    END LOOP;
    RETURN least;
END
$$;

-- The peak memory of this backend since restart_peak(), in kilobytes.
CREATE FUNCTION peak() RETURNS int LANGUAGE sql VOLATILE AS
    $$SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s+(\d+)')::int$$;
CREATE PROCEDURE restart_peak() LANGUAGE plpgsql AS $$BEGIN COPY (SELECT 5) TO '/proc/self/clear_refs'; END$$;

CREATE TABLE measured (what text, name text, verdict text, milliseconds double precision, kilobytes int);
