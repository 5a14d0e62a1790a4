-- Every vector: the second opinion says what it expects, and the extension says the same as the second opinion.
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

CREATE TABLE vector AS
SELECT suite, v ->> 'name' AS name, judge_vector(v) AS wrong,
       (compare(vector_body(v), v ->> 'content_type', v ->> 'secret', (v ->> 'at')::timestamptz, (v ->> 'leeway')::interval)).problem
  FROM (SELECT suite, value::jsonb AS v FROM line) AS vector;
