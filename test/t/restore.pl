# Each way to restore: whole, in parallel, by section, data only, by an owner who is not a superuser, without secrets; and a
# failover to a logical subscriber. Spent tokens stay spent, nothing is received twice, and no trigger of the merchant's fires.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_shop('restore', "wal_level = logical\nmax_wal_senders = 5\nmax_replication_slots = 5");
sign_postbacks($node, 'shop');
my $merchant = q{
	CREATE TABLE fired (invoice_id text);
	CREATE FUNCTION fired() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO fired VALUES (NEW.invoice_id); RETURN NULL; END$$;
	CREATE TRIGGER fired AFTER INSERT OR UPDATE OF paid_at ON cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION fired();
};
is(answer_as($node, 'shop', qq{
	INSERT INTO cc_project (name, secret, apply) VALUES ('later', 'd3ferred', 'deferred');
	$merchant
	SELECT deliver(body(token('A'), '{"invoice_id": "A"}'));
	SELECT deliver(body(token('A', 1), '{"invoice_id": "A"}'));
	SELECT deliver(body(token('A'), '{"invoice_id": "A", "amount_crypto": 2}'));
	SELECT deliver(body(token('L', 0, 'd3ferred'), '{"invoice_id": "L"}'), project => 'later');
	SELECT deliver('{}');
	SELECT http_status FROM cc_receive('\\xff'::bytea, NULL);
}), "applied\nduplicate\nrejected/token_reused\npending\nrejected/missing_invoice_id\n400", 'rows of each kind');

sub dump_to
{
	my ($name, @options) = @_;
	my $path = $node->basedir . "/$name";
	$node->command_ok([ 'pg_dump', '--no-sync', @options, '-f', $path, $node->connstr('postgres') . ' user=shop' ],
		"pg_dump as the owner: $name");
	return $path;
}
sub make_database
{
	my ($name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $name OWNER shop TEMPLATE template0");
	return $node->connstr($name) . ' user=shop';
}
# An empty shop, to restore rows into
sub make_shop
{
	my ($name) = @_;
	my $where = make_database($name);
	is(answer_as($node, 'shop', "CREATE EXTENSION cryptocloud_postback; SELECT cc_setup(); $merchant", $name),
		'', "$name: a shop without rows");
	return $where;
}
my @rows = ('SELECT * FROM cc_inbox ORDER BY id', 'SELECT * FROM cc_invoice ORDER BY invoice_id',
	'SELECT * FROM cc_project ORDER BY name');
sub is_restored
{
	my ($name, @queries) = @_;
	is(answer_as($node, 'shop', $_, $name), answer_as($node, 'shop', $_), "$name: $_") for @queries;
	return;
}
# The functions of sign_postbacks, with their arguments
my $functions = $node->safe_psql('postgres',
	q{SELECT string_agg(pg_get_functiondef(oid), '; ') FROM pg_proc WHERE proname IN ('token', 'body', 'deliver')
		AND pronamespace = 'public'::regnamespace});
sub goes_on
{
	my ($name, $fired) = @_;
	is(answer_as($node, 'shop', 'SELECT cc_setup()', $name), '', "$name: cc_setup() finds nothing to do");
	is(answer_as($node, 'shop', "SET check_function_bodies = off; $functions;
		SELECT deliver(body(token('A'), '{\"invoice_id\": \"A\"}'));
		SELECT deliver(body(token('A', 9), '{\"invoice_id\": \"A\"}'));
		SELECT deliver(body(token('A'), '{\"invoice_id\": \"A\", \"amount_crypto\": 2}'));
		SELECT deliver(body(token('B'), '{\"invoice_id\": \"B\"}'));
		SELECT cc_apply();
		SELECT string_agg(invoice_id, ' ' ORDER BY invoice_id) FROM fired", $name),
		"duplicate\nduplicate\nrejected/token_reused\napplied\n1\n$fired", "$name: goes on where it was");
	return;
}

# Whole; in parallel; by section. Triggers come after the rows
my $custom = dump_to('custom', '-Fc');
my $folder = dump_to('folder', '-Fd', '-j', '2');
my $plain = dump_to('plain');
unlike(slurp_file($plain), qr/COMPRESSION/, 'a dump asks for no compression, so that it restores everywhere');
for my $way ([ whole => $custom ], [ parallel => $folder, '-j', '3' ])
{
	my ($name, $dump, @options) = @$way;
	my $where = make_database($name);
	$node->command_ok([ 'pg_restore', '--exit-on-error', @options, '-d', $where, $dump ], "$name: pg_restore as the owner");
	is_restored($name, @rows, 'SELECT * FROM fired');
	goes_on($name, 'A B L');
	is(answer_as($node, 'proxy', q{SELECT http_status FROM cc_receive('{}', NULL)}, $name), '400', "$name: the proxy's grant is there");
}
my $where = make_database('section');
$node->command_ok([ 'pg_restore', '--exit-on-error', "--section=$_", '-d', $where, $custom ],
	"by section: $_") for qw(pre-data data post-data);
is_restored('section', @rows, 'SELECT * FROM fired');
goes_on('section', 'A B L');

# Data only, with enabled triggers: refused
$where = make_shop('refused');
my @tables = map { ('-t', $_) } qw(cc_project cc_inbox cc_invoice);
my ($out, $err) = run_command([ 'pg_restore', '--single-transaction', '--data-only', @tables, '-d', $where, $custom ]);
like($err, qr/column "received_at" of "cc_inbox" cannot be inserted because its trigger fills it in/, 'rows alone, with triggers: refused');
like($err, qr/HINT:  To restore rows, use pg_restore or pg_dump with --disable-triggers\./, 'with a hint');
is(answer_as($node, 'shop', 'SELECT (SELECT count(*) FROM cc_inbox), (SELECT count(*) FROM cc_invoice), (SELECT count(*) FROM fired)',
	'refused'),
	'0|0|0', 'and nothing is rewritten');
run_command([ 'pg_restore', '--data-only', @tables, '-d', $where, $custom ]);
is(answer_as($node, 'shop', 'SELECT count(*) FROM cc_inbox', 'refused'), '0', 'not without --single-transaction either');

# Data only, with --disable-triggers, which needs a superuser
make_shop('disabled');
$node->command_ok([ 'pg_restore', '--single-transaction', '--data-only', '--disable-triggers', '-d', $node->connstr('disabled'),
	'-t', 'cc_project', '-t', 'cc_inbox', '-t', 'cc_invoice', '-t', 'cc_inbox_id_seq', $custom ], 'rows alone, with --disable-triggers');
is_restored('disabled', @rows);
goes_on('disabled', 'B L');

# As the owner, who is not a superuser: triggers are disabled by hand. The sequence stays behind
$where = make_shop('by_hand');
my $tables = 'cc_project, cc_inbox, cc_invoice';
is(answer_as($node, 'shop', join('', map { "ALTER TABLE $_ DISABLE TRIGGER USER;" } split /, /, $tables), 'by_hand'), '',
	'by hand: triggers rest');
$node->command_ok([ 'pg_restore', '--single-transaction', '--data-only', @tables, '-d', $where, $custom ], 'by hand: rows alone');
is(answer_as($node, 'shop', join('', map { "ALTER TABLE $_ ENABLE TRIGGER USER;" } split /, /, $tables), 'by_hand'), '',
	'by hand: triggers work again');
is_restored('by_hand', @rows);
like(answer_as($node, 'proxy', q{INSERT INTO cc_inbox (body) VALUES ('{}')}, 'by_hand'), qr/42501/, 'by hand: grants are not rows');
like(answer_as($node, 'shop', q{INSERT INTO cc_inbox (body) VALUES ('{}')}, 'by_hand'),
	qr/^ERROR:  23505: cc_inbox already has a row with id 1\n.*\nHINT:  Run SELECT cc_setup\(\) to fix it\./, 'the sequence is behind');
is(answer_as($node, 'shop', 'SELECT cc_setup()', 'by_hand'),
	"NOTICE:  00000: cc_inbox: the sequence of the column id was behind the rows\n",
	'cc_setup() fixes it');
goes_on('by_hand', 'B L');

# A dump without secrets: the project is created again
my $public = dump_to('without_secrets', '--exclude-table-data=cc_project');
unlike(slurp_file($public), qr/^default\ts3cret|d3ferred/m, 'a dump without secrets');
$where = make_database('without_secrets');
$node->command_ok([ 'psql', '-XqAt', '-o', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-f', $public, $where ], 'without secrets: restore');
is_restored('without_secrets', @rows[ 0, 1 ]);
is(answer_as($node, 'shop', "SELECT deliver(body(token('B', 5), '{\"invoice_id\": \"B\"}'))", 'without_secrets'),
	'rejected/unknown_project',
	'without secrets nothing verifies');
is(answer_as($node, 'shop', q{INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
	INSERT INTO cc_project (name, secret, apply) VALUES ('later', 'd3ferred', 'deferred')},
	'without_secrets'), '', 'the secrets are set again');
goes_on('without_secrets', 'A B L');

# Failover to a logical subscriber: rows arrive without triggers, the sequence is not replicated
my $copy = start_shop('subscriber');
sign_postbacks($copy, 'shop');
is(answer_as($copy, 'shop', "DELETE FROM cc_project; $merchant"), '', 'a subscriber');
$node->safe_psql('postgres', 'CREATE PUBLICATION shop FOR TABLE cc_project, cc_inbox, cc_invoice');
my $publisher = $node->connstr . ' dbname=postgres';
$copy->safe_psql('postgres', "CREATE SUBSCRIPTION shop CONNECTION '$publisher' PUBLICATION shop");
$copy->wait_for_subscription_sync($node, 'shop');
is(answer_as($node, 'shop', q{SELECT deliver(body(token('S'), '{"invoice_id": "S"}')); SELECT cc_apply()}), "applied\n1",
	'the publisher goes on');
$node->wait_for_catchup('shop');
is(answer_as($copy, 'shop', $_), answer_as($node, 'shop', $_), "subscriber: $_") for @rows;
is(answer_as($copy, 'shop', 'SELECT count(*) FROM fired'), '0', 'no trigger fires there');
$copy->safe_psql('postgres', 'ALTER SUBSCRIPTION shop DISABLE; ALTER SUBSCRIPTION shop SET (slot_name = NONE); DROP SUBSCRIPTION shop');
my $secret = $node->safe_psql('postgres', "SELECT body(token('S'), '{\"invoice_id\": \"S\"}')");
like(answer_as($copy, 'proxy', "SELECT http_status FROM cc_receive('$secret', 'application/json')"),
	qr/^ERROR:  23505: cc_inbox already has a row with id 1/, 'failover: the sequence is behind, and the proxy answers 503');
is(answer_as($copy, 'shop', 'SELECT cc_setup()'), "NOTICE:  00000: cc_inbox: the sequence of the column id was behind the rows\n",
	'cc_setup() fixes it');
is(answer_as($copy, 'shop', "SELECT deliver('$secret'); SELECT deliver(body(token('T'), '{\"invoice_id\": \"T\"}'));
	SELECT * FROM fired"),
	"duplicate\napplied\nT", 'and the subscriber is the shop');

$_->stop for $copy, $node;
done_testing();
