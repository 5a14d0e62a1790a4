# Each document X.ru.md is the Russian edition of X.md: the same code blocks, headings of the same levels, tables of the same size, and
# links to the same places. Only the English edition has the tables of figures, which each measurement changes.
use strict;
use utf8;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/lib";
use Document;
use PostgreSQL::Test::Utils;
use Test::More;

my $root = "$FindBin::RealBin/../..";

# One line for each block, heading, table and link, in order of kind.
sub outline
{
	my ($text) = @_;
	my @outline = map { "block $_->{language} <$_->{note}>\n$_->{code}" } code_blocks($text);
	push @outline, map { "heading $_->[0]" } headings($text);
	$text =~ s/^```.*?^```$//msg;
	(my $tables = $text) =~ s/^## (?:Performance|Производительность)\n.*?(?=^## )//ms;
	push @outline, 'table of ' . (() = $1 =~ /\n/g) . ' rows' while $tables =~ /((?:^\|.*\n)+)/mg;
	my @links = $text =~ /\]\(([^)]*)\)/g;
	s/#.*//, s/\.ru\.(?=md|svg)/./, s/-ru\./-en./ for @links;
	push @outline, map { "link $_" } sort grep { !/^README/ } @links;
	return @outline;
}

my @russian = map { s/^\Q$root\E\///r } glob("$root/*.ru.md $root/docs/*.ru.md");
ok((grep { $_ eq 'README.ru.md' } @russian), 'there is a Russian README');
for my $file (@russian)
{
	my ($english, $russian) = map { my $text = slurp_file("$root/$_"); utf8::decode($text); $text } $file =~ s/\.ru\.md$/.md/r, $file;
	my @have = outline($russian);
	is_deeply(\@have, [ outline($english) ], "$file has the blocks, headings, tables and links of the English edition");
	my %anchors = anchors($russian);
	is_deeply([ grep { !$anchors{$_} } $russian =~ /\]\(#([^)]*)\)/g ], [], "$file: no link within it is broken");
	# An edition that nobody translated would pass as well.
	my @letters = $russian =~ /\p{Cyrillic}/g;
	cmp_ok(scalar @letters, '>', length($russian) / 8, "$file is in Russian");
}
done_testing();
