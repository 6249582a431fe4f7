/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool take_number(const char *text, uint64_t *number)
{
	char *end;
	if (text == NULL || *text < '0' || *text > '9') {
		return false;
	}
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

/*! Connects to the socket; a name that begins with "@" is an abstract one. */
static int connect_to(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(name);
	if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof address.sun_path) {
		return -1;
	}
	memcpy(address.sun_path, name, length);
	if (name[0] == '@') {
		address.sun_path[0] = '\0';
	}
	int file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	if (file >= 0 && connect(file, (const struct sockaddr *)&address, size) != 0) {
		close(file);
		file = -1;
	}
	return file;
}

void icp_notify_open(icp_notify_t *notify, uint64_t pid)
{
	uint64_t watched;
	const char *name = getenv("NOTIFY_SOCKET");
	const char *for_pid = getenv("WATCHDOG_PID");
	*notify = (icp_notify_t){.socket = name != NULL ? connect_to(name) : -1};
	if (notify->socket >= 0 &&
		(for_pid == NULL || (take_number(for_pid, &watched) && watched == pid)) &&
		!take_number(getenv("WATCHDOG_USEC"), &notify->watchdog_us)) {
		notify->watchdog_us = 0;
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
}

void icp_notify_close(icp_notify_t *notify)
{
	if (notify->socket >= 0) {
		close(notify->socket);
	}
	*notify = (icp_notify_t){.socket = -1};
}

void icp_notify(const icp_notify_t *notify, const char *format, ...)
{
	char message[ICP_NOTIFY_MAX];
	va_list arguments;
	if (notify->socket < 0) {
		return;
	}
	va_start(arguments, format);
	int length = vsnprintf(message, sizeof message, format, arguments);
	va_end(arguments);
	if (length > 0) {
		(void)send(notify->socket, message,
			(size_t)length < sizeof message ? (size_t)length : sizeof message - 1,
			MSG_NOSIGNAL);
	}
}
