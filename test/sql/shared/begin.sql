\set ECHO none
-- Begins a test of the tables; end.sql ends it. The path of \ir begins with test/, since psql reads a test from its standard input.
SET client_min_messages = warning;
CREATE EXTENSION cryptocloud_postback;
SELECT cc_setup() \g /dev/null
-- A postback like the service's, valid now. Each call has a new token.
CREATE FUNCTION sample(invoice text, amount numeric DEFAULT 1, orders text DEFAULT 'O1', currency text DEFAULT 'BNB',
                       expires interval DEFAULT '5 min', info jsonb DEFAULT '{}', status text DEFAULT 'success',
                       secret text DEFAULT 's3cret') RETURNS text LANGUAGE sql AS $$
    SELECT cc_sample_postback(secret, 'application/json', invoice, orders, 0.1, amount, currency, status, info,
                              clock_timestamp() + expires)
$$;
\set ECHO all
