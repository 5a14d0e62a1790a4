--------------------------------------------------------------------------------------------------------------------------
-- Rights on functions that an earlier version had already: for the base script only. In an upgrade script, PostgreSQL would take
-- the rights that the function has then, with the owner's grants, for those that the extension gives; and pg_dump would leave
-- the grants out.
--------------------------------------------------------------------------------------------------------------------------
REVOKE ALL ON FUNCTION @extschema@.cc_apply(integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.cc_receive(text, text, text) FROM PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.cc_receive(bytea, text, text) FROM PUBLIC;
