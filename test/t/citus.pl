# Tables that Citus distributes are refused, each of them, in clear words: their rows are on other nodes, and a resend would be applied
# again. Debian has no Citus. What tells its tables is its catalog, which is made here as it makes it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = start_shop('citus');
sign_postbacks($node, 'shop');
$node->safe_psql('postgres', q{SET allow_system_table_mods = on;
	CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass PRIMARY KEY, partmethod "char" NOT NULL);
	GRANT SELECT ON pg_catalog.pg_dist_partition TO PUBLIC});
is(answer_as($node, 'shop', q{CREATE TABLE other (i integer)}), '', 'a table of one\'s own');
sub distribute { return $node->safe_psql('postgres', "TRUNCATE pg_dist_partition; INSERT INTO pg_dist_partition VALUES ('$_[0]', 'h')") }
sub body { return "body(token('$_[0]'), '{\"invoice_id\": \"$_[0]\"}')" }

distribute('other');
is(answer_as($node, 'shop', 'SELECT deliver(' . body('LOCAL') . ')'), 'applied', 'with Citus about, local tables work');
is(answer_as($node, 'shop', q{UPDATE cc_project SET apply = 'deferred'; SELECT deliver(} . body('WAITS') . q{);
	UPDATE cc_project SET apply = 'immediate'}), 'pending', 'a postback waits');
my $refused = qr/42809: "\w+" is a Citus table\n(?:DETAIL:  .*\n)?HINT:  Keep the tables of cryptocloud_postback local/;
sub receive { return 'SELECT http_status FROM cc_receive(' . body($_[0]) . q{, '')} }
for my $table (qw(cc_project cc_inbox))
{
	distribute($table);
	like(answer_as($node, 'shop', $_), qr/^ERROR:  $refused/, "$table of Citus is refused: $_")
	  for 'SELECT deliver(' . body('C') . ')', receive('C');
}

# What is received is safe, and says why it waits
distribute('cc_invoice');
is(answer_as($node, 'shop', receive('FAILS')), '200', 'cc_invoice of Citus: the postback is kept');
for my $table (qw(cc_invoice cc_inbox))
{
	distribute($table);
	is(answer_as($node, 'shop', 'SELECT cc_apply(); CALL cc_work()'), '0', "$table of Citus: none is settled");
	is(answer_as($node, 'shop', q{SELECT invoice_id, state, error ~ '42809: "} . $table . q{" is a Citus table' FROM cc_inbox
		WHERE state <> 'applied' ORDER BY id}), "WAITS|failed|t\nFAILS|failed|t", "$table of Citus: error says why");
}
distribute('other');
is(answer_as($node, 'shop', q{SELECT cc_apply(); SELECT string_agg(invoice_id || ' ' || state, ' ' ORDER BY id) FROM cc_inbox}),
	"2\nLOCAL applied WAITS applied FAILS applied", 'and all goes on when they are local again');

$node->stop;
done_testing();
