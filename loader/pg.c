/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/pg.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

#define PATIENCE_MS (10 * 60 * 1000)
#define SQL_MAX 512

struct icp_pg {
	PGconn *connection;
	int stop;
	bool may_recover;
	const char *name; /*!< Of what is read, for messages. */
	char *row;        /*!< Of the COPY, from libpq; what is left of it is to be given. */
	size_t row_length;
	size_t row_given;
	bool copying;
};

/*! libpq's texts may have several lines. */
static int fail_text(const icp_pg_t *pg, const char *text, icp_diag_t *diag)
{
	icp_fail(diag, ICP_ESYS, "%s: %s", pg->name, text);
	size_t used = 0;
	for (const char *at = diag->text; *at != '\0'; at++) {
		char shown = (unsigned char)*at < ' ' ? ' ' : *at;
		if (shown != ' ' || used == 0 || diag->text[used - 1] != ' ') {
			diag->text[used++] = shown;
		}
	}
	while (used > 0 && diag->text[used - 1] == ' ') {
		used--;
	}
	diag->text[used] = '\0';
	return ICP_ESYS;
}

/*! What is wrong with the connection. */
static int fail_connection(icp_pg_t *pg, icp_diag_t *diag)
{
	pg->may_recover = true;
	fail_text(pg, PQerrorMessage(pg->connection), diag);
	return ICP_ESYS;
}

/*!
 * Whether it may go away by itself, by the class of an SQLSTATE: connection, transaction rolled
 * back, resources, object in use (a lock that was waited for), operator intervention, system.
 */
static bool may_pass(const char *state)
{
	static const char *const classes[] = {"08", "40", "53", "55", "57", "58"};
	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
		if (strncmp(state, classes[i], 2) == 0) {
			return true;
		}
	}
	return false;
}

/*! Takes the result. */
static int fail_result(icp_pg_t *pg, PGresult *result, icp_diag_t *diag)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	if (state == NULL || primary == NULL) {
		fail_connection(pg, diag);
	} else {
		char text[sizeof diag->text];
		const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
		snprintf(text, sizeof text, "%s (SQLSTATE %s)%s%s", primary, state,
			detail != NULL ? ": " : "", detail != NULL ? detail : "");
		fail_text(pg, text, diag);
		pg->may_recover = PQstatus(pg->connection) == CONNECTION_BAD || may_pass(state);
	}
	PQclear(result);
	return ICP_ESYS;
}

/*! Waits for the server. Returns 1 when something is there, 0 when the time is over. */
static int await(icp_pg_t *pg, int milliseconds, icp_diag_t *diag)
{
	struct pollfd watched[] = {
		{.fd = PQsocket(pg->connection), .events = POLLIN},
		{.fd = pg->stop, .events = POLLIN},
	};
	int count;
	do {
		count = poll(watched, sizeof watched / sizeof *watched, milliseconds);
	} while (count < 0 && errno == EINTR);
	if (count < 0) {
		return fail_text(pg, strerror(errno), diag);
	}
	if (watched[1].revents != 0) {
		return fail_text(pg, "interrupted", diag);
	}
	if (count > 0 && PQconsumeInput(pg->connection) != 1) {
		return fail_connection(pg, diag);
	}
	return count > 0;
}

static int await_patiently(icp_pg_t *pg, icp_diag_t *diag)
{
	int ret = await(pg, PATIENCE_MS, diag);
	if (ret == 0) {
		pg->may_recover = true;
		return fail_text(pg, "the server does not answer", diag);
	}
	return ret < 0 ? ret : ICP_EOK;
}

/*! Gives the next result; NULL when there is none. */
static int next_result(icp_pg_t *pg, PGresult **result, icp_diag_t *diag)
{
	while (PQisBusy(pg->connection)) {
		int ret = await_patiently(pg, diag);
		if (ret != ICP_EOK) {
			return ret;
		}
	}
	*result = PQgetResult(pg->connection);
	return ICP_EOK;
}

/*! Takes what is left to the end of the query; a failure among it is given. */
static int finish_query(icp_pg_t *pg, icp_diag_t *diag)
{
	PGresult *result;
	int ret;
	while ((ret = next_result(pg, &result, diag)) == ICP_EOK && result != NULL) {
		ExecStatusType status = PQresultStatus(result);
		if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
			return fail_result(pg, result, diag);
		}
		PQclear(result);
	}
	return ret;
}

/*! Sends one statement and gives its result, which is as wanted; the caller frees it. */
static int ask(
	icp_pg_t *pg, const char *sql, ExecStatusType wanted, PGresult **result, icp_diag_t *diag)
{
	*result = NULL;
	if (PQsendQuery(pg->connection, sql) != 1) {
		return fail_connection(pg, diag);
	}
	int ret = next_result(pg, result, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (PQresultStatus(*result) != wanted) {
		return fail_result(pg, *result, diag);
	}
	if (wanted == PGRES_COPY_OUT) {
		return ICP_EOK;
	}
	ret = finish_query(pg, diag);
	if (ret != ICP_EOK) {
		PQclear(*result);
	}
	return ret;
}

static int command(icp_pg_t *pg, const char *sql, icp_diag_t *diag)
{
	PGresult *result;
	int ret = ask(pg, sql, PGRES_COMMAND_OK, &result, diag);
	if (ret == ICP_EOK) {
		PQclear(result);
	}
	return ret;
}

/*! Whether a part of a URI is what a character that must not stand in a password tore off one. */
static bool is_torn(const PQconninfoOption *option)
{
	if (option->val == NULL) {
		return false;
	}
	if (strcmp(option->keyword, "port") == 0) {
		return option->val[strspn(option->val, "0123456789,")] != '\0';
	}
	return (strcmp(option->keyword, "host") == 0 || strcmp(option->keyword, "dbname") == 0) &&
	       strchr(option->val, '@') != NULL;
}

/*!
 * libpq's own words about a string that it can't read may hold parts of it, and so of a password,
 * as may later those about a host that is a part of it. A name of a database alone is not parsed.
 */
static int check_conninfo(const char *conninfo, icp_diag_t *diag)
{
	bool is_uri = strstr(conninfo, "://") != NULL;
	if (!is_uri && strchr(conninfo, '=') == NULL) {
		return ICP_EOK;
	}
	PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
	bool good = options != NULL;
	for (size_t i = 0; good && is_uri && options[i].keyword != NULL; i++) {
		good = !is_torn(&options[i]);
	}
	PQconninfoFree(options);
	return good ? ICP_EOK
		    : icp_fail(diag, ICP_ECONFIG,
			      "postgresql: not a valid connection string or URI");
}

static int connect_server(icp_pg_t *pg, const char *conninfo, icp_diag_t *diag)
{
	/* What stands before dbname is overridden by the string, what follows it overrides. */
	const char *timeout = getenv("PGCONNECT_TIMEOUT");
	const char *const keywords[] = {"connect_timeout", "tcp_user_timeout", "keepalives_idle",
		"keepalives_interval", "keepalives_count", "dbname", "client_encoding",
		"fallback_application_name", NULL};
	const char *const values[] = {timeout != NULL ? timeout : "10", "30000", "30", "10", "3",
		conninfo, "UTF8", "icpgate-load", NULL};
	pg->connection = PQconnectdbParams(keywords, values, 1);
	if (pg->connection == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", pg->name);
	}
	if (PQstatus(pg->connection) != CONNECTION_OK) {
		return fail_connection(pg, diag);
	}
	return command(pg, "SET lock_timeout = '60s'", diag);
}

/*! What the server remarks is not for the operator of the loader. */
static void ignore_notice(void *context, const PGresult *result)
{
	(void)context;
	(void)result;
}

int icp_pg_open(icp_pg_t **pg, const char *conninfo, int stop, icp_diag_t *diag)
{
	int ret = check_conninfo(conninfo, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	icp_pg_t *opened = calloc(1, sizeof *opened);
	if (opened == NULL) {
		icp_fail(diag, ICP_ENOMEM, "postgresql: out of memory");
		return ICP_ENOMEM;
	}
	opened->stop = stop;
	opened->name = "postgresql";
	ret = connect_server(opened, conninfo, diag);
	if (ret != ICP_EOK) {
		icp_pg_close(opened);
		return ret;
	}
	PQsetNoticeReceiver(opened->connection, ignore_notice, NULL);
	*pg = opened;
	return ICP_EOK;
}

void icp_pg_close(icp_pg_t *pg)
{
	if (pg != NULL) {
		PQfreemem(pg->row);
		PQfinish(pg->connection);
		free(pg);
	}
}

bool icp_pg_may_recover(const icp_pg_t *pg)
{
	return pg->may_recover;
}

static int copy(icp_pg_t *pg, const char *query, icp_diag_t *diag)
{
	char *sql;
	/* The query may end in a comment. */
	if (asprintf(&sql, "COPY (%s\n) TO STDOUT (FORMAT csv, HEADER)", query) < 0) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", pg->name);
	}
	PGresult *result;
	int ret = ask(pg, sql, PGRES_COPY_OUT, &result, diag);
	free(sql);
	if (ret == ICP_EOK) {
		PQclear(result);
	}
	pg->copying = ret == ICP_EOK;
	return ret;
}

/*! Reads an integer of a result. */
static int take_integer(
	icp_pg_t *pg, const PGresult *result, int row, int column, int64_t *value, icp_diag_t *diag)
{
	const char *text = PQgetvalue(result, row, column);
	char *end;
	errno = 0;
	*value = strtoll(text, &end, 10);
	if (*text != '\0' && *end == '\0' && errno == 0) {
		return ICP_EOK;
	}
	char shown[ICP_SHOWN_TEXT_MAX];
	icp_text_show(shown, text, strlen(text));
	return icp_fail(diag, ICP_ESYS, "%s: %s: not a 64-bit number: %s", pg->name,
		PQfname(result, column), shown);
}

static int take_sequence(icp_pg_t *pg, const PGresult *result, int row, int column,
	uint64_t *sequence, icp_diag_t *diag)
{
	int64_t value;
	int ret = take_integer(pg, result, row, column, &value, diag);
	if (ret == ICP_EOK && value < 0) {
		return icp_fail(
			diag, ICP_ESYS, "%s: sequence is negative: %" PRId64, pg->name, value);
	}
	*sequence = (uint64_t)value;
	return ret;
}

/*! Begins to read a full feed. */
static int open_feed(icp_pg_t *pg, const char *query, icp_full_origin_t *origin, icp_diag_t *diag)
{
	PGresult *result;
	pg->name = "postgresql:icpgate_sequence";
	int ret = command(pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = ask(pg,
		"SELECT sequence, floor(extract(epoch FROM now()))::bigint AS now"
		" FROM icpgate_sequence",
		PGRES_TUPLES_OK, &result, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (PQntuples(result) != 1) {
		ret = icp_fail(diag, ICP_ESYS, "%s: %d rows, not one", pg->name, PQntuples(result));
	} else if ((ret = take_sequence(pg, result, 0, 0, &origin->sequence, diag)) == ICP_EOK) {
		ret = take_integer(pg, result, 0, 1, &origin->as_of, diag);
	}
	PQclear(result);
	if (ret != ICP_EOK) {
		return ret;
	}
	origin->give = icp_pg_give;
	origin->context = pg;
	pg->name = query != NULL ? ICP_PG_QUERY : ICP_PG_FEED;
	return copy(pg, query != NULL ? query : "SELECT * FROM icpgate_feed", diag);
}

int icp_pg_listen(icp_pg_t *pg, icp_diag_t *diag)
{
	return command(pg, "LISTEN icpgate", diag);
}

int icp_pg_wait(icp_pg_t *pg, int milliseconds, icp_diag_t *diag)
{
	PGnotify *notice = PQnotifies(pg->connection);
	if (notice == NULL) {
		int ret = await(pg, milliseconds, diag);
		if (ret < 0) {
			return ret;
		}
		notice = PQnotifies(pg->connection);
	}
	/* One catches up with all. */
	for (; notice != NULL; notice = PQnotifies(pg->connection)) {
		PQfreemem(notice);
	}
	return ICP_EOK;
}

int icp_pg_commits(icp_pg_t *pg, uint64_t after, uint64_t *newest, icp_pg_commit_t *commits,
	size_t *count, icp_diag_t *diag)
{
	char sql[SQL_MAX];
	PGresult *result;
	pg->name = ICP_PG_CHANGES;
	snprintf(sql, sizeof sql,
		"SELECT s.sequence, c.sequence, c.at FROM icpgate_sequence s LEFT JOIN"
		" (SELECT sequence, floor(extract(epoch FROM max(at)))::bigint AS at"
		" FROM icpgate_changes WHERE sequence > %" PRIu64
		" GROUP BY sequence ORDER BY sequence LIMIT %zu) c ON true ORDER BY c.sequence",
		after, *count);
	int ret = ask(pg, sql, PGRES_TUPLES_OK, &result, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	int rows = PQntuples(result);
	if (rows == 0) {
		ret = icp_fail(diag, ICP_ESYS, "postgresql:icpgate_sequence: no row");
	}
	const size_t room = *count;
	*count = 0;
	for (int i = 0; i < rows && ret == ICP_EOK && *count < room; i++) {
		ret = take_sequence(pg, result, i, 0, newest, diag);
		if (ret == ICP_EOK && !PQgetisnull(result, i, 1)) {
			icp_pg_commit_t *commit = &commits[(*count)++];
			ret = take_sequence(pg, result, i, 1, &commit->sequence, diag);
			if (ret == ICP_EOK) {
				ret = take_integer(pg, result, i, 2, &commit->at, diag);
			}
		}
	}
	PQclear(result);
	return ret;
}

int icp_pg_changes(icp_pg_t *pg, uint64_t sequence, icp_diag_t *diag)
{
	char sql[SQL_MAX];
	pg->name = ICP_PG_CHANGES;
	/* Deletes first: one may be of the name that a row had before it was written otherwise. */
	snprintf(sql, sizeof sql,
		"SELECT op, domain, provider, status, number, approved_at, expires_at,"
		" rectify_by, licensed_addresses FROM icpgate_changes WHERE sequence = %" PRIu64
		" ORDER BY op, domain, provider",
		sequence);
	return copy(pg, sql, diag);
}

/*! Reads the next row of the COPY. Returns 1, or 0 at its end. */
static int next_row(icp_pg_t *pg, icp_diag_t *diag)
{
	int length;
	PQfreemem(pg->row);
	pg->row = NULL;
	while ((length = PQgetCopyData(pg->connection, &pg->row, 1)) == 0) {
		int ret = await_patiently(pg, diag);
		if (ret != ICP_EOK) {
			return ret;
		}
	}
	if (length < -1) {
		return fail_connection(pg, diag);
	}
	if (length < 0) {
		pg->copying = false;
		return finish_query(pg, diag);
	}
	pg->row_length = (size_t)length;
	pg->row_given = 0;
	return 1;
}

ssize_t icp_pg_give(void *context, char *into, size_t room, icp_diag_t *diag)
{
	icp_pg_t *pg = context;
	size_t used = 0;
	while (used < room && pg->copying) {
		if (pg->row_given == pg->row_length) {
			int ret = next_row(pg, diag);
			if (ret < 0) {
				return ret;
			}
			if (ret == 0) {
				break;
			}
		}
		size_t left = pg->row_length - pg->row_given;
		size_t size = left < room - used ? left : room - used;
		memcpy(into + used, pg->row + pg->row_given, size);
		pg->row_given += size;
		used += size;
	}
	return (ssize_t)used;
}

int icp_pg_load(const char *conninfo, const char *query, const icp_full_job_t *job,
	icp_full_result_t *result, icp_bad_t *bad, icp_diag_t *diag)
{
	icp_pg_t *pg;
	icp_full_origin_t origin;
	icp_full_job_t given = *job;
	int ret = icp_pg_open(&pg, conninfo, -1, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = open_feed(pg, query, &origin, diag);
	if (ret == ICP_EOK) {
		given.origin = &origin;
		ret = icp_full_load(&given, result, bad, diag);
	}
	icp_pg_close(pg);
	return ret;
}
