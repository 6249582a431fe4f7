/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/resolve.h"

#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "db-tools/tools.h"

#define TRIES 2
#define TRY_SECONDS 3
#define UDP_SIZE 1232 /*!< Passes everywhere without fragments. */
#define PORT_DIGITS 5

/*! One run of icp_resolve. */
typedef struct {
	icp_resolved_t *resolved;
	ldns_resolver *resolver;
	icp_name_t targets[ICP_TARGETS_MAX];
	size_t target_count;
	icp_diag_t *diag;
} run_t;

const char *icp_rrtype_name(enum icp_rrtype type)
{
	switch (type) {
	case ICP_RRTYPE_A:
		return "A";
	case ICP_RRTYPE_AAAA:
		return "AAAA";
	case ICP_RRTYPE_HTTPS:
		return "HTTPS";
	default:
		return "SVCB";
	}
}

void icp_rcode_format(int rcode, char text[ICP_RCODE_TEXT_MAX])
{
	const ldns_lookup_table *entry = ldns_lookup_by_id(ldns_rcodes, rcode);
	if (entry != NULL) {
		snprintf(text, ICP_RCODE_TEXT_MAX, "%s", entry->name);
	} else {
		snprintf(text, ICP_RCODE_TEXT_MAX, "RCODE%d", rcode);
	}
}

/*! Reads 1 to 65535 in decimal digits. */
static bool parse_port(uint16_t *port, const char *text)
{
	size_t length = strspn(text, "0123456789");
	if (length == 0 || length > PORT_DIGITS || text[length] != '\0') {
		return false;
	}
	unsigned long value = strtoul(text, NULL, 10);
	*port = (uint16_t)value;
	return value >= 1 && value <= UINT16_MAX;
}

int icp_server_parse(icp_server_t *server, const char *text, icp_diag_t *diag)
{
	const char *at = strchr(text, '@');
	size_t length = at != NULL ? (size_t)(at - text) : strlen(text);
	server->port = ICP_SERVER_PORT;
	if (icp_address_parse(&server->address, text, length) != ICP_EOK ||
		(at != NULL && !parse_port(&server->port, at + 1))) {
		return icp_fail(diag, ICP_EINVAL,
			"not a server: %s; allowed: ADDRESS or ADDRESS@PORT, with a port of 1 to "
			"65535",
			text);
	}
	char address[ICP_ADDRESS_TEXT_MAX];
	icp_address_format(&server->address, address);
	snprintf(server->text, sizeof server->text, "%s@%u", address, server->port);
	return ICP_EOK;
}

void icp_resolved_deinit(icp_resolved_t *resolved)
{
	free(resolved->found);
	resolved->found = NULL;
}

static int make_resolver(ldns_resolver **out, const icp_server_t *server)
{
	bool ipv4 = server->address.family == 4;
	ldns_resolver *resolver = ldns_resolver_new();
	if (resolver == NULL) {
		return ICP_ENOMEM;
	}
	ldns_rdf *address = ldns_rdf_new_frm_data(ipv4 ? LDNS_RDF_TYPE_A : LDNS_RDF_TYPE_AAAA,
		ipv4 ? LDNS_IP4ADDRLEN : LDNS_IP6ADDRLEN, server->address.bytes);
	if (address == NULL || ldns_resolver_push_nameserver(resolver, address) != LDNS_STATUS_OK) {
		ldns_rdf_deep_free(address);
		ldns_resolver_deep_free(resolver);
		return ICP_ENOMEM;
	}
	ldns_rdf_deep_free(address);
	ldns_resolver_set_port(resolver, server->port);
	ldns_resolver_set_retry(resolver, TRIES);
	ldns_resolver_set_timeout(resolver, (struct timeval){.tv_sec = TRY_SECONDS});
	ldns_resolver_set_edns_udp_size(resolver, UDP_SIZE);
	*out = resolver;
	return ICP_EOK;
}

static ldns_rdf *make_dname(const icp_name_t *name)
{
	uint8_t wire[ICP_NAME_MAX + 1];
	memcpy(wire, name->wire, name->length);
	wire[name->length] = 0;
	return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_DNAME, (size_t)name->length + 1, wire);
}

/*! The library does not look whether what came in answers what was asked. */
static bool is_reply(const ldns_pkt *query, const ldns_pkt *reply)
{
	if (!ldns_pkt_qr(reply) || ldns_pkt_id(reply) != ldns_pkt_id(query)) {
		return false;
	}
	if (ldns_pkt_qdcount(reply) == 0) {
		return ldns_pkt_get_rcode(reply) != LDNS_RCODE_NOERROR;
	}
	const ldns_rr *asked = ldns_rr_list_rr(ldns_pkt_question(query), 0);
	const ldns_rr *echoed = ldns_rr_list_rr(ldns_pkt_question(reply), 0);
	return ldns_pkt_qdcount(reply) == 1 &&
	       ldns_rr_get_type(asked) == ldns_rr_get_type(echoed) &&
	       ldns_rr_get_class(asked) == ldns_rr_get_class(echoed) &&
	       ldns_dname_compare(ldns_rr_owner(asked), ldns_rr_owner(echoed)) == 0;
}

/*! Says why there is no reply. */
static int fail_exchange(run_t *run, const char *question, ldns_status status)
{
	const char *server = run->resolved->server.text;
	switch (status) {
	case LDNS_STATUS_MEM_ERR:
		return ICP_ENOMEM;
	case LDNS_STATUS_ERR: /* What the library says of TCP. */
	case LDNS_STATUS_NETWORK_ERR:
		return icp_fail(run->diag, ICP_ESYS,
			"%s: no answer to %s within %d s: it is no DNS server, or can't be "
			"reached, or still looks for name servers that are silent",
			server, question, TRIES * TRY_SECONDS);
	default:
		return icp_fail(run->diag, ICP_ESYS, "%s: %s: %s", server, question,
			ldns_get_errorstr_by_id(status));
	}
}

/*! Asks once. The reply must be freed. */
static int exchange(run_t *run, const icp_answer_t *answer, ldns_pkt **reply)
{
	char name[ICP_NAME_TEXT_MAX];
	char question[ICP_NAME_TEXT_MAX + 8];
	icp_name_format(&answer->name, name);
	snprintf(question, sizeof question, "%s %s", name, icp_rrtype_name(answer->type));

	ldns_pkt *query = NULL;
	ldns_rdf *qname = make_dname(&answer->name);
	ldns_status status = LDNS_STATUS_MEM_ERR;
	if (qname != NULL) {
		status = ldns_resolver_prepare_query_pkt(&query, run->resolver, qname,
			(ldns_rr_type)answer->type, LDNS_RR_CLASS_IN, LDNS_RD);
	}
	int code = ICP_EOK;
	if (status == LDNS_STATUS_OK) {
		status = ldns_resolver_send_pkt(reply, run->resolver, query);
	}
	if (status != LDNS_STATUS_OK) {
		code = fail_exchange(run, question, status);
	} else if (!is_reply(query, *reply)) {
		code = icp_fail(run->diag, ICP_ESYS,
			"%s: what came in does not answer what was asked: %s",
			run->resolved->server.text, question);
		ldns_pkt_free(*reply);
	}
	ldns_pkt_free(query);
	ldns_rdf_deep_free(qname);
	return code;
}

static bool read_dname(icp_name_t *name, const ldns_rdf *dname)
{
	return icp_name_from_wire(name, ldns_rdf_data(dname), ldns_rdf_size(dname)) == ICP_EOK;
}

/*! Finds the end of the chain of CNAMEs that begins at the name asked for. */
static void read_alias(icp_answer_t *answer, const ldns_rr_list *records)
{
	ldns_rdf *owner = make_dname(&answer->name);
	const ldns_rdf *at = owner;
	for (int hops = 0; at != NULL && hops < ICP_ALIASES_MAX; hops++) {
		const ldns_rdf *next = NULL;
		for (size_t i = 0; i < ldns_rr_list_rr_count(records) && next == NULL; i++) {
			const ldns_rr *rr = ldns_rr_list_rr(records, i);
			if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_CNAME &&
				ldns_dname_compare(ldns_rr_owner(rr), at) == 0) {
				next = ldns_rr_rdf(rr, 0);
			}
		}
		if (next != NULL && !read_dname(&answer->alias, next)) {
			break;
		}
		at = next;
	}
	ldns_rdf_deep_free(owner);
}

static void read_ede(icp_answer_t *answer, ldns_pkt *reply)
{
	ldns_edns_option_list *options = ldns_pkt_edns_get_option_list(reply);
	size_t count = options != NULL ? ldns_edns_option_list_get_count(options) : 0;
	for (size_t i = 0; i < count; i++) {
		ldns_edns_option *option = ldns_edns_option_list_get_option(options, i);
		const uint8_t *data = ldns_edns_get_data(option);
		size_t size = ldns_edns_get_size(option);
		if (ldns_edns_get_code(option) == LDNS_EDNS_EDE && size >= sizeof(uint16_t)) {
			answer->ede = ldns_read_uint16(data);
			icp_text_escape(answer->ede_text, sizeof answer->ede_text,
				(const char *)data + sizeof(uint16_t), size - sizeof(uint16_t));
			return;
		}
	}
}

/*! Makes room for more addresses. NULL: out of memory. */
static icp_found_t *grow_found(icp_resolved_t *resolved, size_t more)
{
	size_t needed = resolved->found_count + more;
	if (needed > resolved->found_capacity) {
		icp_found_t *larger = realloc(resolved->found, 2 * needed * sizeof *larger);
		if (larger == NULL) {
			return NULL;
		}
		resolved->found = larger;
		resolved->found_capacity = 2 * needed;
	}
	return resolved->found + resolved->found_count;
}

static int read_addresses(
	icp_resolved_t *resolved, enum icp_rrtype type, const uint8_t *rdata, size_t length)
{
	size_t count = icp_rdata_addresses(type, rdata, length, NULL, 0);
	if (count == 0) {
		return ICP_EOK;
	}
	icp_found_t *found = grow_found(resolved, count);
	icp_address_t *addresses = malloc(count * sizeof *addresses);
	if (found == NULL || addresses == NULL) {
		free(addresses);
		return ICP_ENOMEM;
	}
	icp_rdata_addresses(type, rdata, length, addresses, count);
	for (size_t i = 0; i < count; i++) {
		found[i].address = addresses[i];
		icp_address_format(&addresses[i], found[i].text);
	}
	resolved->found_count += count;
	free(addresses);
	return ICP_EOK;
}

static bool is_same(const icp_name_t *a, const icp_name_t *b)
{
	return a->length == b->length && memcmp(a->wire, b->wire, a->length) == 0;
}

/*! Notes another name that an HTTPS record leads to. */
static void read_target(run_t *run, const icp_name_t *name, const uint8_t *rdata, size_t length)
{
	uint16_t priority;
	const uint8_t *wire;
	size_t wire_length;
	icp_name_t target;
	if (!icp_rdata_target(rdata, length, &priority, &wire, &wire_length) ||
		icp_name_from_wire(&target, wire, wire_length) != ICP_EOK || target.length == 0 ||
		is_same(&target, name) || run->target_count == ICP_TARGETS_MAX) {
		return;
	}
	for (size_t i = 0; i < run->target_count; i++) {
		if (is_same(&target, &run->targets[i])) {
			return;
		}
	}
	run->targets[run->target_count++] = target;
}

static int read_record(run_t *run, const icp_answer_t *answer, const ldns_rr *rr)
{
	ldns_buffer *rdata = ldns_buffer_new(LDNS_MIN_BUFLEN);
	if (rdata == NULL) {
		return ICP_ENOMEM;
	}
	int code = ICP_ENOMEM;
	if (ldns_rr_rdata2buffer_wire(rdata, rr) == LDNS_STATUS_OK) {
		const uint8_t *wire = ldns_buffer_begin(rdata);
		size_t length = ldns_buffer_position(rdata);
		code = read_addresses(run->resolved, answer->type, wire, length);
		if (answer->type == ICP_RRTYPE_HTTPS) {
			read_target(run, &answer->name, wire, length);
		}
	}
	ldns_buffer_free(rdata);
	return code;
}

static int read_reply(run_t *run, icp_answer_t *answer, ldns_pkt *reply)
{
	const ldns_rr_list *records = ldns_pkt_answer(reply);
	int code = ICP_EOK;
	answer->rcode = ldns_pkt_get_rcode(reply) | ldns_pkt_edns_extended_rcode(reply) << 4;
	read_ede(answer, reply);
	read_alias(answer, records);
	answer->first = run->resolved->found_count;
	for (size_t i = 0; i < ldns_rr_list_rr_count(records) && code == ICP_EOK; i++) {
		const ldns_rr *rr = ldns_rr_list_rr(records, i);
		if (ldns_rr_get_type(rr) == (ldns_rr_type)answer->type) {
			code = read_record(run, answer, rr);
		}
	}
	answer->count = run->resolved->found_count - answer->first;
	return code;
}

static int ask(run_t *run, const icp_name_t *name, enum icp_rrtype type)
{
	icp_resolved_t *resolved = run->resolved;
	icp_answer_t *answer = &resolved->answers[resolved->answer_count];
	*answer = (icp_answer_t){.name = *name, .type = type, .ede = -1};
	ldns_pkt *reply = NULL;
	int code = exchange(run, answer, &reply);
	if (code != ICP_EOK) {
		return code;
	}
	if (resolved->answer_count == 0) {
		resolved->recursive = ldns_pkt_ra(reply);
	}
	code = read_reply(run, answer, reply);
	ldns_pkt_free(reply);
	resolved->answer_count++;
	return code;
}

/*! Asks for what the name can't be judged without. */
static int ask_addresses(run_t *run, const icp_name_t *name, enum icp_rrtype type)
{
	int code = ask(run, name, type);
	if (code != ICP_EOK) {
		return code;
	}
	int rcode = run->resolved->answers[run->resolved->answer_count - 1].rcode;
	if (rcode == ICP_RCODE_NOERROR || rcode == ICP_RCODE_NXDOMAIN ||
		rcode == ICP_RCODE_SERVFAIL) {
		return ICP_EOK;
	}
	char text[ICP_NAME_TEXT_MAX];
	char rcode_text[ICP_RCODE_TEXT_MAX];
	icp_name_format(name, text);
	icp_rcode_format(rcode, rcode_text);
	return icp_fail(run->diag, ICP_ESYS,
		"%s: %s to %s %s: it must be a server that resolves this name for this machine",
		run->resolved->server.text, rcode_text, text, icp_rrtype_name(type));
}

int icp_resolve(icp_resolved_t *resolved, const icp_server_t *server, const icp_name_t *name,
	icp_diag_t *diag)
{
	*resolved = (icp_resolved_t){.server = *server};
	run_t run = {.resolved = resolved, .diag = diag};
	int code = make_resolver(&run.resolver, server);
	if (code != ICP_EOK) {
		return code;
	}
	code = ask_addresses(&run, name, ICP_RRTYPE_A);
	if (code == ICP_EOK) {
		code = ask_addresses(&run, name, ICP_RRTYPE_AAAA);
	}
	if (code == ICP_EOK) {
		code = ask(&run, name, ICP_RRTYPE_HTTPS);
	}
	for (size_t i = 0; i < run.target_count && code == ICP_EOK; i++) {
		code = ask(&run, &run.targets[i], ICP_RRTYPE_A);
		if (code == ICP_EOK) {
			code = ask(&run, &run.targets[i], ICP_RRTYPE_AAAA);
		}
	}
	ldns_resolver_deep_free(run.resolver);
	return code;
}
