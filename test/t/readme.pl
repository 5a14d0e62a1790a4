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
	next if $block =~ /cron\.schedule/;    # test/t/pg_cron.pl runs that
	my ($code, undef, $err) = $node->psql('postgres', $block, on_error_stop => 1);
	is($code, 0, (split /\n/, $block)[0]) or diag($err);
}
is($node->safe_psql('postgres', 'SELECT id, paid_at IS NOT NULL FROM orders'), 'ORDER_93223|t', 'the order is paid');
is($node->safe_psql('postgres', q{SELECT string_agg(DISTINCT state, ' ') FROM cc_inbox}), 'applied', 'every postback was applied');

# The reasons that it lists, with their HTTP status, are those that there are
my ($table) = $readme =~ /^## Reasons\n(.*?)^## /ms;
my %status;
while ($table =~ /^\| (`.*?) \| (\d{3}) \|/mg)
{
	my ($reasons, $status) = ($1, $2);
	$status{$_} = $status for $reasons =~ /`(\w+)`/g;
}
for my $reason (sort keys %status)
{
	is($node->safe_psql('postgres', "SELECT http_status FROM cc_http_answer('rejected', '$reason')"), $status{$reason},
		"HTTP status of $reason");
}
my @words = slurp_file("$FindBin::RealBin/../../src/core/reason.hpp") =~ /^\s+\{Reason::k\w+, "(\w+)", /mg;
my @unexplained = grep { !exists $status{$_} } @words;
cmp_ok(scalar @words, '>=', 20, 'the code has reasons');
is("@unexplained", '', 'and README explains each');

$node->stop;
done_testing();
