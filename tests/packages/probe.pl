# SPDX-License-Identifier: BSD-3-Clause
# What a process may do: tries each thing that is named by an argument, and writes a line "WHAT: ok" or
# "WHAT: why not". Run in place of a service, it tells what the unit of that leaves it.
use strict;
use warnings;
use Socket;

my $loopback = inet_aton('127.0.0.1');

sub bound {
	my ($type, $port) = @_;
	socket(my $socket, AF_INET, $type, 0) or return 0;
	setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
	return bind($socket, pack_sockaddr_in($port, $loopback));
}

sub connected {
	my ($family, $type, $address) = @_;
	socket(my $socket, $family, $type, 0) or return 0;
	return connect($socket, $address);
}

# A connection that no connect(2) makes: 0x20000000 is MSG_FASTOPEN.
sub sent {
	socket(my $socket, AF_INET, SOCK_STREAM, 0) or return 0;
	return send($socket, 'x', 0x20000000, pack_sockaddr_in($_[0], $loopback));
}

my %attempts = (
	'tcp'     => sub { connected(AF_INET, SOCK_STREAM, pack_sockaddr_in($_[0], $loopback)) },
	'udp'     => sub { connected(AF_INET, SOCK_DGRAM, pack_sockaddr_in($_[0], $loopback)) },
	'local'   => sub { connected(AF_UNIX, SOCK_STREAM, pack_sockaddr_un($_[0])) },
	'sent'    => sub { sent($_[0]) },
	'bind'    => sub { bound(SOCK_STREAM, $_[0]) },
	'bindudp' => sub { bound(SOCK_DGRAM, $_[0]) },
	'family'  => sub { socket(my $socket, $_[0], SOCK_RAW, 0) },
	'list'    => sub { opendir(my $directory, $_[0]) },
	'read'    => sub { open(my $file, '<', $_[0]) },
	'write'   => sub { open(my $file, '>>', $_[0]) },
	'signal'  => sub { kill(0, $_[0]) },
);

for my $what (@ARGV) {
	my ($kind, $operand) = split(/:/, $what, 2);
	print "$what: ", ($attempts{$kind}->($operand) ? 'ok' : $!), "\n";
}
