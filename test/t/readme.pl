# The SQL of README.md, run from top to bottom in a fresh database, does what it says.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->start;

my $readme = slurp_file("$FindBin::RealBin/../../README.md");
my @blocks = $readme =~ /^```sql\n(.*?)^```$/msg;
cmp_ok(scalar @blocks, '>', 10, 'README has SQL');
for my $block (@blocks)
{
	my ($code, undef, $err) = $node->psql('postgres', $block, on_error_stop => 1);
	is($code, 0, (split /\n/, $block)[0]) or diag($err);
}
is($node->safe_psql('postgres', 'SELECT id, paid_at IS NOT NULL FROM orders'), 'ORDER_93223|t', 'the order is paid');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT state, ' ') FROM cc_inbox}), 'applied', 'every postback was applied');

# What it lists is what there is
my ($reasons) = $readme =~ /^## Reasons\n(.*?)^## /ms;
for my $reason (split /\n/, $node->safe_psql('postgres', q{SELECT (regexp_matches(prosrc, '''([a-z_]+)'', +\d{3}', 'g'))[1] FROM pg_proc WHERE proname = 'cc_http_answer'}))
{
	like($reasons, qr/`$reason`/, "README explains $reason");
}

$node->stop;
done_testing();
