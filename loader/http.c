/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "core/fault.h"
#include "loader/health.h"
#include "loader/metrics.h"
#include "loader/state_json.h"

#define SWEEP_MS 100
#define IDLE_SECONDS 5 /*!< Without an octet. */
#define BACKLOG 1024   /*!< A queue that is full makes clients wait for a second or more. */

/*!
 * A connection of evhttp, which knows no limit to their number or to their life. A reference to its
 * bufferevent is held, so that it stays valid; evhttp takes its callbacks away when it is done.
 */
typedef struct {
	struct bufferevent *stream;
	int64_t began; /*!< Milliseconds. */
} connection_t;

struct icp_http {
	struct event_base *base;
	const char *store;
	const icp_config_t *config;
	const icp_daemon_state_t *state;
	struct evhttp *server;
	struct evconnlistener *listener; /*!< The server's. */
	struct event *sweep;             /*!< Pending while there are connections. */
	struct event *resume;            /*!< Lets the listener go on. */
	connection_t connections[ICP_HTTP_CONNECTIONS_MAX]; /*!< The oldest first. */
	size_t count;
	icp_readers_memory_t readers;
	bool guarded;
};

static int64_t now_ms(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static bool is_over(struct bufferevent *stream)
{
	bufferevent_data_cb read;
	bufferevent_event_cb event;
	bufferevent_getcb(stream, &read, NULL, &event, NULL);
	return read == NULL && event == NULL;
}

/*! evhttp finds the end of the stream, and frees what is its own. */
static void end_stream(struct bufferevent *stream)
{
	shutdown(bufferevent_getfd(stream), SHUT_RDWR);
}

/*! Forgets connections that are over, and ends those that have had their time. */
static void sweep(icp_http_t *http)
{
	const int64_t now = now_ms();
	size_t kept = 0;
	for (size_t i = 0; i < http->count; i++) {
		connection_t *connection = &http->connections[i];
		if (is_over(connection->stream)) {
			bufferevent_decref(connection->stream);
			continue;
		}
		if (now - connection->began > ICP_HTTP_SECONDS * INT64_C(1000)) {
			end_stream(connection->stream);
		}
		http->connections[kept++] = *connection;
	}
	http->count = kept;
}

static void on_sweep(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	icp_http_t *http = context;
	sweep(http);
	if (http->count == 0) {
		event_del(http->sweep);
	}
}

static void on_resume(evutil_socket_t fd, short events, void *context)
{
	(void)fd;
	(void)events;
	icp_http_t *http = context;
	evconnlistener_enable(http->listener);
}

/*! Makes room for one. Who asks in earnest is answered in a moment; so the oldest did not, and
 * goes. The next one is let in when the loop has seen to the rest, as streams are freed there. */
static void make_room(icp_http_t *http)
{
	static const struct timeval now = {.tv_usec = 0};
	sweep(http);
	if (http->count == ICP_HTTP_CONNECTIONS_MAX) {
		end_stream(http->connections[0].stream);
		bufferevent_decref(http->connections[0].stream);
		http->count--;
		memmove(http->connections, http->connections + 1,
			http->count * sizeof *http->connections);
		evconnlistener_disable(http->listener);
		event_add(http->resume, &now);
	}
}

/*! Makes the stream of a connection that was accepted. */
static struct bufferevent *on_accept(struct event_base *base, void *context)
{
	static const struct timeval period = {.tv_usec = SWEEP_MS * 1000L};
	icp_http_t *http = context;
	struct bufferevent *stream = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);
	if (stream == NULL) {
		return NULL;
	}
	if (http->count == ICP_HTTP_CONNECTIONS_MAX) {
		make_room(http);
	}
	bufferevent_incref(stream);
	http->connections[http->count++] = (connection_t){stream, now_ms()};
	if (!event_pending(http->sweep, EV_TIMEOUT, NULL)) {
		event_add(http->sweep, &period);
	}
	return stream;
}

/*! What an answer is made of. */
typedef struct {
	const char *type;
	bool domains; /*!< The list of blocked domains is in it. */
	/*! Writes the body; returns the status, or 0 for lack of memory. */
	int (*write)(const icp_observed_t *observed, FILE *out);
} page_t;

static int write_metrics(const icp_observed_t *observed, FILE *out)
{
	icp_metrics_print(observed, out);
	return HTTP_OK;
}

static int write_health(const icp_observed_t *observed, FILE *out)
{
	icp_health_print(observed, out);
	return icp_health_problems(observed) == 0 ? HTTP_OK : HTTP_SERVUNAVAIL;
}

static int write_status(const icp_observed_t *observed, FILE *out)
{
	json_t *value = icp_observed_json(observed);
	int done = value != NULL ? json_dumpf(value, out, JSON_REAL_PRECISION(6)) : -1;
	json_decref(value);
	fputc('\n', out);
	return done == 0 ? HTTP_OK : 0;
}

static const page_t metrics_page = {ICP_METRICS_TYPE, false, write_metrics};
static const page_t health_page = {"text/plain; charset=utf-8", false, write_health};
static const page_t status_page = {"application/json", true, write_status};

/*! Makes the body; returns the status, or 0 for lack of memory. */
static int make_body(icp_http_t *http, const page_t *page, char **body, size_t *length)
{
	icp_observed_t observed;
	FILE *out = open_memstream(body, length);
	if (out == NULL) {
		return 0;
	}
	icp_observe(&observed, http->store, http->config, http->state, &http->readers,
		(int64_t)time(NULL), page->domains);
	int status = page->write(&observed, out);
	icp_observed_deinit(&observed);
	return fclose(out) == 0 ? status : 0;
}

static void answer(icp_http_t *http, struct evhttp_request *request, const page_t *page)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	char *body = NULL;
	size_t length = 0;
	char length_text[24];
	int status = make_body(http, page, &body, &length);
	/* evhttp leaves it out of the answer to HEAD, as it does the body. */
	snprintf(length_text, sizeof length_text, "%zu", length);
	struct evbuffer *buffer = evhttp_request_get_output_buffer(request);
	if (status == 0 || evbuffer_add(buffer, body, length) != 0 ||
		evhttp_add_header(headers, "Content-Type", page->type) != 0 ||
		evhttp_add_header(headers, "Content-Length", length_text) != 0 ||
		evhttp_add_header(headers, "Cache-Control", "no-store") != 0 ||
		evhttp_add_header(headers, "X-Content-Type-Options", "nosniff") != 0 ||
		evhttp_add_header(headers, "Connection", "close") != 0) {
		evhttp_send_error(request, HTTP_INTERNAL, NULL);
	} else {
		evhttp_send_reply(
			request, status, status == HTTP_OK ? "OK" : "Service Unavailable", NULL);
	}
	free(body);
}

static void on_metrics(struct evhttp_request *request, void *context)
{
	answer(context, request, &metrics_page);
}

static void on_health(struct evhttp_request *request, void *context)
{
	answer(context, request, &health_page);
}

static void on_status(struct evhttp_request *request, void *context)
{
	answer(context, request, &status_page);
}

static void on_other(struct evhttp_request *request, void *context)
{
	(void)context;
	evhttp_send_error(request, HTTP_NOTFOUND, NULL);
}

static bool is_loopback(const icp_address_t *address)
{
	static const uint8_t v6[16] = {[15] = 1};
	return address->family == 4 ? address->bytes[0] == 127
				    : memcmp(address->bytes, v6, sizeof v6) == 0;
}

static socklen_t to_socket_address(const icp_endpoint_t *endpoint, struct sockaddr_storage *to)
{
	memset(to, 0, sizeof *to);
	if (endpoint->address.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)to;
		in->sin_family = AF_INET;
		in->sin_port = htons(endpoint->port);
		memcpy(&in->sin_addr, endpoint->address.bytes, sizeof in->sin_addr);
		return sizeof *in;
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)to;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(endpoint->port);
	memcpy(&in6->sin6_addr, endpoint->address.bytes, sizeof in6->sin6_addr);
	return sizeof *in6;
}

static int listen_at(icp_http_t *http, icp_diag_t *diag)
{
	const icp_endpoint_t *endpoint = &http->config->daemon.http;
	struct sockaddr_storage address;
	char text[ICP_ENDPOINT_TEXT_MAX];
	icp_endpoint_format(endpoint, text);
	if (!is_loopback(&endpoint->address)) {
		return icp_fail(diag, ICP_ECONFIG,
			"daemon.http: %s is not a loopback address; 127.0.0.0/8 and ::1 are allowed",
			text);
	}
	socklen_t length = to_socket_address(endpoint, &address);
	http->listener = evconnlistener_new_bind(http->base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE, BACKLOG,
		(struct sockaddr *)&address, (int)length);
	if (http->listener == NULL) {
		return icp_fail(diag, ICP_ESYS, "daemon.http: %s: %s", text, strerror(errno));
	}
	if (evhttp_bind_listener(http->server, http->listener) == NULL) {
		evconnlistener_free(http->listener);
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	return ICP_EOK;
}

static int make_server(icp_http_t *http, icp_diag_t *diag)
{
	http->server = evhttp_new(http->base);
	http->sweep = event_new(http->base, -1, EV_PERSIST, on_sweep, http);
	http->resume = event_new(http->base, -1, 0, on_resume, http);
	if (http->server == NULL || http->sweep == NULL || http->resume == NULL ||
		evhttp_set_cb(http->server, "/metrics", on_metrics, http) != 0 ||
		evhttp_set_cb(http->server, "/healthz", on_health, http) != 0 ||
		evhttp_set_cb(http->server, "/status", on_status, http) != 0) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	evhttp_set_gencb(http->server, on_other, NULL);
	evhttp_set_bevcb(http->server, on_accept, http);
	evhttp_set_allowed_methods(http->server, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_max_headers_size(http->server, ICP_HTTP_HEAD_MAX);
	evhttp_set_max_body_size(http->server, 0);
	evhttp_set_timeout(http->server, IDLE_SECONDS);
	return listen_at(http, diag);
}

int icp_http_open(icp_http_t **http, struct event_base *base, const char *store,
	const icp_config_t *config, const icp_daemon_state_t *state, icp_diag_t *diag)
{
	*http = NULL;
	if (config->daemon.http.address.family == 0) {
		return ICP_EOK;
	}
	icp_http_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	new->base = base;
	new->store = store;
	new->config = config;
	new->state = state;
	new->guarded = icp_fault_install() == ICP_EOK;
	int ret = new->guarded ? make_server(new, diag)
			       : icp_fail(diag, ICP_ESYS, "SIGBUS can't be handled");
	if (ret != ICP_EOK) {
		icp_http_close(new);
		return ret;
	}
	/* A client that goes away before it has its answer. */
	signal(SIGPIPE, SIG_IGN);
	*http = new;
	return ICP_EOK;
}

void icp_http_close(icp_http_t *http)
{
	if (http == NULL) {
		return;
	}
	if (http->server != NULL) {
		evhttp_free(http->server);
	}
	for (size_t i = 0; i < http->count; i++) {
		bufferevent_decref(http->connections[i].stream);
	}
	if (http->sweep != NULL) {
		event_free(http->sweep);
	}
	if (http->resume != NULL) {
		event_free(http->resume);
	}
	if (http->guarded) {
		icp_fault_uninstall();
	}
	free(http);
}
