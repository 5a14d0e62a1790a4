# README's lines for pg_cron, run by pg_cron.
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

my ($work, $line) = grep { /cron\.schedule/ } slurp_file("$FindBin::RealBin/../../README.md") =~ /^```sql\n(.*?)^```$/msg;
like($work, qr/cc_work/, 'README has a line for cc_work');
like($line, qr/cc_purge/, 'and one for cc_purge');
query(q{
	SELECT deliver(body(token('I' || n), jsonb_build_object('invoice_id', 'I' || n))) FROM generate_series(1, 20) AS n;
	INSERT INTO cc_inbox (body) SELECT '{}' FROM generate_series(1, 2500);
	UPDATE cc_inbox SET received_at = now() - interval '13 months'});
is(query(q{UPDATE cc_project SET apply = 'deferred'; SELECT deliver(body(token('WAITS'), '{"invoice_id": "WAITS"}'))}),
	'pending', 'a row that waits');
like(query($work), qr/^\d+$/, 'the owner of the tables schedules cc_work');
like(query($line), qr/^\d+$/, 'and cc_purge');
is(query(q{SELECT jobname, schedule FROM cron.job ORDER BY 1}), "cc_purge|17 * * * *\ncc_work|* * * * *", 'each hour, each minute');
(my $soon = $line) =~ s/17 \* \* \* \*/* * * * */ or die $line;
query($soon);
my $run = q{FROM cron.job_run_details WHERE status IN ('succeeded', 'failed')};
ok($node->poll_query_until('postgres', "SELECT count(DISTINCT jobid) = 2 $run"), 'both run at the next minute');
is(query("SELECT DISTINCT status, return_message $run ORDER BY 2"), "succeeded|CALL\nsucceeded|DO", 'and succeed');
is(query(q{SELECT state FROM cc_inbox WHERE invoice_id = 'WAITS'}), 'applied', 'the row is settled');
is(query(q{SELECT count(*), count(body), count(token_digest) FROM cc_inbox WHERE invoice_id IS DISTINCT FROM 'WAITS'}), '20|0|20',
	'rejected rows are gone, more than one call takes, and applied ones have lost their bodies');
$node->stop;
done_testing();
