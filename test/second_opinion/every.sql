-- Every short sequence of pieces that are difficult for a parser, none random. :more is 0, or 1 for sequences longer by one.
SET search_path = second_opinion, public;
SET timezone = 'UTC';

CREATE FUNCTION sequences(pieces text[], longest integer) RETURNS SETOF text LANGUAGE sql AS $$
    WITH RECURSIVE s (sequence, length) AS (
        SELECT '', 0 UNION ALL SELECT sequence || piece, length + 1 FROM s, unnest(pieces) AS piece WHERE length < longest)
    SELECT sequence FROM s
$$;

CREATE TEMPORARY TABLE body (LIKE second_opinion.body);
INSERT INTO body (kind, body, content_type, secret, at, leeway)
SELECT kind, convert_to(body, 'LATIN1'), content_type, 's3cret', '2026-01-27 10:23:20Z', '0' FROM (
    SELECT 'every number', '{"x":' || s || '}', 'application/json' FROM sequences('{0,1,-,+,.,e,E}', 4 + :more) AS s
    UNION ALL           -- beside a number that is too big for a double (M13)
    SELECT 'every number by a large one', '{"y":1e400,"x":' || s || '}', 'application/json'
      FROM sequences('{0,1,-,+,.,e}', 5 + :more) AS s
    UNION ALL
    SELECT 'every string', '{"x":"' || s || '"}', 'application/json'
      FROM sequences(ARRAY['\', 'u', '0000', '\ud83d', '\udcb8', '"', 'n', '\u0041'], 4 + :more) AS s
    UNION ALL
    SELECT 'every structure', '{"x":' || s || '}', 'application/json'
      FROM sequences(ARRAY['{', '}', '[', ']', ',', ':', '"a"', '0'], 4 + :more) AS s
    UNION ALL
    SELECT 'every form', s, NULL FROM sequences(ARRAY['%', '2', 'B', '+', '=', '&', U&'\00d0', U&'\00b6'], 4 + :more) AS s
    UNION ALL
    SELECT 'every content type', '{}', 'application/json' || s
      FROM sequences(ARRAY[';', 'charset', '=', '"', 'utf-8', 'latin1', ' ', '\'], 4 + :more) AS s
    UNION ALL
    SELECT 'every sniffed body', s, NULL FROM sequences(ARRAY['{', '}', ' ', E'\t', U&'\00a0', '[', '"', '&'], 3 + :more) AS s
) AS v (kind, body, content_type);
CALL judge_bodies();
