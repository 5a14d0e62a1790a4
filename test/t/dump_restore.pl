# pg_dump dumps everything: rows unchanged, the merchant's triggers, indexes and grants. The copy works.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_node('dump_restore');
my $deliver = q{INSERT INTO cc_inbox (body) VALUES (cc_sample_postback('s3cret', invoice_id => '%s')) RETURNING coalesce(reason, state)};
$node->safe_psql('postgres', q{
	CREATE ROLE proxy;
	GRANT INSERT (body, content_type) ON cc_inbox TO proxy;
	CREATE INDEX by_order ON cc_invoice (order_id);
});
$node->safe_psql('postgres', sprintf($deliver, $_)) for qw(A A B);
$node->safe_psql('postgres', "INSERT INTO cc_inbox (body) VALUES ('nonsense')");

my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '--no-sync', '-f', $dump, $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE template0');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $dump, $node->connstr('copy') ], 'restore');

for my $query (
	'SELECT * FROM cc_inbox ORDER BY id',
	'SELECT * FROM cc_invoice ORDER BY invoice_id',
	'SELECT * FROM cc_project',
	'SELECT * FROM paid',
	q{SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY tgrelid::regclass::text, 2},
	q{SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid::regclass::text LIKE 'cc_%'
		ORDER BY indexrelid::regclass::text},
	q{SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'cc_inbox'::regclass AND attacl IS NOT NULL ORDER BY 1},
	q{SELECT c.relname, a.attname, col_description(c.oid, a.attnum) FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
	   WHERE relname LIKE 'cc_%' AND relkind = 'r' AND attnum > 0 ORDER BY 1, 2})
{
	is($node->safe_psql('copy', $query), $node->safe_psql('postgres', $query), "the same: $query");
}
is($node->safe_psql('copy', sprintf($deliver, 'A')), 'duplicate', 'the copy knows its postbacks');
is($node->safe_psql('copy', sprintf($deliver, 'C')), 'applied', 'and accepts a new postback');
is($node->safe_psql('copy', 'SELECT cc_setup(); SELECT count(*) FROM paid'), "\n3", 'with the merchant\'s trigger');

# A data-only restore into existing tables: triggers must be disabled, or each postback would be received again
my $rows = $node->basedir . '/rows.sql';
$node->command_ok([ 'pg_dump', '--no-sync', '--data-only', '--disable-triggers', '-f', $rows, $node->connstr('postgres') ],
	'pg_dump of rows');
$node->safe_psql('postgres', 'CREATE DATABASE rows TEMPLATE template0');
$node->safe_psql('rows', 'CREATE EXTENSION cryptocloud_postback; SELECT cc_setup(); CREATE TABLE paid (invoice_id text)');
$node->command_ok([ 'psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-f', $rows, $node->connstr('rows') ], 'restore of rows');
is($node->safe_psql('rows', 'SELECT id, state, reason FROM cc_inbox ORDER BY id'),
	$node->safe_psql('postgres', 'SELECT id, state, reason FROM cc_inbox ORDER BY id'), 'states are as they were');

$node->stop;
done_testing();
