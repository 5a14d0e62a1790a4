# A Markdown document as its headings and code blocks.
package Document;
use strict;
use warnings;
use Exporter 'import';
use PostgreSQL::Test::Utils;

our @EXPORT = qw(headings code_blocks anchors);

# The levels and texts of the headings: [ '##', 'Text' ].
sub headings
{
	my ($text) = @_;
	$text =~ s/^```.*?^```$//msg;
	my @headings;
	push @headings, [ $1, $2 ] while $text =~ /^(#+) (.*)$/mg;
	return @headings;
}

# The code blocks in order: language ('' for none), code, and the comment on the line before it.
sub code_blocks
{
	my ($text) = @_;
	my @blocks;
	push @blocks, { note => $1 // '', language => $2, code => $3 } while $text =~ /^(?:<!-- ([^\n]*) -->\n)?```(\w*)\n(.*?)^```$/msg;
	return @blocks;
}

# The anchors that GitHub makes of the headings.
sub anchors
{
	my ($text) = @_;
	return map { (my $anchor = lc $_->[1]) =~ s/[^\w\- ]//g; $anchor =~ tr/ /-/; $anchor => 1 } headings($text);
}

1;
