# The commands of docs/operations.md, from top to bottom, on a fresh server. t/import.pl runs Reconcile, t/retain.pl Purge, t/rehearse.pl
# Rehearsal. What a command is to fix is made before it, and looked at behind it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Chapter;
use IPC::Run ();
use Postback;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";
my $chapter = Chapter->new("$root/docs/operations.md");
my %elsewhere = (Reconcile => 'import.pl', Purge => 'retain.pl', Rehearsal => 'rehearse.pl');
my @sections = grep { !$elsewhere{$_} } $chapter->sections;
ok(slurp_file("$FindBin::RealBin/$elsewhere{$_}") =~ /all_run\([^)]*\b$_\b/, "$elsewhere{$_} runs the section $_") for sort keys %elsewhere;

my $node = PostgreSQL::Test::Cluster->new('operations');
$node->init(allows_streaming => 1, extra => [ '--locale=C', '--encoding=UTF8' ]);
$node->append_conf('postgresql.conf', "listen_addresses = '127.0.0.1'\nlog_statement = all\nlog_min_duration_statement = 0");
$node->start;
my $standby;
my $port = $node->port;
my $superuser = getpwuid($>);
my $folder = PostgreSQL::Test::Utils::tempdir();

# Files of the chapter, as they are on the machine of the test
my ($key, $new_key) = map { "SECRETKEY$_" . 'x' x 20 } 1, 2;
sub write_file
{
	my ($name, $text) = @_;
	unlink "$folder/$name";
	append_to_file("$folder/$name", $text);
	chmod 0600, "$folder/$name";
	return;
}

# Runs a program and returns its code and its output.
sub run_program
{
	my ($command, %option) = @_;
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $port, PGUSER => 'shop', PGDATABASE => 'shop', HOME => $folder,
		%{ $option{env} // {} });
	my ($in, $out) = ($option{in} // '', '');
	my $run = IPC::Run::start($command, '<', \$in, '>&', \$out, init => sub { chdir $folder or die $! });
	my $code = $run->finish ? 0 : 1;
	chomp $out;
	return ($code, $out);
}
sub ask_shop { return answer_as($node, 'shop', $_[0], $_[1] // 'shop') }

# --- How a block runs, by its language ---

my (%answer, %config);
sub run_sql
{
	my ($text, $comment) = @_;
	my $where = $comment =~ /on the standby/ ? $standby : $node;
	my @who = $comment =~ /as postgres/ ? ('postgres', $superuser) : ('shop', 'shop');
	my ($code, $out, $err) = $where->psql($who[0], $text, on_error_stop => 1, extra_params => [ '-U', $who[1] ]);
	return ($code, $out . $err);
}
sub run_sh
{
	my ($text, $comment) = @_;
	# Without a terminal psql reads the password from its input
	return run_program([ 'setsid', 'sh', '-euc', $text ], in => $text =~ /\\password/ ? "the password\nthe password\n" : '',
		env => { PGUSER => $comment =~ /as postgres/ ? $superuser : 'shop' });
}
my %run = (sql => \&run_sql, sh => \&run_sh, map { my $kind = $_; $kind => sub { push @{ $config{$kind} }, $_[0]; return (0, '') } }
	qw(pg_hba pg_ident pgpass systemd conninfo));

# --- What is made before a block, and looked at behind it ---

my @checks;
# Around the block of which this is a part. `adapt` makes the text one that fits here.
sub around
{
	my ($part, %check) = @_;
	push @checks, { part => $part, is_used => 0, %check };
	return;
}
sub problems { return ask_shop(q{SELECT split_part(problem, ':', 1) FROM cc_health() WHERE problem IS NOT NULL}) }
sub deliver
{
	my ($invoice, %option) = @_;
	my %with = (key => 1, order => "O-$invoice", amount => 1, ends => '5 min', project => 'default', %option);
	return ask_shop(qq{SELECT deliver(sample('$invoice', '$with{order}', $with{key}, $with{amount}, '$with{ends}'), '$with{project}')},
		$with{database});
}
sub paid
{
	return ask_shop(qq{SELECT string_agg(id || ' ' || times, ', ' ORDER BY id) FROM orders WHERE paid_at IS NOT NULL AND id ~ '$_[0]'}, $_[1]);
}
sub order { return ask_shop(join '', map { "INSERT INTO orders VALUES ('$_', 1, 'BNB');" } @_) }

# Install
write_file('secret-key', "$key\n");
write_file('keys', "1\t$key\n2\t$new_key\n");
my $readme = slurp_file("$root/README.md");
my ($orders) = $readme =~ /^(CREATE TABLE orders .*)$/m;
my ($trigger) = $readme =~ /^<!-- order-trigger -->\n```sql\n(.*?)^```$/ms;
around(qr/cc_receive\(cc_sample_postback/, before => sub {
	is(ask_shop($orders . $trigger . q{
		CREATE TABLE keys (n integer, secret text);
		-- How often the trigger marks an order
		ALTER TABLE orders ADD times integer NOT NULL DEFAULT 0;
		CREATE FUNCTION count_times() RETURNS trigger LANGUAGE plpgsql AS
			$$BEGIN NEW.times := OLD.times + 1; RETURN NEW; END$$;
		CREATE TRIGGER count_times BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION count_times();
		CREATE FUNCTION sample(invoice text, orders text, key integer, amount numeric, ends interval) RETURNS text LANGUAGE sql AS
			$$SELECT cc_sample_postback(secret, 'application/json', invoice, orders, 0.1, amount, expires_at => clock_timestamp() + ends)
			    FROM keys WHERE n = key$$;
		CREATE FUNCTION deliver(body text, project text DEFAULT 'default') RETURNS text LANGUAGE sql AS
			$$INSERT INTO cc_inbox AS i (body, content_type, project) VALUES ($1, 'application/json', $2)
			  RETURNING concat_ws('/', i.state, i.reason)$$;
	}), '', "README's order trigger");
	is((run_program([ 'psql', '-Xqc', '\copy keys FROM keys' ]))[0], 0, 'keys for the test');
}, after => sub {
	like($_[0], qr/^200\|.*\nt$/m, 'Install: it works');
	is(ask_shop('SELECT (SELECT count(*) FROM cc_inbox), (SELECT count(*) FROM orders)'), '0|0', 'and leaves nothing behind');
});
around(qr/--command 'CALL cc_work\(\)'/, before => sub {
	order('O-WAITS');
	ask_shop(q{UPDATE cc_project SET apply = 'deferred'});
	is(deliver('WAITS'), 'pending', 'a postback waits');
	ask_shop(q{UPDATE cc_project SET apply = 'immediate'});
}, after => sub { is(paid('WAITS'), 'O-WAITS 1', 'the line for cron settles it') });

# Grant
around(qr/default_transaction_isolation = 'read committed'/, before => \&test_ways_in);
around(qr/GRANT SET ON PARAMETER/, before => sub {
	# So that the next block shows that the role can do it by itself
	$node->safe_psql('postgres', 'ALTER ROLE postback_proxy RESET log_parameter_max_length');
});
around(qr/aclexplode/, after => sub {
	like($_[0], qr/^cc_receive\(bytea,text,text\)\|postback_proxy$/m, 'the list of grants has the one of the proxy');
	is(scalar(() = $_[0] =~ /^cc_\w+\(.*\|/mg), 3, 'and two more');
	is(answer_as($node, 'prometheus', 'SELECT count(*) FROM cc_health();', 'shop'), '2', 'monitoring asks for health');
	like(answer_as($node, 'prometheus', 'SELECT body FROM cc_inbox;', 'shop'), qr/42501/, 'and reads no body');
	like(answer_as($node, 'support', 'SELECT secret FROM cc_project;', 'shop'), qr/42501/, 'support reads no secret');
	like(answer_as($node, 'postback_proxy', "SELECT * FROM $_;", 'shop'), qr/42501/, "the proxy may not: $_")
		for 'cc_health()', q{cc_timeline('A')}, 'cc_inbox', 'cc_project', 'cc_reverify()';
	is(answer_as($node, 'postback_proxy', 'SHOW log_parameter_max_length; SHOW default_transaction_isolation; SHOW statement_timeout;',
		'shop'), "0\nread committed\n10s", 'settings of the proxy');
	is(answer_as($node, $_, 'SHOW default_transaction_read_only;', 'shop'), 'on', "$_ only reads") for 'prometheus', 'support';
});

# Rotate: what the service signed with the new key before it was stored, and with the old one after that
around(qr/SET previous_secret = cc_project\.secret/, before => sub {
	order(map { "O-ROT$_" } 1 .. 4);
	is(deliver('ROT1', key => 2), 'rejected/bad_signature', 'Rotate: the service has the new key first');
	write_file('secret-key', "$new_key\n");
}, after => sub {
	is(deliver('ROT2', key => 2), 'applied', 'the new key verifies');
	is(deliver('ROT3', key => 1), 'applied', 'the old one still does');
});
around(qr/cc_reverify\('default', since/, after => sub {
	is($_[0], 'applied||1', 'what came in between is judged again');
	is(paid('ROT'), 'O-ROT1 1, O-ROT2 1, O-ROT3 1', 'and nothing is lost');
});
around(qr/SET previous_secret = NULL.*WHERE previous_secret_until < now/, before => sub {
	ask_shop(q{UPDATE cc_project SET previous_secret_until = now() - interval '1 s'});
	is(deliver('ROT4', key => 1), 'rejected/bad_signature', 'after the hour the old key verifies nothing');
}, after => sub {
	is(ask_shop('SELECT previous_secret FROM cc_project'), '', 'and is deleted');
	ask_shop(q{DELETE FROM cc_inbox WHERE state = 'rejected'});
});

around(qr/LOCK TABLE cc_inbox, cc_invoice/, before => sub {
	order(map { "O-REN$_" } 1 .. 2);
	ask_shop(q{INSERT INTO cc_project (name, secret) SELECT 'second', secret FROM keys WHERE n = 1});
	is(deliver('REN1', project => 'second'), 'applied', 'Rename: a paid invoice');
}, after => sub {
	is(deliver('REN1', project => 'books', ends => '6 min'), 'duplicate', 'is the same invoice under the new name');
	is(deliver('REN2', project => 'second'), 'rejected/unknown_project', 'the old name is unknown');
});
around(qr/cc_reverify\('books'\)/, after => sub {
	is($_[0], 'applied||1', 'what came to the old name is judged again');
	is(paid('REN'), 'O-REN1 1, O-REN2 1', 'and each order is paid once');
	is(ask_shop(q{SELECT count(*) FROM cc_invoice WHERE project = 'books'}), '2', 'there is no second invoice');
	ask_shop(q{DELETE FROM cc_project WHERE name = 'books'});
});

# Monitor
around(qr/\ASELECT project, problem FROM cc_health\(\) WHERE problem IS NOT NULL;\n\z/, many => 1, before => sub {
	return if ask_shop(q{SELECT to_regclass('cc_invoice') IS NULL OR EXISTS (SELECT FROM cc_invoice WHERE order_id = 'ORDER_93223')}) eq 't';
	ask_shop(q{INSERT INTO orders VALUES ('ORDER_93223', 0.000113, 'BNB')});
	is(deliver('ILRAJE1Q', order => 'ORDER_93223', amount => 0.000113, key => 2), 'applied', 'an order is paid');
}, after => sub { is($_[0], '', 'all is well') });
around(qr/cc_timeline\('ORDER_93223'\)/, after => sub {
	like($_[0], qr/\|paid\|.*ORDER_93223/, 'the timeline shows the payment');
});

# Recover
around(qr/UPDATE cc_project SET secret = key\.secret FROM key/, before => sub {
	ask_shop(q{UPDATE cc_project SET secret = 'wrong'});
	order(map { "O-SEC$_" } 1 .. 8);
	is(deliver("SEC$_", key => 2), 'rejected/bad_signature', "Recover: a wrong secret: $_") for 1 .. 8;
	# Replays of one genuine postback with other content, so many that a batch has nothing else
	ask_shop(q{CREATE TABLE replayed AS
		SELECT cc_sample_postback(secret, invoice_id => 'SEC0', order_id => 'O-SEC0') AS body FROM keys WHERE n = 2});
	ask_shop(q{INSERT INTO cc_inbox (body) SELECT replace(body, 'O-SEC0', 'O-THIEF' || n) FROM replayed, generate_series(1, 1200) AS n});
	order('O-BEHIND');
	is(deliver('BEHIND', key => 2), 'rejected/bad_signature', 'behind them a genuine one');
	is(deliver('FORGED', key => 1), 'rejected/bad_signature', 'and a forged one');
	write_file('secret-key', "$new_key\n");
});
around(qr/dry_run => true/, after => sub {
	is($_[0], "rejected|bad_signature|1\nrejected|token_reused|1199\napplied||10", 'the preview');
	is(paid('SEC|BEHIND'), '', 'changes nothing');
});
around(qr/WHILE EXISTS \(SELECT FROM cc_reverify/, after => sub {
	is(paid('SEC|BEHIND'), join(', ', 'O-BEHIND 1', map { "O-SEC$_ 1" } 1 .. 8), 'all genuine ones are paid, once');
	is(ask_shop(q{SELECT count(*) FROM cc_invoice v JOIN cc_inbox i USING (invoice_id)
		WHERE i.state = 'applied' AND v.paid_at <> i.received_at}), '0', 'as of their receipt');
	is(ask_shop(q{SELECT reason, count(*) FROM cc_inbox WHERE state = 'rejected' GROUP BY 1 ORDER BY 1}), "bad_signature|1\ntoken_reused|1199",
		'the others stay rejected');
	ask_shop(q{DELETE FROM cc_inbox WHERE state = 'rejected'});
});
around(qr/leeway => '2 hours'/, before => sub {
	order('O-CLOCK');
	is(deliver('CLOCK', key => 2, ends => '-1 hour'), 'rejected/token_expired', 'a clock that is ahead');
}, after => sub {
	is($_[0], 'applied||1', 'judged again with a leeway');
	is(paid('CLOCK'), 'O-CLOCK 1', 'it is paid');
	is(deliver('CLOCK2', key => 2, ends => '-1 hour'), 'rejected/token_expired', 'and no replay comes in by it');
	ask_shop(q{DELETE FROM cc_inbox WHERE state = 'rejected'});
});
around(qr/WHERE state = 'failed' ORDER BY id/, before => sub {
	order('O-FAIL');
	ask_shop('ALTER TABLE orders RENAME TO bills');
	is(deliver('FAIL', key => 2), 'failed', 'a broken trigger');
}, after => sub { like($_[0], qr/\|FAIL\|1\|42P01: relation "orders" does not exist/, 'error says what') });
around(qr/\ACALL cc_work\(\);\n\z/, before => sub { ask_shop('ALTER TABLE bills RENAME TO orders') },
	after => sub { is(paid('FAIL'), 'O-FAIL 1', 'it is settled when the trigger is fixed') });
around(qr/ENABLE TRIGGER mark_order_paid/, before => sub {
	order('O-MISSED');
	ask_shop('ALTER TABLE cc_invoice DISABLE TRIGGER mark_order_paid');
	is(deliver('MISSED', key => 2), 'applied', 'a disabled trigger');
	is(paid('MISSED'), '', 'marks no order');
}, after => sub {
	is(paid('MISSED'), 'O-MISSED 1', 'enabled, it fires again');
	is(ask_shop('SELECT count(*) FROM orders WHERE times > 1'), '0', 'and marks no order twice');
});
my $conflict;
around(qr/WHERE state = 'conflict' ORDER BY id/, before => sub {
	order('O-RIGHT');
	is(deliver('CON', order => 'OTHER', amount => 0.5, key => 2), 'applied', 'an invoice');
	is(ask_shop(q{UPDATE cc_invoice SET paid_at = NULL, status = 'pending' WHERE invoice_id = 'CON'}), '', 'that is not paid');
	is(deliver('CON', order => 'O-RIGHT', key => 2), 'conflict', 'contradicted');
	$conflict = ask_shop(q{SELECT id FROM cc_inbox WHERE state = 'conflict'});
}, after => sub { like($_[0], qr/^$conflict\|.*\|CON\|order_id is "OTHER", the postback says "O-RIGHT"$/, 'field and values are said') });
around(qr/\ASELECT cc_accept\(42\);/, adapt => sub { return $_[0] =~ s/42/$conflict/r }, after => sub {
	is($_[0], 'applied', 'accepted');
	is(paid('RIGHT'), 'O-RIGHT 1', 'the order is paid');
});
around(qr/SET state = 'duplicate'/, before => sub {
	is(deliver('CON', order => 'O-WRONG', key => 2), 'conflict', 'a wrong postback');
	$conflict = ask_shop(q{SELECT id FROM cc_inbox WHERE state = 'conflict'});
	is(problems(), 'conflict', 'is a problem');
}, adapt => sub { return $_[0] =~ s/42/$conflict/r }, after => sub {
	is(problems(), '', 'until it is set aside');
	is(ask_shop(qq{SELECT deliver(replace(body, 'O-WRONG', 'O-MINE')) FROM cc_inbox WHERE id = $conflict}), 'rejected/token_reused',
		'its token stays spent');
	is(ask_shop(q{SELECT order_id FROM cc_invoice WHERE invoice_id = 'CON'}), 'O-RIGHT', 'and it has no effect');
	ask_shop(q{DELETE FROM cc_inbox WHERE state = 'rejected'});
});
my $reused;
around(qr/reason = 'token_reused' ORDER BY id/, before => sub {
	order('O-STOLEN');
	ask_shop(q{TRUNCATE replayed; INSERT INTO replayed SELECT sample('STOLEN', 'O-STOLEN', 2, 1, '5 min')});
	is(ask_shop(q{SELECT deliver(replace(body, '"O-STOLEN"', '"THIEF"')), deliver(body) FROM replayed}), 'applied|rejected/token_reused',
		'a thief was faster');
	$reused = ask_shop(q{SELECT id FROM cc_inbox WHERE reason = 'token_reused'});
}, after => sub { like($_[0], qr/^$reused\|.*"O-STOLEN"/s, 'the genuine one is shown') });
around(qr/cc_accept\(42, reassign => true\)/, adapt => sub { return $_[0] =~ s/42/$reused/r },
	after => sub { is(paid('STOLEN'), 'O-STOLEN 1', 'the genuine one is taken') });
around(qr/state = 'pending' ORDER BY id;\nCALL cc_work/, before => sub {
	order('O-LATE');
	ask_shop(q{UPDATE cc_project SET apply = 'deferred'});
	is(deliver('LATE', key => 2), 'pending', 'a waiting postback');
	ask_shop(q{UPDATE cc_project SET apply = 'immediate'});
}, after => sub { is(paid('LATE'), 'O-LATE 1', 'is settled') });
around(qr/\ASELECT cc_setup\(\);\n\z/, before => sub {
	ask_shop('DROP INDEX cc_inbox_content');
	is(problems(), 'index', 'an index is missing');
}, after => sub { is(problems(), '', 'and comes back') });

# Back up and restore
around(qr/pg_dumpall/, after => sub {
	like(slurp_file("$folder/roles.sql"), qr/^ALTER ROLE postback_proxy SET default_transaction_isolation TO 'read committed';$/m,
		'roles have their settings');
});
my @counted = map { "SELECT count(*), sum(hashtext(t::text)::bigint) FROM $_ AS t" } qw(cc_inbox cc_invoice orders cc_project);
around(qr/--dbname=restored shop\.dump/, after => sub {
	is(ask_shop($_, 'restored'), ask_shop($_), "restored: $_") for @counted;
	order('O-AFTER');
	ask_shop(q{INSERT INTO orders VALUES ('O-AFTER', 1, 'BNB')}, 'restored');
	is(deliver('AFTER', key => 2, database => 'restored'), 'applied', 'the copy receives');
	is(paid('AFTER', 'restored'), 'O-AFTER 1', 'with the order trigger');
	is(answer_as($node, 'postback_proxy', q{SELECT http_status FROM cc_receive('{}'::bytea, NULL);}, 'restored'), '400', 'and the grants');
});
around(qr/--dbname=restored_without_secrets shop/, after => sub {
	my ($code, $text) = run_program([ 'pg_restore', '--file=-', 'shop-without-secrets.dump' ]);
	unlike($text, qr/^COPY public\.cc_project/m, 'a dump without secrets has no project');
	# The test keeps its keys in a table
	unlike($text =~ s/^COPY public\.keys .*?^\\\.$//msr, qr/\Q$new_key\E/, 'and no secret');
	is(ask_shop($counted[0], 'restored_without_secrets'), ask_shop($counted[0]), 'but all postbacks');
	is(deliver('NONE', key => 2, database => 'restored_without_secrets'), 'rejected/unknown_project', 'none is verified there yet');
});
around(qr/\APGDATABASE=restored_without_secrets/, after => sub {
	is(ask_shop(q{SELECT state FROM cc_inbox WHERE invoice_id = 'NONE'}, 'restored_without_secrets'), 'applied', 'until the project is there');
});
around(qr/--dbname=restored --command 'SELECT cc_setup/, after => sub {
	like($_[0], qr/cc_setup.*\(0 rows\)/s, 'all is well in the copy');
});

# Upgrade: test/t/upgrade.pl and window.pl do it from each release; here it is of this version already
around(qr/ALTER EXTENSION cryptocloud_postback UPDATE/, after => sub { like($_[0], qr/already installed/, 'nothing to upgrade') });

# Replicas and failover
around(qr/pg_promote/, before => \&make_standby);
around(qr/\ASELECT project, problem FROM cc_health/, in => 'Replicas and failover', after => \&test_failover);

# Remove
around(qr/REVOKE EXECUTE ON FUNCTION cc_receive/, after => sub {
	like(answer_as($node, 'postback_proxy', q{SELECT * FROM cc_receive('{}'::bytea, NULL);}, 'shop'), qr/42501/,
		'the proxy may do nothing any more');
	like(ask_shop('DROP EXTENSION cryptocloud_postback'), qr/2BP01.*HINT:.*CASCADE/s, 'DROP EXTENSION refuses, and names CASCADE');
});
around(qr/DROP EXTENSION/, after => sub {
	is(ask_shop(q{SELECT to_regproc('cc_receive')}), '', 'the extension is gone');
	cmp_ok(ask_shop('SELECT count(*) FROM cc_inbox'), '>', 10, 'and the rows are there');
});
around(qr/DROP ROLE/, before => sub {
	$node->safe_psql('postgres', "DROP DATABASE $_") for 'restored', 'restored_without_secrets';
}, after => sub {
	is(ask_shop(q{SELECT count(*) FROM pg_class WHERE relname ~ '^cc_'}), '0', 'no table is left');
	is(ask_shop(q{SELECT count(*) FROM pg_proc WHERE proname ~ '^cc_'}), '0', 'no function');
	is(ask_shop(q{SELECT count(*) FROM pg_roles WHERE rolname IN ('postback_proxy', 'prometheus', 'support')}), '0', 'no role');
});

# --- The ways in ---

# Debian's own lines, then those of the chapter, each way as the chapter says
sub use_hba
{
	my ($text) = @_;
	unlink $node->data_dir . '/pg_hba.conf';
	append_to_file($node->data_dir . '/pg_hba.conf', $text);
	$node->reload;
	is($node->safe_psql('postgres', 'SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL'), '0', 'no mistake in pg_hba.conf');
	return;
}
# What the proxy gets from there
sub connect_to
{
	my ($string, %env) = @_;
	my $query = q{SELECT http_status FROM cc_receive('{}'::bytea, NULL)};
	return (run_program([ 'psql', '-XAtw', $string, '-c', $query ], env => { PGHOST => '', PGUSER => '', PGDATABASE => '', %env }))[1];
}
sub test_ways_in
{
	my $stock = slurp_file($node->data_dir . '/pg_hba.conf');
	my ($by_password, $by_user, $by_tls) = @{ delete $config{pg_hba} };
	my ($unit, $remote) = (${ delete $config{systemd} }[0], shift @{ $config{conninfo} });
	my ($url) = $unit =~ /^Environment=DATABASE_URL=(.*)$/m;
	my $socket = $node->host;
	my $by_socket = $url =~ s{/var/run/postgresql}{$socket&port=$port}r;
	my $by_tcp = "postgresql://postback_proxy\@127.0.0.1:$port/shop";
	my $text = slurp_file("$root/docs/operations.md");
	cmp_ok(index($text, "`$url`"), '>', 0, 'the unit has the connection string of the chapter');
	cmp_ok(index($text, '`' . $by_tcp =~ s/:$port//r . '`'), '>', 0, 'and so has this test');
	$node->safe_psql('postgres', q{CREATE ROLE nobody_knows LOGIN});
	my $debian = "local all $superuser trust\nlocal all shop trust\nlocal all all peer\n$by_password";

	use_hba($debian);
	like(connect_to($by_socket), qr/Peer authentication failed/, 'a stock Debian: not by the socket');
	like(connect_to($by_tcp =~ s/postback_proxy/nobody_knows/r, PGPASSWORD => 'x'), qr/password authentication failed/,
		'nor by TCP without a password');
	like(slurp_file($node->logfile), qr/Peer authentication failed.*User "nobody_knows" has no password assigned/s,
		'the log says why, in the words of the chapter');
	write_file('.pgpass', ${ delete $config{pgpass} }[0] =~ s/5432/$port/r);
	is(connect_to($by_tcp), '400', 'by the password in .pgpass over TCP');
	chmod 0644, "$folder/.pgpass";
	like(connect_to($by_tcp), qr/no password supplied/, 'which is ignored if others can read it');
	chmod 0600, "$folder/.pgpass";
	unlike(slurp_file($node->logfile), qr/the password/, 'no log has the password');

	append_to_file($node->data_dir . '/pg_ident.conf', ${ delete $config{pg_ident} }[0] =~ s/www-data/$superuser/r);
	use_hba($by_user . $debian);
	is(connect_to($by_socket), '400', 'by the user of the system on the socket');
	test_unit($unit);

	my ($certificate, $private, $noise) = ("$folder/db.pem", "$folder/db.key", '');
	IPC::Run::run([ qw(openssl req -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=db.example -addext subjectAltName=DNS:db.example -out),
		$certificate, '-keyout', $private ], '2>', \$noise) or die $noise;
	chmod 0600, $private;
	$node->append_conf('postgresql.conf', "ssl = on\nssl_cert_file = '$certificate'\nssl_key_file = '$private'");
	use_hba("local all $superuser trust\nlocal all shop trust\n" . $by_tls =~ s{192\.0\.2\.7/32}{127.0.0.1/32}r);
	write_file('.pgpass', "*:*:shop:postback_proxy:the password\n");
	my $string = $remote =~ s{/etc/ssl/certs/db\.example\.pem\n}{$certificate&hostaddr=127.0.0.1&port=$port}r;
	is(connect_to($string), '400', 'from another machine, by TLS');
	like(connect_to($string =~ s/sslmode=verify-full&sslrootcert=[^&]*/sslmode=disable/r), qr/no pg_hba\.conf entry.*no encryption/,
		'and not without it');
	like(connect_to($string =~ s/db\.example/other.example/r), qr/does not match host name/, 'nor to another server');
	use_hba($stock);
	$node->safe_psql('postgres', 'DROP ROLE nobody_knows');
	return;
}
sub test_unit
{
	my ($unit) = @_;
	SKIP: {
		skip 'there is no systemd', 1 if system('command -v systemd-analyze > /dev/null') != 0;
		write_file('postback.service', $unit =~ s{/usr/bin/gunicorn}{/bin/true}r =~ s{/opt/postback}{/tmp}r);
		my ($code, $out) = run_program([ 'systemd-analyze', 'verify', '--man=no', './postback.service' ]);
		is($out =~ /^.*postback\.service.*$/m ? $& : $code, 0, 'systemd accepts the unit') or diag($out);
	}
	return;
}

# --- Failover ---

my $both;
sub make_standby
{
	$node->backup('standby');
	$standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'standby', has_streaming => 1);
	$standby->start;
	$node->wait_for_catchup($standby, 'replay', $node->lsn('write'));
	is(answer_as($standby, 'shop', q{SELECT count(*) FROM cc_health()}, 'shop'), '2', 'a standby answers cc_health');
	is(answer_as($standby, 'shop', q{SELECT count(*) > 0 FROM cc_timeline('ORDER_93223')}, 'shop'), 't', 'and cc_timeline');
	like(answer_as($standby, 'postback_proxy', q{SELECT * FROM cc_receive('{}'::bytea, NULL)}, 'shop'), qr/25006/, 'and receives nothing');
	my ($here, $there) = ($port, $standby->port);
	$both = (shift @{ $config{conninfo} }) =~ s/db1\.example,db2\.example/127.0.0.1:$there,127.0.0.1:$here/r;
	chomp $both;
	is(connect_to($both), '400', 'a proxy that knows both servers finds the writable one');
	is(ask_shop(q{SELECT count(*) FROM cc_inbox WHERE body = '{}'}) > 0, 1, 'the primary');
	$node->stop('fast');
	return;
}
sub test_failover
{
	is($_[0], '', 'all is well after the failover');
	is(connect_to($both), '400', 'and the proxy finds the new primary');
	like(answer_as($standby, 'shop', q{SELECT deliver(sample('FAILOVER', 'O-AFTER', 2, 1, '5 min'));
		SELECT times FROM orders WHERE id = 'O-AFTER'}, 'shop'), qr/^applied\n1$/, 'which receives, and pays');
	is(answer_as($standby, 'shop', q{SELECT deliver(sample('LATE', 'O-LATE', 2, 1, '6 min'))}, 'shop'), 'duplicate',
		'and knows the paid invoices');
	$standby->stop;
	$node->start;
	return;
}

# --- From top to bottom ---

for my $block ($chapter->blocks(@sections))
{
	my $text = Chapter::take($block);
	my @around = grep { $text =~ $_->{part} && (!$_->{in} || $_->{in} eq $block->{section}) && ($_->{many} || !$_->{is_used}) } @checks;
	@around = grep { $_->{in} } @around if grep { $_->{in} } @around;
	$_->{is_used} = 1 for @around;
	my $name = "line $block->{line}: " . (split /\n/, $text)[0];
	my $run = $run{ $block->{language} };
	ok($run, "$name: in a language that is known") or next;
	$_->{before} && $_->{before}->() for @around;
	$text = $_->{adapt} ? $_->{adapt}->($text) : $text for @around;
	my ($code, $out) = $run->($text, $block->{comment});
	is($code, 0, $name) or diag($out);
	$_->{after} && $_->{after}->($out) for @around;
}
$chapter->all_run(@sections);
is(join(' ', map { "$_->{part}" } grep { !$_->{is_used} } @checks), '', 'each check found its block');
is(join(' ', grep { @{ $config{$_} } } sort keys %config), '', 'each file was used');
unlike(slurp_file($node->logfile), qr/SECRETKEY/, 'no secret is in the log of the server, though it logs each statement');

# Each word for a fault is explained, and there is no other
my ($list) = slurp_file("$root/docs/operations.md") =~ /^(\| `tables` .*?)\n\n/ms;
my %explained = map { $_ => 1 } $list =~ /^\| `(\w+)`/mg;
my $source = slurp_file("$root/sql/operate.sql");
my %said = map { $_ => 1 } $source =~ /(?:format\(|THEN |ELSE |, |SELECT |\n\s+)'{1,2}([a-z_]+): /g;
is(join(' ', sort keys %explained), join(' ', sort keys %said), 'each fault is explained');
my ($exporter) = slurp_file("$root/monitoring/prometheus-sql-exporter.yml") =~ /ARRAY\[(.*?)\]/s;
is(join(' ', sort $exporter =~ /'(\w+)'/g), join(' ', sort keys %said), 'and each is a metric');

$node->stop;
done_testing();
