# Every block of README.md does what it says: SQL and shell run from top to bottom in a fresh database, as the owner of the tables, who is
# not a superuser. A block that needs more names the test that runs it: <!-- run by FILE -->. A block that nothing runs is a failure.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Document;
use File::Temp;
use IO::Socket::INET;
use Postback;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;

my $root = "$FindBin::RealBin/../..";
my $readme = slurp_file("$root/README.md");
my $folder = File::Temp->newdir(DIR => PostgreSQL::Test::Utils::tempdir());
chmod 0755, $folder;

my $node = PostgreSQL::Test::Cluster->new('readme');
$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'");
# Debian's line for TCP. On the socket the tests may be any role.
unlink $node->data_dir . '/pg_hba.conf';
append_to_file($node->data_dir . '/pg_hba.conf', "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
$node->start;
my ($host, $port) = ($node->host, $node->port);
$node->safe_psql('postgres', q{
	CREATE ROLE shop LOGIN CREATEROLE;
	CREATE DATABASE shop OWNER shop;
	CREATE ROLE orders_writer LOGIN PASSWORD 'its password';
	CREATE DATABASE managed;
});
# The managed database of someone who cannot install the extension there
$node->safe_psql('managed', q{
	CREATE TABLE orders (id text PRIMARY KEY, amount numeric NOT NULL, currency text NOT NULL, paid_at timestamptz);
	GRANT SELECT, UPDATE ON orders TO orders_writer;
	INSERT INTO orders VALUES ('FAR', 0.000113, 'BNB');
});
sub query { return answer_as($node, 'shop', $_[0], 'shop') }

# --- Programs for the shell blocks: as root, but without root ---

my $programs = "$folder/bin";
mkdir $programs;
my %program = (
	sudo => 'exec "$@"',
	apt => 'exec apt-get --simulate --quiet "$@"',       # fails for a package that does not exist
	systemctl => 'echo "$@" >> "$SYSTEMCTL_LOG"',
);
for (keys %program)
{
	append_to_file("$programs/$_", "#!/bin/sh\n$program{$_}\n");
	chmod 0755, "$programs/$_";
}
my $url_port = PostgreSQL::Test::Cluster::get_free_port();
# Places and addresses of a real machine, and those of this test.
my %here = (
	'/srv/postback' => "$folder/srv",
	'localhost:8000' => "127.0.0.1:$url_port",
	'127.0.0.1:8000' => "127.0.0.1:$url_port",
	'@127.0.0.1/shop' => "\@127.0.0.1:$port/shop",
	"host 'db.example.com', dbname 'shop'" => "host '127.0.0.1', port '$port', dbname 'managed'",
	'verify-full' => 'disable');
sub here
{
	my ($text) = @_;
	$text =~ s/\Q$_\E/$here{$_}/g for sort keys %here;
	return $text;
}

sub run_shell
{
	my ($code) = @_;
	my ($out, $err);
	local %ENV = (%ENV, PATH => "$programs:$ENV{PATH}", SYSTEMCTL_LOG => "$folder/systemctl", DESTDIR => "$folder/destination",
		PGHOST => $host, PGPORT => $port, PGUSER => 'shop', PGDATABASE => 'shop');
	my $succeeded = IPC::Run::run([ 'sh', '-ec', "cd '$root'\n" . here($code) ], '<', \'', '>', \$out, '2>', \$err);
	ok($succeeded, 'sh: ' . (split /\n/, $code)[0]) or diag($out, $err);
	return $out;
}

# --- The service of systemd ---

my $service;
sub start_service
{
	my $unit = here(@_);
	my %value;
	push @{ $value{$1} }, $2 while $unit =~ /^(\w+)=(.*)$/mg;
	my ($command) = @{ $value{ExecStart} };
	my %environment = map { split /=/, $_, 2 } @{ $value{Environment} };
	# As \password and the file of the environment do
	$node->safe_psql('shop', q{ALTER ROLE postback_proxy PASSWORD 'secret of the proxy'});
	local %ENV = (PATH => $ENV{PATH}, %environment, PGPASSWORD => 'secret of the proxy');
	my $output = '';
	$service = IPC::Run::start([ 'sh', '-c', "cd '$value{WorkingDirectory}[0]' && exec $command" ], '<', \'', '>&', \$output);
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return pass('ini: the service listens') if IO::Socket::INET->new("127.0.0.1:$url_port");
		last unless $service->pumpable;
		Time::HiRes::usleep(100_000);
	}
	fail('ini: the service listens') or diag($output);
	return;
}

# --- The blocks ---

my (%count, $output);
my %elsewhere = ("script/sandbox\n" => 'test/sandbox/cases_scenario.py');
for my $block (code_blocks($readme))
{
	my ($note, $language, $code) = @$block{qw(note language code)};
	my $name = (split /\n/, $code)[0];
	my ($file) = $note =~ /^run by (.*)/;
	$file //= $elsewhere{$code};
	$count{$language}++;
	if (defined $file)
	{
		(my $test = slurp_file("$root/$file")) =~ s/\\//g;
		my ($what) = $code =~ /(script\/[\w-]+|\w+\.\w+(?=\()|\w+(?=\()|prefix=)/;
		cmp_ok(index($test, $what // $code), '>=', 0, "$file runs: $name");
	}
	elsif ($language eq 'sql')
	{
		my $role = $note eq 'as postgres' ? getpwuid($>) : 'shop';
		my ($in, $out, $err) = (here($code));
		my @psql = ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-P', 'footer=off', '-d', $node->connstr('shop') . " user=$role");
		ok(IPC::Run::run(\@psql, '<', \$in, '>', \$out, '2>', \$err), "$role: $name") or diag($err);
		$output = $out if $note eq 'shows the result below';
	}
	elsif ($language eq 'sh')
	{
		my $out = run_shell($code);
		like($out, qr/200/, 'the service answers') if $code =~ /send-postback/;
	}
	elsif ($language eq 'ini')
	{
		start_service($code);
	}
	elsif ($language eq 'cron')
	{
		my ($schedule, $user, $command) = $code =~ /^(\S+(?: \S+){4})\s+(\w+)\s+(.*)$/;
		is("$schedule $user", '* * * * * shop', 'cron: every minute, as the owner');
		run_shell($command);
	}
	elsif (defined $output)
	{
		s/ +$//mg, s/\n+\z/\n/ for $output, $code;
		is($output, $code, 'the result is as shown');
		undef $output;
	}
	else
	{
		my @other = grep { !/^\w+ = '.*'$/ } split /\n/, $code;
		is("@other", '', "settings: $name");
	}
}
cmp_ok($count{sql}, '>', 25, 'README has SQL');
cmp_ok($count{sh}, '>', 5, 'and shell');
like(slurp_file("$folder/systemctl"), qr/^enable --now postback$/, 'and starts the service');
$service->signal('TERM');
$service->finish;
is(query(q{SELECT id, paid_at IS NOT NULL FROM orders}), 'ORDER_93223|t', 'the order is paid');
is(query(q{SELECT string_agg(DISTINCT state, ' ') FROM cc_inbox}), 'applied', 'every postback was applied');

# --- A managed PostgreSQL ---

# Delivers the sample with these fields.
sub deliver
{
	my ($fields) = @_;
	return query("SELECT http_status FROM cc_receive(cc_sample_postback('the new SECRET KEY', $fields), NULL)");
}
sub state_of { my ($invoice) = @_; return query("SELECT state FROM cc_inbox WHERE invoice_id = '$invoice' ORDER BY id DESC LIMIT 1") }
my ($near) = $readme =~ /^<!-- order-trigger -->\n```sql\n(CREATE FUNCTION.*?;\n)CREATE TRIGGER/ms;
$near =~ s/^CREATE/CREATE OR REPLACE/;
(my $far = $near) =~ s/UPDATE orders/UPDATE remote.orders/;
query($far);
$node->safe_psql('postgres', 'ALTER DATABASE managed ALLOW_CONNECTIONS false');
is(deliver(q{invoice_id => 'FAR1', order_id => 'FAR'}), '200', 'managed: received while the other database is away');
query('CALL cc_work()');
is(state_of('FAR1'), 'failed', 'the postback waits');
$node->safe_psql('postgres', 'ALTER DATABASE managed ALLOW_CONNECTIONS true');
query('CALL cc_work()');
is(state_of('FAR1'), 'applied', 'until the other database is back');
is($node->safe_psql('managed', q{SELECT paid_at IS NOT NULL FROM orders WHERE id = 'FAR'}), 't', 'then the order there is paid');
query("$near UPDATE cc_project SET apply = 'immediate'");

# --- Recipes ---

sub block_with { my ($text) = @_; return (grep { index($_->{code}, $text) >= 0 } code_blocks($readme))[0]{code} }
sub is_paid { my ($table, $order) = @_; return query("SELECT paid_at IS NOT NULL FROM $table WHERE id = '$order'") }
query(q{INSERT INTO usd_orders VALUES ('USD_1', 20)});
deliver(q{invoice_id => 'USD1', order_id => 'USD_1', amount_usd => 19, amount_crypto => 0.02});
is(is_paid('usd_orders', 'USD_1'), 'f', 'USD: too little');
deliver(q{invoice_id => 'USD1', order_id => 'USD_1', amount_usd => 20, amount_crypto => 0.03, expires_at => now() + interval '6 min'});
is(is_paid('usd_orders', 'USD_1'), 't', 'USD: a top-up');
query(q{INSERT INTO usd_orders VALUES ('USD_2', 20)});
deliver(q{content_type => 'application/x-www-form-urlencoded', invoice_id => 'USD2', order_id => 'USD_2', amount_crypto => 0.03});
is(is_paid('usd_orders', 'USD_2'), 'f', 'USD: a form does not say what it is worth');
query(q{SELECT cc_import('{"status": "success", "result": [{"uuid": "USD2", "order_id": "USD_2", "status": "paid", "currency": "BNB",
	"amount_paid": 0.03, "amount_paid_usd": 20}]}')});
is(is_paid('usd_orders', 'USD_2'), 't', 'USD: the API says it');

query(q{INSERT INTO rub_orders VALUES ('RUB_2', 1500)});
my $rub = q{order_id => 'RUB_1', invoice_id => 'RUB00001', currency => 'USDT_TRC20', amount_usd => 18.75};
deliver(qq{$rub, amount_crypto => 18.74, invoice_info => '{"amount_to_pay": 18.75}'});
is(query(q{SELECT payment FROM cc_invoice WHERE invoice_id = 'RUB00001'}), 'under', 'RUB: a partial payment');
like(query(block_with('AS missing')), qr/^RUB_1\|0\.01\|USDT_TRC20$/m, 'RUB: the missing amount');
is(is_paid('rub_orders', 'RUB_1'), 'f', 'RUB: pays nothing');
deliver(qq{$rub, amount_crypto => 18.75, content_type => 'application/x-www-form-urlencoded', expires_at => now() + interval '6 min'});
is(is_paid('rub_orders', 'RUB_1'), 't', 'RUB: a top-up, as a form');
deliver(q{order_id => 'RUB_2', invoice_id => 'RUB00002', currency => 'USDT_TRC20', amount_usd => 0.01, amount_crypto => 0.01});
is(is_paid('rub_orders', 'RUB_2'), 'f', 'RUB: an invoice that the API did not confirm pays nothing');

query(q{INSERT INTO shared_orders VALUES ('SHARED', 3, 'BNB')});
deliver(q{order_id => 'SHARED', invoice_id => 'SHARED1', amount_crypto => 1});
deliver(q{order_id => 'SHARED', invoice_id => 'SHARED2', amount_crypto => 1.9});
is(is_paid('shared_orders', 'SHARED'), 'f', 'two invoices that are too little');
deliver(q{order_id => 'SHARED', invoice_id => 'SHARED3', amount_crypto => 0.1});
is(is_paid('shared_orders', 'SHARED'), 't', 'a third one completes the order');
deliver(q{invoice_id => 'DOUBLE', order_id => 'ORDER_93223'});
like(query(block_with('invoices_of_the_order')), qr/^DOUBLE\|ORDER_93223\|/m, 'a second payment of an order is found');

deliver(qq{invoice_id => 'WALLET$_', order_id => 'CUSTOMER-7', amount_crypto => $_}) for 1, 2, 2;
is(query(q{SELECT * FROM balances}), 'CUSTOMER-7|BNB|3', 'each deposit is credited once');

deliver(q{invoice_id => 'LATE', order_id => 'LATE'});
query(q{INSERT INTO orders VALUES ('LATE', 0.000113, 'BNB')});
query(block_with("UPDATE orders SET paid_at = i.paid_at\n"));
is(is_paid('orders', 'LATE'), 't', 'an order that was stored after its payment');

# --- The reasons ---

my ($table) = $readme =~ /^### Reasons\n(.*?)^###? /ms;
my %status;
while ($table =~ /^\| (`.*?) \| (\d{3}) \|/mg)
{
	my ($reasons, $status) = ($1, $2);
	$status{$_} = $status for $reasons =~ /`(\w+)`/g;
}
for my $reason (sort keys %status)
{
	is(query("SELECT http_status FROM cc_http_answer('rejected', '$reason')"), $status{$reason}, "HTTP status of $reason");
}
my @words = slurp_file("$root/src/core/reason.hpp") =~ /^\s+\{Reason::k\w+, "(\w+)", /mg;
my @unexplained = grep { !exists $status{$_} } @words;
cmp_ok(scalar @words, '>=', 20, 'the code has reasons');
is("@unexplained", '', 'and README explains each');

# --- The errors ---

($table) = $readme =~ /^### Errors\n(.*?)^###? /ms;
my %explained = map { $_ => 1 } map { /`(\w+)`/g } $table =~ /^\| (`.*?) \|/mg;
chomp(my $share = qx(pg_config --sharedir));
my %sqlstate = reverse slurp_file("$share/errcodes.txt") =~ /^(\w{5}) +E +(ERRCODE_\w+)/mg;
my %raised = map { $sqlstate{$_} => 1 } map { slurp_file($_) =~ /errcode\((ERRCODE_\w+)\)/g } glob("$root/src/pg/*.cpp");
# A trigger function of the extension that something else calls, and a row of unknown state
delete @raised{qw(39P01 XX001)};
cmp_ok(scalar keys %raised, '>', 10, 'the code raises errors');
is(join(' ', grep { !$explained{$_} } sort keys %raised), '', 'and README explains each');

$node->stop;
done_testing();
