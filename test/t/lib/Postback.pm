# What the TAP tests share: a node with the extension and a project, and psql sessions that go on in the background.
package Postback;
use strict;
use warnings;
use Exporter 'import';
use IPC::Run ();
use PostgreSQL::Test::Cluster;

our @EXPORT = qw(start_node session ask wait_for_lock);

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

# A psql that stays: give it statements with ask().
sub session
{
	my ($node, $database) = @_;
	my %session = (in => '', out => '', asked => 0);
	$session{timer} = IPC::Run::timeout(120);
	$session{run} = IPC::Run::start(
		[ 'psql', '-XAtq', '-f', '-', '-d', $node->connstr($database // 'postgres') ],
		'<', \$session{in}, '>', \$session{out}, '2>&1', $session{timer});
	return \%session;
}

# Sends statements. Returns what they print, or with wait => 0 at once: then the next ask() returns that too.
sub ask
{
	my ($session, $statements, %option) = @_;
	my $marker = 'done ' . ++$session->{asked};
	$session->{in} .= "$statements\n\\echo $marker\n";
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

# Until so many sessions wait for a lock.
sub wait_for_lock
{
	my ($node, $count) = @_;
	$node->poll_query_until('postgres', "SELECT count(*) = $count FROM pg_locks WHERE NOT granted")
	  or die 'nobody waits for a lock';
	return;
}

1;
