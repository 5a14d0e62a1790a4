-- The server's log shows a failed statement. So that this one does not fail with the postback in it, the usual cause is checked
-- first.
SHOW transaction_read_only \gset
\if :transaction_read_only
  \echo 503 '{"error":"Service unavailable"}'
  \q
\endif
\set body `head -c 1048577 "$BODY" | base64 -w0`
\set content_type `printf %s "$CONTENT_TYPE" | base64 -w0`
\getenv project PROJECT
SELECT http_status, response
FROM cc_receive(decode(:'body', 'base64'), nullif(convert_from(decode(:'content_type', 'base64'), 'LATIN1'), ''), :'project');
