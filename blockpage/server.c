/* SPDX-License-Identifier: BSD-3-Clause */
#include "blockpage/server.h"

#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define HEAD_MAX 16384              /*!< Octets of a request's line and headers. */
#define BODY_MAX 65536              /*!< Octets of a body that is read, and thrown away. */
#define BACKLOG 1024                /*!< Connections that wait to be accepted. */
#define PORT_DEFAULT 80             /*!< Of the block addresses. */
#define FILES_SPARE ((size_t)64)    /*!< Descriptors that are not for connections. */
#define FILES_MAX ((rlim_t)1 << 17) /*!< Descriptors that are ever needed. */

/*! A connection; its place in the list is the number of its descriptor. */
typedef struct {
	struct evhttp_connection *http; /*!< NULL: there is none. */
	int64_t until;                  /*!< Seconds; when its time is over. */
	int earlier, later;             /*!< In the row; -1: nobody. */
} connection_t;

struct icp_server {
	struct event_base *base;
	struct evhttp *http;
	struct event *clock;
	struct event *arrival;
	struct bufferevent **fresh; /*!< That came since the last look. */
	size_t fresh_count;
	size_t fresh_capacity;
	connection_t *connections;
	size_t size;      /*!< Of the list. */
	int first, last;  /*!< Of the row; -1: nobody. */
	uint32_t open;    /*!< Connections in the row. */
	uint32_t most;    /*!< That may be. */
	uint32_t timeout; /*!< Seconds. */
	icp_service_of_t service_of;
	void *context;
};

static int64_t seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec;
}

static void leave_row(icp_server_t *server, int number)
{
	const connection_t *connection = &server->connections[number];
	if (connection->earlier >= 0) {
		server->connections[connection->earlier].later = connection->later;
	} else {
		server->first = connection->later;
	}
	if (connection->later >= 0) {
		server->connections[connection->later].earlier = connection->earlier;
	} else {
		server->last = connection->earlier;
	}
	server->open--;
}

/*! Goes to the row's end, with all its time before it. */
static void join_row(icp_server_t *server, int number)
{
	connection_t *connection = &server->connections[number];
	connection->until = seconds() + server->timeout;
	connection->earlier = server->last;
	connection->later = -1;
	if (server->last >= 0) {
		server->connections[server->last].later = number;
	} else {
		server->first = number;
	}
	server->last = number;
	server->open++;
}

static int number_of(const icp_server_t *server, struct bufferevent *buffers)
{
	int number = bufferevent_getfd(buffers);
	return number >= 0 && (size_t)number < server->size ? number : -1;
}

static void on_close(struct evhttp_connection *http, void *context)
{
	icp_server_t *server = context;
	int number = number_of(server, evhttp_connection_get_bufferevent(http));
	if (number >= 0 && server->connections[number].http == http) {
		leave_row(server, number);
		server->connections[number].http = NULL;
	}
}

static void close_first(icp_server_t *server)
{
	/* Calls on_close. */
	evhttp_connection_free(server->connections[server->first].http);
}

/*! Called for a connection that was accepted, which libevent will know only when this returned. */
static struct bufferevent *on_accept(struct event_base *base, void *context)
{
	icp_server_t *server = context;
	if (server->fresh_count == server->fresh_capacity) {
		size_t capacity = 2 * server->fresh_capacity + 64;
		struct bufferevent **fresh =
			realloc(server->fresh, capacity * sizeof(struct bufferevent *));
		if (fresh == NULL) {
			return NULL;
		}
		server->fresh = fresh;
		server->fresh_capacity = capacity;
	}
	struct bufferevent *buffers = bufferevent_socket_new(base, -1, 0);
	if (buffers != NULL) {
		bufferevent_incref(buffers);
		server->fresh[server->fresh_count++] = buffers;
		event_active(server->arrival, EV_TIMEOUT, 0);
	}
	return buffers;
}

/*!
 * Puts a new connection into the row. libevent tells of it only with its first request, for which
 * some clients let others wait; but it is what the callbacks of its bufferevent are called with.
 */
static void take_arrival(icp_server_t *server, struct bufferevent *buffers)
{
	bufferevent_data_cb on_read;
	void *http = NULL;
	bufferevent_getcb(buffers, &on_read, NULL, NULL, &http);
	int number = number_of(server, buffers);
	if (on_read == NULL || http == NULL) {
		return;
	}
	if (number < 0) {
		evhttp_connection_free(http);
		return;
	}
	if (server->connections[number].http != NULL) {
		leave_row(server, number); /* libevent did not tell of its end. */
	}
	evhttp_connection_set_closecb(http, on_close, server);
	server->connections[number].http = http;
	join_row(server, number);
	if (server->open > server->most) {
		close_first(server);
	}
}

static void on_arrival(evutil_socket_t file, short events, void *context)
{
	icp_server_t *server = context;
	(void)file;
	(void)events;
	for (size_t i = 0; i < server->fresh_count; i++) {
		take_arrival(server, server->fresh[i]);
		bufferevent_decref(server->fresh[i]);
	}
	server->fresh_count = 0;
}

static void on_clock(evutil_socket_t file, short events, void *context)
{
	icp_server_t *server = context;
	(void)file;
	(void)events;
	int64_t now = seconds();
	while (server->first >= 0 && server->connections[server->first].until <= now) {
		close_first(server);
	}
}

static void on_request(struct evhttp_request *request, void *context)
{
	icp_server_t *server = context;
	struct evhttp_connection *http = evhttp_request_get_connection(request);
	struct bufferevent *buffers = evhttp_connection_get_bufferevent(http);
	int number = number_of(server, buffers);
	if (number >= 0 && server->connections[number].http == http) {
		leave_row(server, number);
		join_row(server, number);
	}
	icp_service_answer(server->service_of(server->context), request);
	/* libevent drops an answer when it reads that the client will send no more. It goes on
	 * reading when the answer is sent. */
	bufferevent_disable(buffers, EV_READ);
}

static socklen_t fill_address(const icp_endpoint_t *endpoint, struct sockaddr_storage *storage)
{
	memset(storage, 0, sizeof *storage);
	if (endpoint->address.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)(void *)storage;
		in->sin_family = AF_INET;
		in->sin_port = htons(endpoint->port);
		memcpy(&in->sin_addr, endpoint->address.bytes, sizeof in->sin_addr);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)storage;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(endpoint->port);
	memcpy(&in6->sin6_addr, endpoint->address.bytes, sizeof in6->sin6_addr);
	return sizeof *in6;
}

static int listen_at(icp_server_t *server, const icp_endpoint_t *endpoint, icp_diag_t *diag)
{
	struct sockaddr_storage address;
	char text[ICP_ENDPOINT_TEXT_MAX];
	int on = 1;
	socklen_t length = fill_address(endpoint, &address);
	unsigned flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE |
			 (endpoint->address.family == 6 ? LEV_OPT_BIND_IPV6ONLY : 0);
	icp_endpoint_format(endpoint, text);
	struct evconnlistener *listener = evconnlistener_new_bind(server->base, NULL, NULL, flags,
		BACKLOG, (const struct sockaddr *)&address, (int)length);
	if (listener == NULL) {
		return icp_fail(diag, ICP_ESYS, "%s: %s", text, strerror(errno));
	}
	/* Connections inherit it. An answer's last piece shall not wait for an acknowledgement. */
	(void)setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (evhttp_bind_listener(server->http, listener) == NULL) {
		evconnlistener_free(listener);
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", text);
	}
	return ICP_EOK;
}

static int listen_all(icp_server_t *server, const icp_config_t *config, icp_diag_t *diag)
{
	int ret = ICP_EOK;
	for (size_t i = 0; i < config->blockpage.listen_count && ret == ICP_EOK; i++) {
		ret = listen_at(server, &config->blockpage.listen[i], diag);
	}
	if (config->blockpage.listen_count > 0) {
		return ret;
	}
	icp_endpoint_t endpoint = {.address = config->block.ipv4, .port = PORT_DEFAULT};
	ret = listen_at(server, &endpoint, diag);
	endpoint.address = config->block.ipv6;
	return ret == ICP_EOK && endpoint.address.family != 0 ? listen_at(server, &endpoint, diag)
							      : ret;
}

/*!
 * Allows this process as many files as it needs, and takes no more connections than it may have.
 * What comes at once is accepted at once, and closed then: any number may be that of a connection.
 */
static int make_room(icp_server_t *server, const icp_config_t *config, icp_diag_t *diag)
{
	struct rlimit limit;
	rlim_t wanted = config->blockpage.connections + FILES_SPARE;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		return icp_fail(diag, ICP_ESYS, "limit of open files: %s", strerror(errno));
	}
	rlim_t files = limit.rlim_cur < wanted ? wanted : limit.rlim_cur;
	files = files < FILES_MAX ? files : FILES_MAX;
	limit.rlim_cur = files < limit.rlim_max ? files : limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < 2 * FILES_SPARE) {
		return icp_fail(diag, ICP_ESYS, "no more than %llu files may be open",
			(unsigned long long)limit.rlim_cur);
	}
	server->size = (size_t)limit.rlim_cur;
	server->most = config->blockpage.connections;
	if (server->most > server->size - FILES_SPARE) {
		server->most = (uint32_t)(server->size - FILES_SPARE);
	}
	server->connections = calloc(server->size, sizeof *server->connections);
	return server->connections != NULL ? ICP_EOK : icp_fail(diag, ICP_ENOMEM, "out of memory");
}

static int prepare(icp_server_t *server, icp_diag_t *diag)
{
	const struct timeval second = {.tv_sec = 1};
	server->http = evhttp_new(server->base);
	server->arrival = event_new(server->base, -1, 0, on_arrival, server);
	server->clock = event_new(server->base, -1, EV_PERSIST, on_clock, server);
	if (server->http == NULL || server->arrival == NULL || server->clock == NULL ||
		event_add(server->clock, &second) != 0) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	evhttp_set_max_headers_size(server->http, HEAD_MAX);
	evhttp_set_max_body_size(server->http, BODY_MAX);
	/* Also those that libevent does not know: whatever is asked for gets the page. */
	evhttp_set_allowed_methods(server->http, UINT16_MAX);
	evhttp_set_bevcb(server->http, on_accept, server);
	evhttp_set_gencb(server->http, on_request, server);
	return ICP_EOK;
}

int icp_server_open(icp_server_t **server, struct event_base *base, const icp_config_t *config,
	icp_service_of_t service_of, void *context, icp_diag_t *diag)
{
	icp_server_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	new->base = base;
	new->first = -1;
	new->last = -1;
	new->timeout = config->blockpage.timeout;
	new->service_of = service_of;
	new->context = context;
	int ret = make_room(new, config, diag);
	if (ret == ICP_EOK) {
		ret = prepare(new, diag);
	}
	if (ret == ICP_EOK) {
		ret = listen_all(new, config, diag);
	}
	if (ret != ICP_EOK) {
		icp_server_close(new);
		return ret;
	}
	*server = new;
	return ICP_EOK;
}

void icp_server_close(icp_server_t *server)
{
	if (server == NULL) {
		return;
	}
	for (size_t i = 0; i < server->fresh_count; i++) {
		bufferevent_decref(server->fresh[i]);
	}
	if (server->http != NULL) {
		evhttp_free(server->http);
	}
	if (server->arrival != NULL) {
		event_free(server->arrival);
	}
	if (server->clock != NULL) {
		event_free(server->clock);
	}
	free(server->fresh);
	free(server->connections);
	free(server);
}
