/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A preloaded library that makes it look, to who asks LMDB for the number of the last commit, as if
 * one came with each question, while the file ICP_COMMITS is there.
 */
#include <dlfcn.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int mdb_env_info(MDB_env *env, MDB_envinfo *info)
{
	static size_t commits;
	const char *path = getenv("ICP_COMMITS");
	int (*real)(MDB_env * env, MDB_envinfo * info);
	void *symbol = dlsym(RTLD_NEXT, "mdb_env_info");
	memcpy(&real, &symbol, sizeof real);
	int rc = real(env, info);
	if (rc == MDB_SUCCESS && path != NULL && access(path, F_OK) == 0) {
		info->me_last_txnid += ++commits;
	}
	return rc;
}
