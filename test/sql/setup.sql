-- The objects that CREATE EXTENSION and cc_setup() make.
SET client_min_messages = warning;
CREATE SCHEMA cc;
CREATE EXTENSION cryptocloud_postback SCHEMA cc;

-- No table comes with the extension, and every object of it is documented
SELECT count(*) FROM pg_class WHERE relnamespace = 'cc'::regnamespace AND relkind = 'r';
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend
 WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cryptocloud_postback') AND deptype = 'e'
   AND obj_description(objid, classid::regclass::name) IS NULL
   AND objid NOT IN (SELECT typarray FROM pg_type);  -- their array types are members since PostgreSQL 17
-- Volatility and parallel safety of the user's functions
SELECT oid::regprocedure AS function, provolatile, proparallel, proisstrict FROM pg_proc
 WHERE pronamespace = 'cc'::regnamespace AND proname IN ('cc_verify_postback', 'cc_parse_postback', 'cc_sign_token', 'cc_sample_postback')
     ORDER BY oid::regprocedure::text COLLATE "C";
-- SECURITY DEFINER functions are in C, which resolves no name by the search_path, and not everybody may call them
SELECT p.oid::regprocedure AS function, lanname AS language FROM pg_proc p JOIN pg_language l ON l.oid = prolang
 WHERE pronamespace = 'cc'::regnamespace AND prosecdef ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT oid::regprocedure AS function FROM pg_proc WHERE pronamespace = 'cc'::regnamespace AND prosecdef
    AND has_function_privilege('public', oid, 'EXECUTE') ORDER BY oid::regprocedure::text COLLATE "C";

-- Before cc_setup() verification works, and the pipeline reports the missing tables
SELECT verified, reason FROM cc.cc_verify_postback(cc.cc_sample_postback('s3cret'), NULL, 's3cret');
SELECT * FROM cc.cc_receive('{}'::text, NULL);

-- The caller owns the tables, not the extension; a second call changes nothing
CREATE ROLE regress_shop;
GRANT USAGE, CREATE ON SCHEMA cc TO regress_shop;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_shop IN SCHEMA cc GRANT SELECT ON TABLES TO PUBLIC;
SET ROLE regress_shop;
SELECT cc.cc_setup();
INSERT INTO cc.cc_project (name, secret) VALUES ('default', 's3cret');
GRANT SELECT ON cc.cc_invoice TO PUBLIC;
SELECT cc.cc_setup();
SET quote_all_identifiers = on;     -- which changes how PostgreSQL spells an index
SELECT cc.cc_setup();
SELECT count(*) FROM cc.cc_missing_indexes('cc');
RESET quote_all_identifiers;
SELECT count(*) FROM pg_indexes WHERE schemaname = 'cc';
SELECT name FROM cc.cc_project;
RESET ROLE;
SELECT relname, relkind, pg_get_userbyid(relowner) AS owner,
       (SELECT string_agg(DISTINCT coalesce(nullif(grantee, 0)::regrole::text, 'PUBLIC'), ', ') FROM aclexplode(relacl)) AS grantees
           FROM pg_class WHERE relnamespace = 'cc'::regnamespace AND relkind IN ('r', 'S') ORDER BY 1;
SELECT count(*) FROM pg_depend WHERE deptype = 'e' AND objid IN (SELECT oid FROM pg_class WHERE relnamespace = 'cc'::regnamespace
    AND relkind = 'r');
-- Every column is documented
SELECT attrelid::regclass, attname FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'cc'::regnamespace
    AND relkind = 'r')
   AND attnum > 0 AND col_description(attrelid, attnum) IS NULL;

-- A superuser made the extension, regress_shop owns the tables: the pipeline and the merchant's trigger have the rights of regress_shop
SET ROLE regress_shop;
CREATE FUNCTION cc.who() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'trigger runs as %', current_user; RETURN NULL; END $$;
CREATE TRIGGER who AFTER INSERT ON cc.cc_invoice FOR EACH ROW EXECUTE FUNCTION cc.who();
RESET ROLE;
-- A superuser is refused: the shop's code can run when the transaction commits
SELECT * FROM cc.cc_receive(cc.cc_sample_postback('s3cret'), NULL);
CALL cc.cc_work();
SELECT cc.cc_accept(1);
SELECT cc.cc_reverify();
CREATE ROLE regress_proxy;
GRANT USAGE ON SCHEMA cc TO regress_proxy;
GRANT EXECUTE ON FUNCTION cc.cc_receive(text, text, text) TO regress_proxy;
SELECT cc.cc_sample_postback('s3cret') AS body \gset
SET ROLE regress_proxy;
SELECT * FROM cc.cc_receive(:'body'::text, NULL);
SELECT current_user;
RESET ROLE;
REVOKE ALL ON FUNCTION cc.cc_receive(text, text, text) FROM regress_proxy;
REVOKE ALL ON SCHEMA cc FROM regress_proxy;
DROP ROLE regress_proxy;
-- The extension cannot be dropped while the tables use it, and does not drop them
DROP EXTENSION cryptocloud_postback;
DROP TABLE cc.cc_inbox, cc.cc_invoice, cc.cc_project, cc.cc_import_log;
DROP FUNCTION cc.who;
DROP EXTENSION cryptocloud_postback;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_shop IN SCHEMA cc REVOKE SELECT ON TABLES FROM PUBLIC;
DROP SCHEMA cc;
DROP ROLE regress_shop;

-- No superuser is needed: a role with CREATE on the database installs it, and owns the SECURITY DEFINER functions
CREATE ROLE regress_shop;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_shop', current_database()) \gexec
SET ROLE regress_shop;
CREATE SCHEMA cc;
CREATE EXTENSION cryptocloud_postback SCHEMA cc;
SELECT cc.cc_setup();
INSERT INTO cc.cc_project (name, secret) VALUES ('default', 's3cret');
SELECT * FROM cc.cc_receive(cc.cc_sample_postback('s3cret'), NULL);
SELECT cc.cc_apply();
RESET ROLE;
SELECT oid::regprocedure AS function, pg_get_userbyid(proowner) = 'regress_shop' AS is_shops FROM pg_proc
    WHERE pronamespace = 'cc'::regnamespace AND prosecdef
 ORDER BY oid::regprocedure::text COLLATE "C";
-- Tables of a role that the extension's owner is not a member of: refused, with a hint
CREATE ROLE regress_other;
ALTER TABLE cc.cc_inbox OWNER TO regress_other;
SET ROLE regress_shop;
SELECT * FROM cc.cc_receive('{}'::text, NULL);
RESET ROLE;
DROP TABLE cc.cc_inbox, cc.cc_invoice, cc.cc_project, cc.cc_import_log;
SET ROLE regress_shop;
DROP EXTENSION cryptocloud_postback;
RESET ROLE;
DROP SCHEMA cc;
SELECT format('REVOKE CREATE ON DATABASE %I FROM regress_shop', current_database()) \gexec
DROP ROLE regress_shop, regress_other;
-- The creator's settings change no function
SET standard_conforming_strings = off;
SET quote_all_identifiers = on;
CREATE EXTENSION cryptocloud_postback;
RESET standard_conforming_strings;
RESET quote_all_identifiers;
SELECT cc_form_encode('é');
DROP EXTENSION cryptocloud_postback;

-- Other encodings are refused
CREATE DATABASE regress_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0;
SELECT current_database() AS database \gset
\c regress_latin1
\set SHOW_CONTEXT never
CREATE EXTENSION cryptocloud_postback;
\c :database
DROP DATABASE regress_latin1;
