/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/control.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/owner.h"

#define BACKLOG 16

typedef struct client client_t;

struct client {
	client_t *next;
	icp_control_t *control;
	struct bufferevent *stream;
	struct event *deadline;
	unsigned user;
	bool waits; /* For the answer to its request. */
	bool ends;  /* It has its answer, but for what is still to be sent. */
	icp_request_t request;
};

struct icp_control {
	struct event_base *base;
	const char *path;
	struct evconnlistener *listener;
	struct event *again; /* Listening goes on. */
	icp_control_take_t take;
	void *context;
	client_t *clients;
	size_t count;
};

static const struct timeval patience = {.tv_sec = ICP_CONTROL_SECONDS};

static void client_free(client_t *client)
{
	icp_control_t *control = client->control;
	client_t **link = &control->clients;
	while (*link != client) {
		link = &(*link)->next;
	}
	*link = client->next;
	if (control->count-- == ICP_CONTROL_CLIENTS_MAX && control->listener != NULL) {
		evconnlistener_enable(control->listener);
	}
	if (client->deadline != NULL) {
		event_free(client->deadline);
	}
	bufferevent_free(client->stream);
	free(client);
}

/*! Sends the answer, which it takes over; the client goes when it has it. */
static void client_answer(client_t *client, json_t *answer)
{
	char *text =
		answer != NULL ? json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(6)) : NULL;
	json_decref(answer);
	client->waits = false;
	client->ends = true;
	bufferevent_disable(client->stream, EV_READ);
	if (text == NULL || bufferevent_write(client->stream, text, strlen(text)) != 0 ||
		bufferevent_write(client->stream, "\n", 1) != 0 ||
		event_add(client->deadline, &patience) != 0) {
		client_free(client);
	}
	free(text);
}

static json_t *refusal(const char *why)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

static void client_take(client_t *client, const char *line, size_t length)
{
	icp_control_t *control = client->control;
	icp_diag_t diag = {""};
	event_del(client->deadline);
	if (icp_request_parse(&client->request, line, length, &diag) != ICP_EOK) {
		client_answer(client, refusal(diag.text));
		return;
	}
	client->waits = true;
	json_t *answer = control->take(&client->request, client->user, control->context);
	if (answer != NULL) {
		client_answer(client, answer);
	}
}

static void readable(struct bufferevent *stream, void *context)
{
	client_t *client = context;
	struct evbuffer *input = bufferevent_get_input(stream);
	size_t length;
	if (client->waits || client->ends) {
		evbuffer_drain(input, evbuffer_get_length(input));
		return;
	}
	char *line = evbuffer_readln(input, &length, EVBUFFER_EOL_LF);
	if (line != NULL) {
		if (length < ICP_REQUEST_MAX) {
			client_take(client, line, length);
		} else {
			client_answer(client, refusal("the request is too long"));
		}
		free(line);
	} else if (evbuffer_get_length(input) >= ICP_REQUEST_MAX) {
		client_answer(client, refusal("the request is too long"));
	}
}

static void written(struct bufferevent *stream, void *context)
{
	client_t *client = context;
	(void)stream;
	if (client->ends) {
		client_free(client);
	}
}

/*! Whether the other side closed its socket, rather than that it sends no more. */
static bool is_hung_up(const client_t *client)
{
	struct pollfd file = {.fd = bufferevent_getfd(client->stream)};
	return poll(&file, 1, 0) > 0 && (file.revents & (POLLHUP | POLLERR)) != 0;
}

/*! One that sends no more may still wait for its answer. */
static void happened(struct bufferevent *stream, short what, void *context)
{
	client_t *client = context;
	(void)stream;
	if ((what & BEV_EVENT_EOF) == 0 || (!client->waits && !client->ends) ||
		is_hung_up(client)) {
		client_free(client);
	}
}

static void too_slow(evutil_socket_t file, short what, void *context)
{
	(void)file;
	(void)what;
	client_free(context);
}

static unsigned user_of(evutil_socket_t file)
{
	struct ucred peer = {.uid = (uid_t)-1};
	socklen_t size = sizeof peer;
	(void)getsockopt(file, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	return peer.uid;
}

static void accepted(struct evconnlistener *listener, evutil_socket_t file,
	struct sockaddr *address, int length, void *context)
{
	icp_control_t *control = context;
	client_t *client = calloc(1, sizeof *client);
	(void)address;
	(void)length;
	struct bufferevent *stream =
		bufferevent_socket_new(control->base, file, BEV_OPT_CLOSE_ON_FREE);
	if (client == NULL || stream == NULL) {
		free(client);
		if (stream != NULL) {
			bufferevent_free(stream);
		} else {
			close(file);
		}
		return;
	}
	client->control = control;
	client->stream = stream;
	client->user = user_of(file);
	client->next = control->clients;
	control->clients = client;
	if (++control->count == ICP_CONTROL_CLIENTS_MAX) {
		evconnlistener_disable(listener);
	}
	bufferevent_setcb(stream, readable, written, happened, client);
	bufferevent_setwatermark(stream, EV_READ, 0, ICP_REQUEST_MAX);
	client->deadline = evtimer_new(control->base, too_slow, client);
	if (client->deadline == NULL || event_add(client->deadline, &patience) != 0 ||
		bufferevent_enable(stream, EV_READ | EV_WRITE) != 0) {
		client_free(client);
	}
}

static void listen_again(evutil_socket_t file, short what, void *context)
{
	icp_control_t *control = context;
	(void)file;
	(void)what;
	if (control->count < ICP_CONTROL_CLIENTS_MAX) {
		evconnlistener_enable(control->listener);
	}
}

/*! As when there are no descriptors left: trying at once again would be all that the loop does. */
static void not_accepted(struct evconnlistener *listener, void *context)
{
	icp_control_t *control = context;
	const struct timeval pause = {.tv_sec = 1};
	evconnlistener_disable(listener);
	event_add(control->again, &pause);
}

/*! A socket that nobody listens at was left behind. */
static bool is_left_behind(const struct sockaddr_un *address)
{
	struct stat st;
	if (lstat(address->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode)) {
		return false;
	}
	int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (file < 0) {
		return false;
	}
	int rc = connect(file, (const struct sockaddr *)address, sizeof *address);
	bool refused = rc != 0 && errno == ECONNREFUSED;
	close(file);
	return refused;
}

/*! Gives the socket to the directory's owner (see owner.h), who could not even find out that it was
 * left behind; not to its group, as who may write there need not be who may order. */
static void give_socket(const struct sockaddr_un *address)
{
	char directory[sizeof address->sun_path];
	snprintf(directory, sizeof directory, "%s", address->sun_path);
	char *slash = strrchr(directory, '/');
	if (slash == NULL) {
		return;
	}
	slash[1] = '\0';
	int parent = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int file = openat(parent, address->sun_path + (slash + 1 - directory),
		O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	/* Its owner may have put something else in its place. */
	if (file >= 0 && fstat(file, &st) == 0 && S_ISSOCK(st.st_mode)) {
		icp_owner_give(
			file, (icp_owner_t){icp_owner_of(parent).user, ICP_OWNER_NONE.group});
	}
	if (file >= 0) {
		close(file);
	}
	if (parent >= 0) {
		close(parent);
	}
}

/*! The socket is made with the mode it has to have, as a change by name might hit what its
 * directory's owner put in its place. */
static int bind_socket(int file, const struct sockaddr_un *address)
{
	mode_t mask = umask(0117);
	int rc = bind(file, (const struct sockaddr *)address, sizeof *address);
	if (rc != 0 && errno == EADDRINUSE) {
		if (is_left_behind(address) && unlink(address->sun_path) == 0) {
			rc = bind(file, (const struct sockaddr *)address, sizeof *address);
		} else {
			errno = EADDRINUSE;
		}
	}
	int error = errno;
	umask(mask);
	if (rc == 0) {
		give_socket(address);
	}
	errno = error;
	return rc;
}

static int listen_at(icp_control_t *control, icp_diag_t *diag)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(control->path);
	if (length >= sizeof address.sun_path) {
		return icp_fail(diag, ICP_ESYS, "%s: too long for a socket", control->path);
	}
	memcpy(address.sun_path, control->path, length);
	int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (file < 0 || bind_socket(file, &address) != 0) {
		int ret = icp_fail(diag, errno == EADDRINUSE ? ICP_EBUSY : ICP_ESYS, "%s: %s",
			control->path, strerror(errno));
		if (file >= 0) {
			close(file);
		}
		return ret;
	}
	control->listener = evconnlistener_new(control->base, accepted, control,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, BACKLOG, file);
	if (control->listener == NULL) {
		unlink(control->path);
		close(file);
		return icp_fail(diag, ICP_ESYS, "%s: %s", control->path, strerror(errno));
	}
	evconnlistener_set_error_cb(control->listener, not_accepted);
	return ICP_EOK;
}

int icp_control_open(icp_control_t **control, struct event_base *base, const char *path,
	icp_control_take_t take, void *context, icp_diag_t *diag)
{
	icp_control_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	*new = (icp_control_t){.base = base, .path = path, .take = take, .context = context};
	new->again = evtimer_new(base, listen_again, new);
	int ret = new->again != NULL ? listen_at(new, diag)
				     : icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	if (ret != ICP_EOK) {
		icp_control_close(new);
		return ret;
	}
	*control = new;
	return ICP_EOK;
}

void icp_control_close(icp_control_t *control)
{
	if (control == NULL) {
		return;
	}
	if (control->listener != NULL) {
		evconnlistener_free(control->listener);
		control->listener = NULL;
		unlink(control->path);
	}
	while (control->clients != NULL) {
		client_t *client = control->clients;
		if (client->waits) {
			/* It is small, and the socket's buffer is empty. */
			static const char last[] = "{\"ok\":false,\"error\":\"the daemon ends\"}\n";
			(void)send(bufferevent_getfd(client->stream), last, sizeof last - 1,
				MSG_NOSIGNAL | MSG_DONTWAIT);
		}
		client_free(client);
	}
	if (control->again != NULL) {
		event_free(control->again);
	}
	free(control);
}

void icp_control_answer(
	icp_control_t *control, enum icp_command command, const char *base, json_t *answer)
{
	client_t *next;
	for (client_t *client = control != NULL ? control->clients : NULL; client != NULL;
		client = next) {
		next = client->next;
		if (client->waits && client->request.command == command &&
			(base == NULL || strcmp(client->request.base, base) == 0)) {
			client_answer(client, json_incref(answer));
		}
	}
	json_decref(answer);
}

void icp_control_review(icp_control_t *control, icp_control_lost_t is_lost, void *context)
{
	client_t *next;
	for (client_t *client = control != NULL ? control->clients : NULL; client != NULL;
		client = next) {
		next = client->next;
		if (!client->waits) {
			continue;
		}
		if (is_hung_up(client)) {
			client_free(client);
		} else if (client->request.command == ICP_COMMAND_LOAD &&
			   is_lost(client->request.base, context)) {
			client_answer(client,
				refusal("it was taken away, or replaced, before it was loaded"));
		}
	}
}
