# Shared by the TAP tests: a node with the extension and a project, and psql sessions in the background.
package Postback;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(start_node start_shop sign_postbacks session ask answer_as until_idle_or wait_for_lock);

# A running node whose database postgres has the extension, its tables, and the project default with the secret s3cret.
sub start_node
{
	my ($name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', $conf // '');
	$node->start;
	$node->safe_psql('postgres', q{
		CREATE EXTENSION cryptocloud_postback;
		SELECT cc_setup();
		INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
		-- Each paid invoice leaves a row, as often as the trigger fires
		CREATE TABLE paid (invoice_id text);
		CREATE FUNCTION paid() RETURNS trigger LANGUAGE plpgsql AS
			$$BEGIN INSERT INTO paid VALUES (NEW.invoice_id); RETURN NULL; END$$;
		CREATE TRIGGER paid AFTER INSERT OR UPDATE OF paid_at ON cc_invoice
			FOR EACH ROW WHEN (NEW.paid_at IS NOT NULL) EXECUTE FUNCTION paid();
	});
	return $node;
}

# A running node whose database postgres has the extension and its tables in the schema public, owned by the role shop, which is
# not a superuser, with the project default. The role proxy may call cc_receive, insert into cc_inbox and call cc_apply. The role
# mallory may create objects in the same database and schema.
sub start_shop
{
	my ($name, $conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);
	$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', $conf // '');
	$node->start;
	$node->safe_psql('postgres', q{
		CREATE ROLE shop LOGIN;
		CREATE ROLE proxy LOGIN;
		CREATE ROLE mallory LOGIN;
		GRANT CREATE ON DATABASE postgres TO shop, mallory;
		GRANT ALL ON SCHEMA public TO shop, mallory;
		SET ROLE shop;
		CREATE EXTENSION cryptocloud_postback;
		SELECT cc_setup();
		INSERT INTO cc_project (name, secret) VALUES ('default', 's3cret');
		GRANT EXECUTE ON FUNCTION cc_receive(text, text, text), cc_receive(bytea, text, text), cc_apply(integer) TO proxy;
		GRANT INSERT (project, body, content_type) ON cc_inbox TO proxy;
	});
	return $node;
}

# Makes the SQL functions token, body and deliver:
#   token(invoice, n, secret)   a token that ends in 50 minutes and n seconds; it binds no invoice if that is NULL
#   body(token, fields)         a success of 1 BNB as JSON, with these fields instead
#   deliver(body)               inserts it and returns state, or state/reason
sub sign_postbacks
{
	my ($node, $role) = @_;
	my $ends = time + 3000;
	$node->safe_psql('postgres', (defined $role ? "SET ROLE $role;" : '') . qq{
		CREATE FUNCTION token(invoice text, n integer DEFAULT 0, secret text DEFAULT 's3cret') RETURNS text LANGUAGE sql IMMUTABLE AS
			\$\$SELECT cc_sign_token(jsonb_strip_nulls(jsonb_build_object('id', invoice, 'exp', $ends + n)), secret)\$\$;
		CREATE FUNCTION body(token text, fields jsonb) RETURNS text LANGUAGE sql IMMUTABLE AS
			\$\$SELECT (jsonb '{"status": "success", "amount_crypto": 1, "currency": "BNB"}' || fields
			            || jsonb_build_object('token', token))::text\$\$;
		CREATE FUNCTION deliver(body text, content_type text DEFAULT 'application/json', project text DEFAULT 'default')
			RETURNS text LANGUAGE sql AS
			\$\$INSERT INTO cc_inbox AS i (body, content_type, project) VALUES (\$1, \$2, \$3)
			   RETURNING concat_ws('/', i.state, i.reason)\$\$;
	});
	return;
}

# Returns the output of psql when the role (undef: the superuser) runs these statements, with errors and their SQLSTATE. An error
# does not end it.
sub answer_as
{
	my ($node, $role, $statements, $database) = @_;
	my ($answer, $who) = ('', defined $role ? " user=$role" : '');
	IPC::Run::run(
		[ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-f', '-', '-d', $node->connstr($database // 'postgres') . $who ],
		'<', \$statements, '>&', \$answer);
	$answer =~ s/^(?:psql:<stdin>:\d+: )?LOCATION: .*\n//mg;
	$answer =~ s/^psql:<stdin>:\d+: //mg;
	chomp $answer;
	return $answer;
}

# A psql session that stays open: give it statements with ask().
sub session
{
	my ($node, $database, $role) = @_;
	my $who = defined $role ? " user=$role" : '';
	my %session = (in => '', out => '', asked => 0);
	$session{timer} = IPC::Run::timeout(120);
	$session{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-f', '-', '-d', $node->connstr($database // 'postgres') . $who ],
		'<', \$session{in}, '>', \$session{out}, '2>&1', $session{timer});
	return \%session;
}

# Sends statements. Returns their output; with wait => 0 it returns at once, and the next ask() returns that output too.
sub ask
{
	my ($session, $statements, %option) = @_;
	my $marker = 'done ' . ++$session->{asked};
	$session->{in} .= "$statements\n\\echo $marker\n";
	$session->{timer}->start;
	if (!($option{wait} // 1))
	{
		IPC::Run::pump_nb($session->{run});
		return;
	}
	IPC::Run::pump($session->{run}) until $session->{out} =~ /^\Q$marker\E$/m;
	my $answer = $session->{out};
	$session->{out} = '';
	$answer =~ s/^done \d+\n//mg;
	chomp $answer;
	return $answer;
}

# Waits until the session that ran SELECT pg_backend_pid() is idle after a statement that contains this mark, or until the
# condition on pg_stat_activity holds.
sub until_idle_or
{
	my ($node, $pid, $mark, $condition) = @_;
	$node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $pid AND query LIKE '%$mark%' AND (state LIKE 'idle%' OR $condition)")
	  or die "the session is neither idle nor $condition";
	return;
}

# Waits until this many sessions wait for a lock.
sub wait_for_lock
{
	my ($node, $count) = @_;
	$node->poll_query_until('postgres', "SELECT count(*) = $count FROM pg_locks WHERE NOT granted")
	  or die 'nobody waits for a lock';
	return;
}

1;
