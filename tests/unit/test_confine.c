/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blockpage/confine.h"

#define AS_IT_SHOULD 99 /* No attempt, and not the status of another program. */
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A socket of loopback that listens; sets its address. */
static int listener(struct sockaddr_in *address)
{
	socklen_t length = sizeof *address;
	int file = socket(AF_INET, SOCK_STREAM, 0);
	*address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	assert_true(file >= 0);
	assert_int_equal(bind(file, (struct sockaddr *)address, sizeof *address), 0);
	assert_int_equal(listen(file, 1), 0);
	assert_int_equal(getsockname(file, (struct sockaddr *)address, &length), 0);
	return file;
}

static int make_socket(int family, int type)
{
	int file = socket(family, type, 0);
	int error = errno;
	if (file >= 0) {
		close(file);
	}
	errno = error;
	return file;
}

static int tcp(void)
{
	return make_socket(AF_INET, SOCK_STREAM);
}

static int udp(void)
{
	return make_socket(AF_INET6, SOCK_DGRAM);
}

static int netlink(void)
{
	return make_socket(AF_NETLINK, SOCK_RAW);
}

static int local(void)
{
	return make_socket(AF_UNIX, SOCK_DGRAM);
}

/* Made before: it may be used as what it is, but leads nowhere. */
static int early = -1;

static int connect_early(void)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	if (getsockname(early, (struct sockaddr *)&address, &length) != 0) {
		return -1;
	}
	int file = dup(early);
	int rc = connect(file, (struct sockaddr *)&address, sizeof address);
	int error = errno;
	close(file);
	errno = error;
	return rc;
}

/* Sends, and so connects, by each of the calls that can. */
enum sending { BY_SENDTO, BY_SENDMSG, BY_SENDMMSG };

static int send_by(enum sending call, int file, int flags, struct sockaddr_in *address)
{
	char octet = 'x';
	struct iovec piece = {&octet, 1};
	struct mmsghdr one = {.msg_hdr = {
				      .msg_name = address,
				      .msg_namelen = address != NULL ? sizeof *address : 0,
				      .msg_iov = &piece,
				      .msg_iovlen = 1,
			      }};
	switch (call) {
	case BY_SENDTO:
		return (int)sendto(file, &octet, 1, flags, (struct sockaddr *)address,
			one.msg_hdr.msg_namelen);
	case BY_SENDMSG:
		return (int)sendmsg(file, &one.msg_hdr, flags);
	default:
		return sendmmsg(file, &one, 1, flags);
	}
}

/* What no longer listens can connect; `target` does. */
static int stopped = -1;
static int target = -1;

static int connect_by(enum sending call)
{
	struct sockaddr_in address;
	socklen_t length = sizeof address;
	if (getsockname(target, (struct sockaddr *)&address, &length) != 0) {
		return -1;
	}
	/* It fails from the second time on. */
	(void)shutdown(stopped, SHUT_RDWR);
	return send_by(call, stopped, MSG_FASTOPEN, &address);
}

static int connect_by_sendto(void)
{
	return connect_by(BY_SENDTO);
}

static int connect_by_sendmsg(void)
{
	return connect_by(BY_SENDMSG);
}

static int connect_by_sendmmsg(void)
{
	return connect_by(BY_SENDMMSG);
}

static int run_program(void)
{
	char *const words[] = {"true", NULL};
	return execv("/bin/true", words);
}

static int ring(void)
{
	char parameters[256] = {0};
	return (int)syscall(SYS_io_uring_setup, 1, parameters);
}

static int accept_one(void)
{
	int file = accept(early, NULL, NULL);
	char octet;
	bool done = file >= 0 && read(file, &octet, 1) == 1 &&
		    send_by(BY_SENDTO, file, MSG_NOSIGNAL, NULL) == 1 &&
		    send_by(BY_SENDMSG, file, MSG_NOSIGNAL, NULL) == 1;
	close(file);
	return done ? 0 : -1;
}

static const struct {
	const char *shows;
	int (*attempt)(void);
	bool allowed;
} attempts[] = {
	{"no TCP socket, to connect or to listen", tcp, false},
	{"no UDP socket", udp, false},
	{"no netlink socket", netlink, false},
	{"no connection", connect_early, false},
	{"no connection by sendto", connect_by_sendto, false},
	{"no connection by sendmsg", connect_by_sendmsg, false},
	{"no connection by sendmmsg", connect_by_sendmmsg, false},
	{"no other program", run_program, false},
	{"no way around", ring, false},
	{"a local socket", local, true},
	{"a visitor", accept_one, true},
};

/* In a process of its own, as it can't be taken back; its status is the attempt that went wrong. */
static int confined(void)
{
	icp_diag_t diag = {""};
	if (icp_confine(&diag) != ICP_EOK) {
		return 0;
	}
	for (size_t i = 0; i < COUNT(attempts); i++) {
		errno = 0;
		bool done = attempts[i].attempt() >= 0;
		if (done != attempts[i].allowed || (!done && errno != EPERM)) {
			return (int)i + 1;
		}
	}
	return AS_IT_SHOULD;
}

static void test_confined(void **state)
{
	(void)state;
	struct sockaddr_in address;
	int status;
	char octet = 'x';
	target = listener(&address);
	stopped = listener(&address);
	early = listener(&address);
	int visitor = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(visitor, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(write(visitor, &octet, 1), 1);
	pid_t child = fork();
	if (child == 0) {
		_exit(confined());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	int failed = WEXITSTATUS(status);
	if (failed != AS_IT_SHOULD) {
		fail_msg("%s", failed == 0 ? "not confined" : attempts[failed - 1].shows);
	}
	assert_int_equal(read(visitor, &octet, 1), 1);
	close(visitor);
	close(early);
	close(stopped);
	close(target);
	/* It is the child's alone. */
	assert_true(tcp() >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_confined),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
