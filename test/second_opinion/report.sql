-- Reports the results of run: one test per vector and side, per trap, per kind of bodies, and per reason.
SET search_path = second_opinion, public;
SET timezone = 'UTC';

CREATE TABLE result (part integer, name text, problem text);
INSERT INTO result SELECT 1, format('vector %s/%s, second opinion', suite, name), wrong FROM vector;
INSERT INTO result SELECT 2, format('vector %s/%s, extension', suite, name), problem FROM vector;
INSERT INTO result SELECT 3, 'trap: ' || name, problem FROM trap;
INSERT INTO result
SELECT 4, 'bodies: ' || kind,
       (SELECT format('%s of %s bodies', count(*), sum) FROM disagreement AS d WHERE d.kind = t.kind HAVING count(*) > 0)
  FROM (SELECT kind, sum(bodies) FROM tally GROUP BY kind) AS t;
-- A dose that never gets a reason does not test it.
INSERT INTO result
SELECT 5, 'bodies come to ' || reason,
       CASE WHEN NOT EXISTS (SELECT FROM tally AS t WHERE t.reason = r.reason) THEN 'none does' END
  FROM unnest('{verified,empty_body,body_too_large,unsupported_content_type,invalid_json,invalid_form,duplicate_field,
    missing_invoice_id,invalid_field,invalid_amount,missing_token,malformed_token,unsupported_algorithm,bad_signature,
    invalid_claims,token_not_yet_valid,token_expired,invoice_mismatch,error 22023}'::text[]) AS r (reason);
INSERT INTO result SELECT 6, 'no ERROR but the caller''s', string_agg(DISTINCT reason, ', ')
  FROM tally WHERE reason LIKE 'error%' AND reason <> 'error 22023';

SELECT rpad(reason, 26) || lpad(sum(bodies)::text, 9) || ' bodies' FROM tally GROUP BY reason ORDER BY sum(bodies) DESC;
SELECT format('not ok - %s: %s', name, problem) FROM result WHERE problem IS NOT NULL ORDER BY part, name;

-- The two reasons mostly determine the columns that differ. So this shows the shortest body for each pair, made shorter.
SELECT format(E'\n%s bodies: %s\n  the shortest: %s%s', bodies, problem, kind,
              ': bodies.py --show --seed ' || :'seed' || ' --first ' || n),
       format(E'  made shorter: %s\n  SELECT * FROM cc_verify_postback(%L::bytea, %L, %L, %L, %L);', encode(shortened, 'escape'),
              shortened, content_type, secret, at, leeway)
  FROM (SELECT DISTINCT ON (words) *, count(*) OVER (PARTITION BY words) AS bodies
          FROM disagreement, split_part(problem, ' (', 1) AS words
         ORDER BY words, length(body), n) AS d,
       LATERAL smallest(body, content_type, secret, at, leeway, problem) AS shortened
 ORDER BY bodies DESC LIMIT 12;

SELECT format('%s passed, %s failed', count(*) - count(problem), count(problem)) FROM result;
