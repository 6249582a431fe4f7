/* SPDX-License-Identifier: BSD-3-Clause */
/*! A line at the daemon's control socket. Input: its octets. */
#include "loader/request.h"
#include "tests/fuzz/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	icp_request_t request;
	icp_diag_t diag = {""};
	char *line = exact_copy(data, size);
	int ret = icp_request_parse(&request, line, size, &diag);
	must(ret == ICP_EOK || ret == ICP_EINVAL, "nothing else goes wrong");
	if (ret == ICP_EOK) {
		char base[ICP_SPOOL_BASE_MAX + 1];
		bool load = request.command == ICP_COMMAND_LOAD;
		must(request.command <= ICP_COMMAND_RESUME, "a command is known");
		must(load == (request.base[0] != '\0'), "a load has a feed, and nothing else");
		must(load || !request.force, "nothing else is forced");
		must(!load || (icp_spool_base(request.base, base) &&
				      strcmp(base, request.base) == 0 &&
				      strchr(base, '/') == NULL && base[0] != '.'),
			"a feed is one of the spool");
	} else {
		must(is_line(diag.text), "a client is told what is wrong");
	}
	free(line);
	return 0;
}
