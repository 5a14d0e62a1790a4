-- Every vector, and every case that the bodies have found (found.jsonl, in the same format). The second opinion gives the expected
-- verdict, and the extension agrees with it.
SET search_path = second_opinion, public;
SET timezone = 'UTC';
CREATE TEMPORARY TABLE line (suite text DEFAULT current_setting('vectors.suite'), value text);
SET vectors.suite = 'documentation';
\copy line (value) FROM 'test/vectors/documentation.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'wire';
\copy line (value) FROM 'test/vectors/wire.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'rfc';
\copy line (value) FROM 'test/vectors/rfc.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'wycheproof';
\copy line (value) FROM 'test/vectors/wycheproof.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'json_suite';
\copy line (value) FROM 'test/vectors/json_suite.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')
SET vectors.suite = 'found';
\copy line (value) FROM 'test/second_opinion/found.jsonl' (FORMAT csv, QUOTE E'\x01', DELIMITER E'\x02')

CREATE TABLE vector AS
SELECT suite, v ->> 'name' AS name, judge_vector(v) AS wrong,
       (compare(vector_body(v), v ->> 'content_type', v ->> 'secret', (v ->> 'at')::timestamptz,
                (v ->> 'leeway')::interval)).problem
  FROM (SELECT suite, value::jsonb AS v FROM line) AS vector;

-- The extension's own sample is genuine at this time.
INSERT INTO vector
SELECT 'sample', format('%s, %s', content_type, left(secret, 9)),
       nullif(word(opinion(convert_to(body, 'UTF8'), content_type, secret, statement_timestamp(), '0')), 'verified'),
       (compare(convert_to(body, 'UTF8'), content_type, secret, statement_timestamp(), '0')).problem
  FROM unnest(ARRAY['application/json', 'application/x-www-form-urlencoded']) AS content_type,
       unnest(ARRAY['s3cret', 'ключ', repeat('k', 64), repeat('k', 65)]) AS secret,
       cc_sample_postback(secret, content_type, 'Ж &+=%"\') AS body;
