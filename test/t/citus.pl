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
for my $table (qw(cc_project cc_inbox cc_invoice))
{
	distribute($table);
	for my $call ('SELECT deliver(' . body('C') . ')', 'SELECT http_status FROM cc_receive(' . body('C') . q{, '')}, 'SELECT cc_apply()',
		'CALL cc_work()')
	{
		my ($name) = $call =~ /(\w+)\(/;
		like(answer_as($node, 'shop', $call), qr/^ERROR:  42809: "$table" is a Citus table\nDETAIL:  .*\nHINT:  Keep the tables/,
			"$table of Citus: $name is refused");
	}
}
distribute('other');
is(answer_as($node, 'shop', 'SELECT string_agg(invoice_id, \' \') FROM cc_inbox; SELECT cc_apply()'), "LOCAL WAITS\n1",
	'nothing was kept there, and all goes on');

$node->stop;
done_testing();
