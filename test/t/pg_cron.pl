# README's line for pg_cron, run by pg_cron.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Utils;
use Test::More;

my $shared = `pg_config --sharedir`;
chomp $shared;
plan skip_all => 'pg_cron is not installed (Debian: postgresql-15-cron)' unless -e "$shared/extension/pg_cron.control";

my $node = start_shop('pg_cron', q{
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.host = '/tmp'
});
# It connects like any client; the folder of the socket is known only now.
$node->append_conf('postgresql.conf', "cron.host = '" . $node->host . "'");
$node->restart;
sign_postbacks($node, 'shop');
$node->safe_psql('postgres', 'CREATE EXTENSION pg_cron; GRANT USAGE ON SCHEMA cron TO shop');
sub query { return answer_as($node, 'shop', $_[0]) }

my ($line) = grep { /cron\.schedule/ } slurp_file("$FindBin::RealBin/../../README.md") =~ /^```sql\n(.*?)^```$/msg;
ok($line, 'README has a line for pg_cron');
query(q{
	SELECT deliver(body(token('I' || n), jsonb_build_object('invoice_id', 'I' || n))) FROM generate_series(1, 20) AS n;
	INSERT INTO cc_inbox (body) SELECT '{}' FROM generate_series(1, 2500);
	UPDATE cc_inbox SET received_at = now() - interval '13 months'});
like(query($line), qr/^\d+$/, 'the owner of the tables schedules it');
is(query(q{SELECT schedule FROM cron.job}), '17 * * * *', 'for each hour');
(my $soon = $line) =~ s/17 \* \* \* \*/* * * * */ or die $line;
query($soon);
is(query(q{SELECT schedule FROM cron.job}), '* * * * *', 'now for each minute');
ok($node->poll_query_until('postgres', q{SELECT count(*) > 0 FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')}),
	'it runs at the next minute');
is(query(q{SELECT DISTINCT status, return_message FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')}), 'succeeded|DO',
	'and succeeds');
is(query(q{SELECT count(*), count(body), count(token_digest) FROM cc_inbox}), '20|0|20',
	'rejected rows are gone, more than one call takes, and applied ones have lost their bodies');
$node->stop;
done_testing();
