--------------------------------------------------------------------------------------------------------------------------
-- Rights on functions that an earlier version had already; only for the base script. In an upgrade script PostgreSQL
-- would record the function's current rights, with the owner's grants, as those of the extension, and pg_dump would omit
-- these grants.
--------------------------------------------------------------------------------------------------------------------------
REVOKE ALL ON FUNCTION @extschema@.cc_apply(integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.cc_receive(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.cc_receive(bytea, text, text) FROM PUBLIC;
