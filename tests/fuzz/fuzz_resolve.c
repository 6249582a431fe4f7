/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the operator's tool makes of a server's answers. Input: the answers to its questions in
 * turn, each with two octets of length before it; after the last one the server is silent.
 */
#include <ldns/ldns.h>

#include "db-tools/resolve.h"
#include "core/text.h"
#include "tests/fuzz/fuzz.h"

/*! What the server has still to say. */
static struct {
	const uint8_t *at;
	size_t left;
} server;

/*! In the place of the library's. The identifier is the right one. */
ldns_status ldns_resolver_send_pkt(ldns_pkt **reply, ldns_resolver *resolver, ldns_pkt *query)
{
	(void)resolver;
	if (server.left < sizeof(uint16_t)) {
		return LDNS_STATUS_NETWORK_ERR;
	}
	size_t length = ldns_read_uint16(server.at);
	server.at += sizeof(uint16_t);
	server.left -= sizeof(uint16_t);
	if (length > server.left) {
		length = server.left;
	}
	uint8_t *message = exact_copy(server.at, length);
	ldns_status status = ldns_wire2pkt(reply, message, length);
	free(message);
	server.at += length;
	server.left -= length;
	if (status == LDNS_STATUS_OK) {
		ldns_pkt_set_id(*reply, ldns_pkt_id(query));
	}
	return status;
}

static void check_name(const icp_name_t *name)
{
	icp_name_t again;
	uint8_t *stored = exact_copy(name->wire, name->length);
	must(icp_name_from_stored(&again, stored, name->length) == ICP_EOK, "a name is one");
	free(stored);
}

static void check_answer(const icp_resolved_t *resolved, const icp_answer_t *answer)
{
	check_name(&answer->name);
	check_name(&answer->alias);
	must(answer->ede >= -1 && answer->ede <= UINT16_MAX, "an EDE code has 16 bits");
	must(memchr(answer->ede_text, '\0', sizeof answer->ede_text) != NULL, "a text ends");
	size_t length = strlen(answer->ede_text);
	must(icp_text_is_utf8(answer->ede_text, length) &&
			!icp_text_has_control(answer->ede_text, length),
		"a text is UTF-8 and has no control characters");
	must(answer->first + answer->count <= resolved->found_count, "addresses were found");
	for (size_t i = answer->first; i < answer->first + answer->count; i++) {
		icp_address_t again;
		const char *text = resolved->found[i].text;
		must(icp_address_parse(&again, text, strlen(text)) == ICP_EOK &&
				memcmp(&again, &resolved->found[i].address, sizeof again) == 0,
			"an address has its text");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char question[] = "www.example.com";
	icp_resolved_t *resolved = exact(sizeof *resolved);
	icp_server_t address;
	icp_name_t name;
	icp_diag_t diag = {.text = ""};
	must(icp_server_parse(&address, "192.0.2.53", &diag) == ICP_EOK &&
			icp_name_parse(&name, question, strlen(question), NULL) == ICP_EOK,
		"what is asked is right");
	server.at = data;
	server.left = size;
	int code = icp_resolve(resolved, &address, &name, &diag);
	must(code == ICP_EOK || code == ICP_ESYS, "nothing else goes wrong");
	must((code == ICP_EOK) == (*diag.text == '\0'), "what goes wrong is said");
	must(resolved->answer_count <= ICP_ANSWERS_MAX, "questions are bounded");
	for (size_t i = 0; i < resolved->answer_count; i++) {
		check_answer(resolved, &resolved->answers[i]);
	}
	icp_resolved_deinit(resolved);
	free(resolved);
	return 0;
}
