# A throw-away copy of PostgreSQL with version 0.1.0 of the extension, its real library, and versions installed over it.
#
# Its source is kept in test/releases: its base script alone would not show what its library wrote, or how a session that has
# loaded it continues. It is built once for all tests.
package Release;
use strict;
use warnings;
use Exporter 'import';
use File::Path qw(make_path);
use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(old_postgresql old_node lay_over);

my $root = "$FindBin::RealBin/../..";

sub run_or_die
{
	my @command = @_;
	my $out = '';
	IPC::Run::run(\@command, '<', \undef, '>&', \$out) or die "@command: $out";
	chomp $out;
	return $out;
}

# The pg_config of a copy of this PostgreSQL without any version of the extension (see script/lib.sh).
sub copy_postgresql
{
	my ($folder) = @_;
	make_path($folder);
	return run_or_die('bash', '-c',
		'. "$1/script/lib.sh"; CC_WORKSPACE=$2 PG_CONFIG=$(pg_config --bindir)/pg_config; copy_postgresql; echo "$PG_CONFIG"',
		'bash', $root, $folder);
}

sub build
{
	my ($folder) = @_;
	return if -e "$folder/built";
	make_path($folder);
	run_or_die('tar', '-xzf', "$root/test/releases/0.1.0.tar.gz", '-C', $folder);
	my $bin = run_or_die('pg_config', '--bindir');
	run_or_die('make', '-s', '-j2', '-C', $folder, 'with_llvm=no', "PG_CONFIG=$bin/pg_config");
	open my $done, '>', "$folder/built" or die $!;
	close $done;
	return;
}

# The pg_config of a copy with 0.1.0 installed.
sub old_postgresql
{
	my ($name) = @_;
	my $build = "$PostgreSQL::Test::Utils::tmp_check/release-0.1.0";
	build($build);
	my $pg_config = copy_postgresql("$PostgreSQL::Test::Utils::tmp_check/$name");
	run_or_die('make', '-s', '-C', $build, 'with_llvm=no', "PG_CONFIG=$pg_config", 'install');
	return $pg_config;
}

# A running node of that copy.
sub old_node
{
	my ($pg_config, $name, $conf) = @_;
	(my $installation = $pg_config) =~ s{/bin/pg_config$}{};
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => $installation);
	$node->init(extra => [ '--locale=C', '--encoding=UTF8' ]);
	$node->append_conf('postgresql.conf', $conf // '');
	$node->start;
	return $node;
}

# Installs a version over the present one: this version, or '0.1.0'. The running server keeps its open files, as after apt
# upgrade.
sub lay_over
{
	my ($pg_config, $version) = @_;
	my $source = defined $version ? "$PostgreSQL::Test::Utils::tmp_check/release-$version" : $root;
	run_or_die('make', '-s', '-C', $source, 'with_llvm=no', "PG_CONFIG=$pg_config", 'install');
	return;
}

1;
