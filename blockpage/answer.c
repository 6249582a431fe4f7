/* SPDX-License-Identifier: BSD-3-Clause */
/*! From a request to its answer: the page, a verdict, or what is wrong with the request. */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <time.h>

#include "blockpage/service.h"

#define STATUS_BLOCKED 451 /*!< RFC 7725. */
#define STATUS_BLOCKED_TEXT "Unavailable For Legal Reasons"
#define STATUS_BUSY 429
#define LENGTH_MAX 24

static void add(struct evhttp_request *request, const char *key, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), key, value);
}

static void add_close(struct evhttp_request *request)
{
	struct evkeyvalq *output = evhttp_request_get_output_headers(request);
	if (evhttp_find_header(output, "Connection") == NULL) {
		add(request, "Connection", "close");
	}
}

/*! What all answers bear. */
static void add_common(struct evhttp_request *request, const char *type)
{
	struct evkeyvalq *input = evhttp_request_get_input_headers(request);
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	add(request, "Content-Type", type);
	add(request, "X-Content-Type-Options", "nosniff");
	add(request, "Referrer-Policy", "no-referrer");
	/* What may come as a body is not worth finding the next request behind it. */
	if ((method != EVHTTP_REQ_GET && method != EVHTTP_REQ_HEAD) ||
		evhttp_find_header(input, "Content-Length") != NULL ||
		evhttp_find_header(input, "Transfer-Encoding") != NULL) {
		add_close(request);
	}
}

/*! Sends what stands in the buffer; to HEAD its length alone. */
static void send_answer(
	struct evhttp_request *request, int status, const char *reason, struct evbuffer *body)
{
	char length[LENGTH_MAX];
	snprintf(length, sizeof length, "%zu", evbuffer_get_length(body));
	add(request, "Content-Length", length);
	bool head = evhttp_request_get_command(request) == EVHTTP_REQ_HEAD;
	evhttp_send_reply(request, status, reason, head ? NULL : body);
}

static void send_text(struct evhttp_request *request, int status, const char *reason,
	const char *type, const char *text)
{
	struct evbuffer *body = evbuffer_new();
	add_common(request, type);
	add(request, "Content-Security-Policy", "default-src 'none'");
	add(request, "Cache-Control", "no-store");
	if (body == NULL || evbuffer_add(body, text, strlen(text)) != 0) {
		evhttp_send_reply(request, HTTP_INTERNAL, "Internal Server Error", NULL);
	} else {
		send_answer(request, status, reason, body);
	}
	if (body != NULL) {
		evbuffer_free(body);
	}
}

static void send_bad(struct evhttp_request *request, const char *text)
{
	/* The version is what the client says, and goes into the answer. */
	request->major = 1;
	request->minor = 1;
	add_close(request);
	send_text(request, HTTP_BADREQUEST, "Bad Request", "text/plain; charset=utf-8", text);
}

static void send_page(struct evhttp_request *request, const icp_service_t *service,
	enum icp_language language, const icp_finding_t *finding)
{
	icp_value_t values[ICP_PAGE_VALUE_COUNT];
	struct evbuffer_iovec room;
	const icp_site_t *site = service->site;
	const icp_page_t *page = icp_site_page(site, language, finding, values);
	struct evbuffer *body = evbuffer_new();
	size_t size = icp_template_room(page->settled, values);
	if (body == NULL || evbuffer_reserve_space(body, (ev_ssize_t)size + 1, &room, 1) != 1) {
		evhttp_send_reply(request, HTTP_INTERNAL, "Internal Server Error", NULL);
		if (body != NULL) {
			evbuffer_free(body);
		}
		return;
	}
	room.iov_len = icp_template_render(page->settled, values, room.iov_base);
	evbuffer_commit_space(body, &room, 1);
	add_common(request, "text/html; charset=utf-8");
	add(request, "Content-Language", language == ICP_ZH ? "zh-CN" : "en");
	add(request, "Vary", "Accept-Language");
	add(request, "Link", site->link);
	add(request, "Cache-Control",
		finding->kind == ICP_CASE_PERMITTED || finding->kind == ICP_CASE_UNREADABLE
			? "no-store"
			: site->cache);
	add(request, "Content-Security-Policy", page->policy);
	send_answer(request, STATUS_BLOCKED, STATUS_BLOCKED_TEXT, body);
	evbuffer_free(body);
}

static int64_t milliseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_loopback(const struct sockaddr *from)
{
	if (from->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;
		return ntohl(in->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	}
	if (from->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const struct sockaddr_in6 *)(const void *)from;
		return IN6_IS_ADDR_LOOPBACK(&in->sin6_addr) ||
		       (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr) &&
			       in->sin6_addr.s6_addr[12] == IN_LOOPBACKNET);
	}
	return false;
}

static bool same_address(const struct sockaddr *left, const struct sockaddr *right)
{
	if (left->sa_family == AF_INET && right->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)left;
		const struct sockaddr_in *b = (const struct sockaddr_in *)(const void *)right;
		return a->sin_addr.s_addr == b->sin_addr.s_addr;
	}
	if (left->sa_family == AF_INET6 && right->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)left;
		const struct sockaddr_in6 *b = (const struct sockaddr_in6 *)(const void *)right;
		return IN6_ARE_ADDR_EQUAL(&a->sin6_addr, &b->sin6_addr);
	}
	return false;
}

/*!
 * A client on this machine has a loopback address, or the one that it asks: the system gives it no
 * other when it asks an address of the machine. Addresses are looked at here, and nowhere kept.
 */
static bool is_local(struct evhttp_request *request)
{
	struct sockaddr_storage own = {.ss_family = AF_UNSPEC};
	socklen_t length = sizeof own;
	struct evhttp_connection *http = evhttp_request_get_connection(request);
	const struct sockaddr *from = evhttp_connection_get_addr(http);
	if (from == NULL || is_loopback(from)) {
		return from != NULL;
	}
	int file = bufferevent_getfd(evhttp_connection_get_bufferevent(http));
	return getsockname(file, (struct sockaddr *)&own, &length) == 0 &&
	       same_address(from, (const struct sockaddr *)&own);
}

/*! To whom the API is closed, its path is like any other. */
static bool has_api(const icp_service_t *service, struct evhttp_request *request, const char *path)
{
	enum icp_api api = service->config.blockpage.api;
	enum evhttp_cmd_type method = evhttp_request_get_command(request);
	return api != ICP_API_NONE && path != NULL && strcmp(path, ICP_API_PATH) == 0 &&
	       (method == EVHTTP_REQ_GET || method == EVHTTP_REQ_HEAD) &&
	       (api == ICP_API_ANY || is_local(request));
}

static void answer_api(icp_service_t *service, struct evhttp_request *request, const char *query)
{
	static const char type[] = "application/json";
	char value[ICP_NAME_TEXT_MAX];
	icp_name_t name;
	if (!icp_rate_take(&service->rate, milliseconds())) {
		add(request, "Retry-After", "1");
		send_text(request, STATUS_BUSY, "Too Many Requests", type,
			"{\"error\": \"too many requests\"}\n");
		return;
	}
	if (!icp_request_query(query, "name", value, sizeof value) ||
		icp_name_parse(&name, value, strlen(value), NULL) != ICP_EOK) {
		send_text(request, HTTP_BADREQUEST, "Bad Request", type,
			"{\"error\": \"name: not a domain name\"}\n");
		return;
	}
	char *text = icp_api_verdict(service, &name, (int64_t)time(NULL));
	if (text == NULL) {
		send_text(request, HTTP_SERVUNAVAIL, "Service Unavailable", type,
			"{\"error\": \"no verdict just now\"}\n");
	} else {
		send_text(request, HTTP_OK, "OK", type, text);
	}
	free(text);
}

/*!
 * The host that is asked for: a URI with one in it goes before the header, as RFC 9112, 3.2.2 has
 * it. False: there are several headers.
 */
static bool find_host(struct evhttp_request *request, const char **host)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(request);
	const struct evkeyval *header;
	unsigned count = 0;
	*host = NULL;
	for (header = TAILQ_FIRST(headers); header != NULL; header = TAILQ_NEXT(header, next)) {
		if (strcasecmp(header->key, "Host") == 0) {
			*host = header->value;
			count++;
		}
	}
	/* libevent takes what follows "//" for a host too, though it is a path. */
	const char *given =
		uri != NULL && evhttp_uri_get_scheme(uri) != NULL ? evhttp_uri_get_host(uri) : NULL;
	if (given != NULL) {
		*host = given;
	}
	return count <= 1;
}

void icp_service_answer(icp_service_t *service, struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *host;
	if (request->major != 1 || evhttp_request_get_command(request) == EVHTTP_REQ_CONNECT ||
		uri == NULL) {
		send_bad(request, "not a request for a page\n");
		return;
	}
	if (!find_host(request, &host)) {
		send_bad(request, "more than one Host\n");
		return;
	}
	const char *query = evhttp_uri_get_query(uri);
	if (has_api(service, request, evhttp_uri_get_path(uri))) {
		answer_api(service, request, query);
		return;
	}
	icp_name_t name;
	icp_finding_t finding;
	enum icp_language language;
	if (!icp_request_switch(query, &language)) {
		language = icp_request_language(evhttp_find_header(
			evhttp_request_get_input_headers(request), "Accept-Language"));
	}
	enum icp_host kind = icp_request_host(&name, host);
	icp_case_find(&finding, kind, &name, service->gate, &service->places, (int64_t)time(NULL));
	send_page(request, service, language, &finding);
}
