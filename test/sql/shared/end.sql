\set ECHO none
-- Drops the objects of begin.sql.
DROP TABLE cc_project, cc_inbox, cc_invoice, cc_import_log;
DROP FUNCTION sample;
DROP EXTENSION cryptocloud_postback;
\set ECHO all
