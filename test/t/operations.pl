# The commands of docs/operations.md that no other test runs (import.pl has Reconcile, retain.pl has Purge), from top to bottom in a
# fresh database; and the proxy's role gets in as it says.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Postback;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('operations');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
my $port = $node->port;
$node->start;
$node->safe_psql('postgres', q{
	CREATE ROLE shop LOGIN CREATEROLE;
	CREATE DATABASE shop OWNER shop;
});

my $chapter = slurp_file("$FindBin::RealBin/../../docs/operations.md");
# These sections need an API, pg_cron and orders: t/import.pl and t/retain.pl run them
$chapter =~ s/^## (?:Reconcile|Purge|Rehearsal)\n.*?(?=^## |\z)//msg;
# A chapter that says how to install it does so itself
$node->safe_psql('shop', q{
	SET ROLE shop;
	CREATE EXTENSION cryptocloud_postback;
	SELECT cc_setup();
	INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
	CREATE TABLE orders (id text PRIMARY KEY, paid_at timestamptz);
	CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN UPDATE orders SET paid_at = NEW.paid_at WHERE id = NEW.order_id; RETURN NULL; END $$;
	CREATE TRIGGER mark AFTER INSERT OR UPDATE OF paid_at ON cc_invoice FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION mark();
	INSERT INTO cc_inbox (body, content_type) VALUES (cc_sample_postback('s3cret'), 'application/json');
}) unless $chapter =~ /^CREATE EXTENSION/m;

my (%answer, $blocks);
while ($chapter =~ /^(<!-- as postgres -->\n)?```sql\n(.*?)^```$/msg)
{
	my ($who, $block) = (defined $1 ? 'postgres' : 'shop', $2);
	my ($code, $out, $err) = $node->psql('shop', $block, on_error_stop => 1, extra_params => [ '-U', $who eq 'shop' ? 'shop' : getpwuid($>) ]);
	my $name = (split /\n/, $block)[0];
	is($code, 0, "$who: $name") or diag($err);
	$answer{$name} = $out;
	$blocks++;
}
cmp_ok($blocks, '>', 8, 'the chapter has SQL');
is((grep { /cc_health/ && $_ =~ /problem IS NOT NULL/ } keys %answer) ?
	$answer{'SELECT project, problem FROM cc_health() WHERE problem IS NOT NULL;'} : 'none',
	'', 'after all of that, all is well');
like($answer{q{SELECT * FROM cc_timeline('ORDER_93223');}}, qr/\|paid\|.*ORDER_93223/, 'the timeline shows the payment');

# Each word for a fault is explained, and no other word
my ($list) = $chapter =~ /^(\| `tables` .*?)\n\n/ms;
my %explained = map { $_ => 1 } $list =~ /^\| `(\w+)`/mg;
my $source = slurp_file("$FindBin::RealBin/../../sql/operate.sql");
my %said = map { $_ => 1 } $source =~ /(?:format\(|THEN |ELSE |, |SELECT |\n\s+)'{1,2}([a-z_]+): /g;
is(join(' ', sort keys %explained), join(' ', sort keys %said), 'each fault is explained');
my ($exporter) = slurp_file("$FindBin::RealBin/../../monitoring/prometheus-sql-exporter.yml") =~ /ARRAY\[(.*?)\]/s;
is(join(' ', sort $exporter =~ /'(\w+)'/g), join(' ', sort keys %said), 'and each is a metric');

# The rights of the roles
is(answer_as($node, 'prometheus', 'SELECT count(*) FROM cc_health();', 'shop'), '2', 'monitoring asks for health');
like(answer_as($node, 'prometheus', 'SELECT body FROM cc_inbox;', 'shop'), qr/42501/, 'and reads no body');
like(answer_as($node, 'support', 'SELECT secret FROM cc_project;', 'shop'), qr/42501/, 'support reads no secret');
like(answer_as($node, 'postback_proxy', 'SELECT * FROM cc_health();', 'shop'), qr/42501/, 'the proxy asks for nothing');
is(answer_as($node, 'postback_proxy', 'SHOW log_parameter_max_length; SHOW default_transaction_isolation;', 'shop'), "0\nread committed",
	'settings of the proxy');

# Debian's own lines, then those of the chapter: as the chapter says, in both ways
my @hba = $chapter =~ /^```pg_hba\n(.*?)^```$/msg;
my ($ident) = $chapter =~ /^```pg_ident\n(.*?)^```$/ms;
my $user = getpwuid($>);
is(scalar @hba, 2, 'two lines for pg_hba.conf');
my $keys = $node->data_dir;
my $debian = "local all $user trust\nlocal all all peer\n$hba[0]";
sub connect_as
{
	my ($host, $password) = @_;
	local $ENV{PGPASSWORD} = $password;
	my ($out, $err);
	IPC::Run::run([ 'psql', '-XAtw', '-d', "dbname=shop user=postback_proxy host=$host port=$port", '-c',
		q{SELECT http_status FROM cc_receive('{}'::bytea, NULL)} ],
		'>', \$out, '2>', \$err);
	chomp $out;
	return $out ne '' ? $out : $err;
}
sub hba
{
	my ($text) = @_;
	unlink "$keys/pg_hba.conf";
	append_to_file("$keys/pg_hba.conf", $text);
	$node->reload;
	return;
}
hba($debian);
my $socket = $node->host;
like(connect_as($socket, ''), qr/Peer authentication failed/, 'a stock Debian: not by the socket');
like(connect_as('127.0.0.1', 'x'), qr/password authentication failed/, 'nor by TCP without a password');
$node->safe_psql('postgres', q{ALTER ROLE postback_proxy PASSWORD 'secret of the proxy'});
is(connect_as('127.0.0.1', 'secret of the proxy'), '400', 'by password over TCP');
append_to_file("$keys/pg_ident.conf", $ident =~ s/www-data/$user/r);
hba($hba[1] . $debian);
is(connect_as($socket, ''), '400', 'by the user of the system on the socket');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL'), '0', 'no mistake in pg_hba.conf');
like(slurp_file($node->logfile), qr/Peer authentication failed.*User "postback_proxy" has no password assigned/s,
	'the log says why, in these words');

$node->stop;
done_testing();
