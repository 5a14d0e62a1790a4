# ALTER EXTENSION UPDATE and cc_setup() turn a database of 0.1.0, written by its own library, into one that equals a new one of
# this version. Rows and the merchant's changes stay; spent tokens stay spent; no trigger of the merchant's fires.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use Release;
use PostgreSQL::Test::Utils;
use Test::More;

my $pg_config = old_postgresql('upgrade-postgresql');
my $node = old_node($pg_config, 'upgrade');
my $as_shop = 'PGOPTIONS=-c role=shop';

# A database of the role shop. Its SQL runs as shop unless said otherwise.
sub make_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER shop TEMPLATE template0");
	return;
}
# Lines of one that the other lacks
sub only_in
{
	my ($one, $other) = @_;
	my %has = map { $_ => 1 } split /\n/, $other;
	return join "\n", grep { !$has{$_} } split /\n/, $one;
}
sub shop { return answer_as($node, 'shop', $_[1], $_[0]) }
sub answer { return answer_as($node, undef, $_[1], $_[0]) }

$node->safe_psql('postgres', 'CREATE ROLE shop LOGIN; CREATE ROLE proxy LOGIN; CREATE ROLE accountant');
make_database('old');
is(shop('old', "CREATE EXTENSION cryptocloud_postback; SELECT cc_setup(); SELECT extversion FROM pg_extension
	WHERE extname LIKE 'crypto%'"),
	"\n0.1.0", '0.1.0');
is(shop('old', q{
	INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
	INSERT INTO cc_project (name, secret, apply) VALUES ('later', 'd3ferred', 'deferred');
	GRANT EXECUTE ON FUNCTION cc_receive(text, text, text), cc_apply(integer) TO proxy;
	GRANT INSERT (project, body, content_type), SELECT (state) ON cc_inbox TO proxy;
	GRANT SELECT ON cc_invoice TO accountant;
	-- The merchant's additions; all are called my_…
	CREATE TABLE my_log (line text);
	CREATE FUNCTION my_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		INSERT INTO my_log VALUES (concat_ws(' ', TG_NAME, TG_OP));
		IF TG_TABLE_NAME = 'cc_invoice' THEN
			IF NEW.order_id = 'my-fail' THEN RAISE 'no such order'; END IF;
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER my_trigger AFTER INSERT OR UPDATE ON cc_project FOR EACH ROW EXECUTE FUNCTION my_trigger();
	CREATE TRIGGER my_trigger AFTER INSERT OR UPDATE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION my_trigger();
	CREATE TRIGGER my_early BEFORE UPDATE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION my_trigger();
	CREATE TRIGGER my_always AFTER UPDATE ON cc_inbox FOR EACH STATEMENT EXECUTE FUNCTION my_trigger();
	CREATE TRIGGER my_resting AFTER UPDATE ON cc_inbox FOR EACH ROW EXECUTE FUNCTION my_trigger();
	ALTER TABLE cc_inbox ENABLE ALWAYS TRIGGER my_always, DISABLE TRIGGER my_resting;
	CREATE TRIGGER my_trigger AFTER INSERT OR UPDATE ON cc_invoice FOR EACH ROW EXECUTE FUNCTION my_trigger();
	ALTER TABLE cc_project ADD my_note text DEFAULT 'mine';
	ALTER TABLE cc_inbox ADD my_note text DEFAULT 'mine';
	ALTER TABLE cc_invoice ADD my_note text DEFAULT 'mine';
	CREATE INDEX my_index ON cc_inbox (token_digest, project) WHERE state = 'applied';
	COMMENT ON COLUMN cc_inbox.error IS 'what went wrong, says the owner';
	COMMENT ON TABLE cc_invoice IS 'the owner''s words';
}), '', 'the merchant\'s additions');

# Bodies are kept to be sent again. Each has its own token, which ends at the same time as all others and names its invoice; a
# reused token has another body.
my $ends = time + 3000;
is(shop('old', qq{
	CREATE FUNCTION my_body(invoice text, n integer, fields jsonb DEFAULT '{}', secret text DEFAULT 's3cret') RETURNS text
		LANGUAGE sql IMMUTABLE AS
		\$\$SELECT (jsonb_build_object('status', 'success', 'amount_crypto', 1, 'currency', 'BNB', 'invoice_id', invoice, 'order_id',
		'O-' || invoice,
			'token', cc_sign_token(jsonb_build_object('exp', $ends + n), secret)) || fields)::text\$\$;
	CREATE FUNCTION my_delivery(body text, project text DEFAULT 'default') RETURNS text LANGUAGE sql AS
		\$\$INSERT INTO cc_inbox AS i (body, project) VALUES (\$1, \$2) RETURNING concat_ws('/', i.state, i.reason)\$\$;
}), '', 'functions');
sub deliver
{
	my ($body, $project) = @_;
	return shop('old', sprintf(q{SELECT my_delivery(%s, '%s')}, $body, $project // 'default'));
}
my $other = q{'{"amount_crypto": 2}'};
is(deliver(q{my_body('A', 1)}), 'applied', '0.1.0: applied');
is(deliver(q{my_body('A', 1)}), 'duplicate', '0.1.0: the same token and content');
is(deliver(q{my_body('A', 2)}), 'duplicate', '0.1.0: a new token, the same content');
is(deliver(q{my_body('A', 2)}), 'duplicate', '0.1.0: that again');
is(deliver(qq{my_body('A', 1, $other)}), 'rejected/token_reused', '0.1.0: another content');
is(deliver(q{my_body('A', 3, '{"order_id": "O-B"}')}), 'conflict', '0.1.0: another order');
is(deliver(q{my_body('F', 4, '{"order_id": "my-fail"}')}), 'failed', '0.1.0: failed');
is(deliver(q{my_body('P', 5, '{}', 'd3ferred')}, 'later'), 'pending', '0.1.0: pending');
is(deliver(q{'nonsense'}), 'rejected/missing_invoice_id', '0.1.0: nonsense');
is(deliver(q{my_body('A', 6, '{}', 'wrong')}), 'rejected/bad_signature', '0.1.0: a wrong secret');
# Of two concurrent deliveries the one with the higher id can come first.
is(deliver(qq{my_body('R', 7)}), 'applied', '0.1.0: applied');
is(deliver(qq{my_body('R', 7, $other)}), 'rejected/token_reused', '0.1.0: token reused');
is(deliver(qq{my_body('R', 7)}), 'duplicate', '0.1.0: duplicate');
$node->safe_psql('old', q{SET session_replication_role = replica; ALTER TABLE cc_inbox DISABLE TRIGGER my_always;
	UPDATE cc_inbox SET id = DEFAULT WHERE invoice_id = 'R' AND state = 'applied'; ALTER TABLE cc_inbox ENABLE ALWAYS TRIGGER my_always});
cmp_ok($node->safe_psql('old', 'SELECT count(*) - count(DISTINCT token_digest) FROM cc_inbox WHERE token_digest IS NOT NULL'), '>=', 4,
	'0.1.0 kept the digest of a token in several rows');

# The columns of 0.1.0
my %columns = map { $_ => answer('old', "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = '$_'::regclass AND attnum > 0") }
  qw(cc_invoice cc_project);
my @data = (
	'SELECT id, project, received_at, content_type, body, raw, state, reason, invoice_id, content_digest, token_expires_at, error,
		attempts, applied_at, my_note FROM cc_inbox ORDER BY id',
	(map { "SELECT $columns{$_} FROM $_ ORDER BY 1, 2" } qw(cc_invoice cc_project)),
	'SELECT * FROM my_log',
	'SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgrelid::regclass::text, tgname',
	'SELECT c.relname, a.attname, a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid WHERE attacl IS NOT NULL
		AND relname ~ \'^cc_\' ORDER BY 1, 2',
	'SELECT relname, relacl FROM pg_class WHERE relname ~ \'^cc_(inbox|invoice|project)\' AND relkind IN (\'r\', \'S\')
		ORDER BY 1',
	q{SELECT has_function_privilege('proxy', 'cc_receive(text, text, text)', 'EXECUTE'), has_function_privilege('proxy',
		'cc_apply(integer)', 'EXECUTE'),
		has_table_privilege('accountant', 'cc_invoice', 'SELECT')},
	q{SELECT col_description('cc_inbox'::regclass, attnum), obj_description('cc_invoice'::regclass) FROM pg_attribute
		WHERE attrelid = 'cc_inbox'::regclass AND attname = 'error'});
# A dump of 0.1.0 that is restored where only this version is installed
my $dump = $node->basedir . '/old.sql';
$node->command_ok([ 'pg_dump', '--no-sync', '-f', $dump, $node->connstr('old') ], 'pg_dump of 0.1.0');

# Its base script stays as it was. All of its files go, as they do when a package is upgraded: files found then came with this
# version.
my $files = `$pg_config --sharedir`;
chomp $files;
my $extension = "$files/extension/cryptocloud_postback";
is(slurp_file("$FindBin::RealBin/../../sql/cryptocloud_postback--0.1.0.sql"), slurp_file("$extension--0.1.0.sql"),
	'the base script of 0.1.0 is what 0.1.0 installed');
unlink glob("$extension*");
lay_over($pg_config);
is(join(' ', sort map { s/^\Q$extension\E//r } glob("$extension*")), '--0.1.0--0.2.0.sql --0.1.0.sql --0.2.0.sql .control',
	'each base script and upgrade script is installed');
make_database('restored');
$node->command_ok([ 'psql', '-XqAt', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $dump,
	$node->connstr('restored') . ' user=shop' ], 'its restore into this version');
is(answer_as($node, 'shop', q{SELECT my_delivery(my_body('W', 8))}, 'restored'), 'pending', 'restored: pending until cc_setup() ran');
like(answer_as($node, 'shop', 'SELECT cc_setup()', 'restored'), qr/removed from 5 rows/, 'restored: cc_setup()');

is(shop('old', 'ALTER EXTENSION cryptocloud_postback UPDATE'), '', 'ALTER EXTENSION UPDATE by the owner, who is no superuser');
# Postbacks before cc_setup() wait
is(deliver(qq{my_body('W', 8)}), 'pending', 'new SQL and library, old tables: pending');
my %before = map { $_ => answer('old', $_) } @data;
is(shop('old', 'SELECT cc_apply(); CALL cc_work()'), '0', 'and stays so');
is(answer('old', $_), $before{$_}, "nothing else changed: $_") for @data;
my $said = shop('old', 'SELECT cc_setup()');
like($said, qr/^NOTICE:  00000: cc_inbox: deliveries now wait until the transaction ends
DETAIL:  An ACCESS EXCLUSIVE lock is held for 15 to 35 s per million rows\.
NOTICE:  00000: cc_inbox: the token digest was removed from 5 rows that did not spend the token/,
	'cc_setup() reports its work on whole tables');
like($said, qr/cc_inbox: building an index on \($_\)\n/, "also that it makes the index on $_")
	for 'token_digest', 'invoice_id, project, content_digest, state';
is(answer('old', $_), $before{$_}, "after cc_setup(): $_") for @data;
is(answer('restored', $_), $before{$_}, "restored: $_") for grep { !/received_at/ } @data;

my $spent = 'SELECT id, token_digest FROM cc_inbox WHERE invoice_id IS DISTINCT FROM \'W\' ORDER BY id';
is(answer('restored', $spent), answer('old', $spent), 'restored: the same rows spent the tokens');

# What docs/upgrading.md says: without the long lock, and in short
my $document = slurp_file("$FindBin::RealBin/../../docs/upgrading.md");
my %block = $document =~ /^<!-- (\w+) -->\n```sql\n(.*?)^```$/msg;
make_database('beforehand');
$node->command_ok([ 'psql', '-XqAt', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $dump,
	$node->connstr('beforehand') . ' user=shop' ], 'beforehand: restore');
answer('beforehand', 'ALTER TABLE cc_inbox DISABLE TRIGGER USER');
# Of cc_invoice: on a column of this version
is(shop('beforehand', $block{beforehand}), "NOTICE:  00000: cc_invoice: building an index on (received_at)\n",
	'beforehand: cc_setup() has no word on the whole inbox');
answer('beforehand', 'ALTER TABLE cc_inbox ENABLE TRIGGER USER;
	ALTER TABLE cc_inbox ENABLE ALWAYS TRIGGER my_always, DISABLE TRIGGER my_resting');
is(answer('beforehand', $spent), answer('old', $spent), 'beforehand: the same rows spent the tokens');
like(shop('restored', $block{upgrade}), qr/already installed/, 'the statements in short');

# Also from the base script of 0.1.0 that this version installs
make_database('from_script');
is(shop('from_script', "CREATE EXTENSION cryptocloud_postback VERSION '0.1.0'; $block{upgrade}"), '', 'from the base script of 0.1.0');

# It equals a new database, except for the merchant's changes
make_database('fresh');
is(shop('fresh', "CREATE EXTENSION cryptocloud_postback; SELECT cc_setup(); SELECT extversion FROM pg_extension
	WHERE extname LIKE 'crypto%'"),
	"\n0.2.0", 'a new database');
my $members = q{(SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'cryptocloud_postback'))};
my $tables = q{(SELECT c.oid FROM pg_class c WHERE relname ~ '^cc_(project|inbox|invoice|import_log)' AND relkind IN ('r', 'S', 'i'))};
my $not_given = q{(SELECT array_agg(a::text ORDER BY a::text) FROM unnest(%s) AS a WHERE a::text !~ '^(proxy|accountant)=')};
my %catalog = (
	functions => qq{SELECT p.oid::regprocedure,
		pg_get_functiondef(p.oid), proowner::regrole, proargnames, proconfig, prosrc, probin, procost, prorows,
		} . sprintf($not_given, 'proacl') . qq{, obj_description(p.oid, 'pg_proc') FROM pg_proc p
		WHERE ('pg_proc'::regclass, p.oid) IN $members ORDER BY p.oid::regprocedure::text},
	types => qq{SELECT t.typname, typowner::regrole, typtype, typacl, obj_description(t.oid, 'pg_type'), a.attname,
		format_type(atttypid, atttypmod), attnum,
		col_description(typrelid, attnum) FROM pg_type t LEFT JOIN pg_attribute a ON attrelid = typrelid
		WHERE ('pg_type'::regclass, t.oid) IN $members ORDER BY 1, attnum},
	'everything else in the extension' => qq{SELECT pg_describe_object(classid, objid, 0) FROM $members AS m ORDER BY 1},
	'initial rights' => qq{SELECT pg_describe_object(classoid, objoid, objsubid), privtype, initprivs FROM pg_init_privs
		WHERE (classoid, objoid) IN $members ORDER BY 1},
	tables => qq{SELECT relname, relkind, relpersistence, relowner::regrole, reloptions, } . sprintf($not_given,
		q{coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner))}) . qq{,
		CASE WHEN relname <> 'cc_invoice' THEN obj_description(c.oid, 'pg_class') END FROM pg_class c WHERE oid IN $tables ORDER BY 1},
	columns => qq{SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid), attidentity,
		attgenerated, attstattarget, attcompression, attstorage,
		CASE WHEN attname <> 'error' THEN col_description(attrelid, attnum) END
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid IN $tables AND attnum > 0 AND attname !~ '^my_' ORDER BY attrelid::regclass::text, attname},
	sequences => qq{SELECT seqrelid::regclass, format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle
		FROM pg_sequence WHERE seqrelid IN $tables ORDER BY 1},
	constraints => qq{SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid IN $tables
		ORDER BY conrelid::regclass::text, 2},
	indexes => qq{SELECT pg_get_indexdef(indexrelid), indisunique, indisvalid FROM pg_index
		WHERE indrelid IN $tables AND indexrelid::regclass::text !~ '^my_' ORDER BY 1},
	triggers => qq{SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE tgrelid IN $tables AND tgname !~ '^my_' ORDER BY 1},
	dependencies => qq{SELECT DISTINCT pg_describe_object(classid, objid, objsubid) AS a,
		pg_describe_object(refclassid, refobjid, refobjsubid) AS b, deptype FROM pg_depend
		WHERE ((classid, objid) IN $members OR (refclassid, refobjid) IN $members OR objid IN $tables OR refobjid IN $tables)
		AND pg_describe_object(classid, objid, objsubid) !~ 'my_|pg_toast' ORDER BY 1, 2, 3},
);
for my $kind (sort keys %catalog)
{
	my ($old, $fresh, $restored, $beforehand, $from_script) =
	  map { answer($_, $catalog{$kind}) } qw(old fresh restored beforehand from_script);
	unlike($fresh, qr/ERROR/, "a query for $kind");
	is(only_in($old, $fresh), '', "the same as in a new database: $kind");
	is(only_in($fresh, $old), '', "and nothing missing: $kind");
	is($restored, $old, "the same in a restored one: $kind");
	is($beforehand, $old, "the same where it was done beforehand: $kind");
	is($from_script, $fresh, "the same from the base script of 0.1.0: $kind");
}

# A second cc_setup() changes nothing and takes only a reader's lock, also beside pg_dump's
my $state = q{SELECT 'pg_class', xmin, oid, 0 FROM pg_class UNION ALL SELECT 'pg_attribute', xmin, attrelid, attnum FROM pg_attribute
	UNION ALL SELECT 'pg_description', xmin, objoid, objsubid FROM pg_description UNION ALL SELECT 'pg_trigger', xmin, oid, 0 FROM pg_trigger
	UNION ALL SELECT 'pg_index', xmin, indexrelid, 0 FROM pg_index ORDER BY 1, 3, 4};
my $catalogs = answer('old', $state);
is(shop('old', qq{BEGIN; SELECT cc_setup();
	SELECT mode, relation::regclass FROM pg_locks WHERE relation IN $tables AND relation NOT IN (SELECT seqrelid FROM pg_sequence)
		AND mode <> 'AccessShareLock'; COMMIT}), '', 'cc_setup() again takes no lock');
is(answer('old', $state), $catalogs, 'and changes nothing');

# Spent tokens stay spent, also those of duplicates
is(deliver(q{my_body('A', 1)}), 'duplicate', 'the same token and content');
is(deliver(q{my_body('A', 9)}), 'duplicate', 'a new token, the same content');
is(deliver(qq{my_body('A', 1, $other)}), 'rejected/token_reused', 'a spent token');
is(deliver(qq{my_body('A', 2, $other)}), 'rejected/token_reused', 'a token that a duplicate spent');
is(deliver(q{my_body('A', 2)}), 'duplicate', 'that with its content');
is(deliver(qq{my_body('C', 3)}), 'rejected/token_reused', 'a token that a conflict spent');
is(deliver(q{my_body('C', 4)}), 'rejected/token_reused', 'a token that a failed one spent');
is(deliver(q{my_body('C', 5, '{}', 'd3ferred')}, 'later'), 'rejected/token_reused', 'a token that a pending one spent');
is(deliver(q{my_body('R', 7)}), 'duplicate', 'a token whose row has a higher id than its duplicate');
is(deliver(q{my_body('R', 10)}), 'duplicate', 'and its content under a new token');
is(deliver(qq{my_body('R', 7, $other)}), 'rejected/token_reused', 'and another content');
is(deliver(q{my_body('N', 11)}), 'applied', 'a new postback is applied');

# Waiting and failed rows are settled, by today's triggers
is(shop('old', 'TRUNCATE my_log; CREATE OR REPLACE FUNCTION my_trigger() RETURNS trigger LANGUAGE plpgsql AS
	$$BEGIN INSERT INTO my_log VALUES (concat_ws(\' \', TG_TABLE_NAME, TG_NAME, TG_OP)); RETURN NEW; END$$;
	SELECT cc_apply(); SELECT line, count(*) FROM my_log WHERE line ~ \'invoice\' GROUP BY 1'), "3\ncc_invoice my_trigger INSERT|3",
		'cc_apply() settles the rest');
is(answer('old', q{SELECT invoice_id, state, attempts FROM cc_inbox WHERE invoice_id IN ('F', 'P', 'W')
	ORDER BY id}), "F|applied|2\nP|applied|1\nW|applied|1", 'all of it');
is(deliver(q{my_body('F', 4, '{"order_id": "my-fail"}')}), 'duplicate', 'what failed is a duplicate now');

# The owner's grants are dumped
($dump) = run_command([ 'pg_dump', '--schema-only', $node->connstr('old') ]);
like($dump, qr/^GRANT ALL ON FUNCTION \S*cc_receive\(body text, content_type text, project text\) TO proxy;/m,
	'pg_dump has a grant on cc_receive');
like($dump, qr/^GRANT ALL ON FUNCTION \S*cc_apply\(max_rows integer\) TO proxy;/m, 'and on cc_apply');
unlike($dump, qr/SET COMPRESSION/, 'and asks for no compression, as 0.1.0 did');

$node->stop;
done_testing();
