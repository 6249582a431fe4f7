/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/setup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "module/abi.h"

static void log_line(enum icp_level level, const char *line)
{
	switch (level) {
	case ICP_LEVEL_ERROR:
		log_err("icpgate: %s", line);
		break;
	case ICP_LEVEL_WARNING:
		log_warn("icpgate: %s", line);
		break;
	default:
		log_info("icpgate: %s", line);
	}
}

icp_module_t *icp_module_of(const struct module_env *env, int id)
{
	const struct dynlibmod_env *dynlib = env->modinfo[id];
	return dynlib->dyn_env;
}

/*! True when the words of a module-config are these, whatever white space lies between. */
static bool chain_is(const char *configured, const char *wanted)
{
	while (*wanted != '\0') {
		size_t word = strcspn(wanted, " ");
		configured += strspn(configured, " \t");
		if (strncmp(configured, wanted, word) != 0) {
			return false;
		}
		configured += word;
		if (*configured != '\0' && *configured != ' ' && *configured != '\t') {
			return false;
		}
		wanted += word;
		wanted += strspn(wanted, " ");
	}
	return configured[strspn(configured, " \t")] == '\0';
}

/*! What the daemon is configured with must leave no way around the gate. */
static int check_daemon(const struct module_env *env, icp_diag_t *diag)
{
	const struct config_file *cfg = env->cfg;
	int ret = icp_abi_check(PACKAGE_VERSION, CONFCMDLINE, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (!chain_is(cfg->module_conf, "dynlib validator iterator") &&
		!chain_is(cfg->module_conf, "dynlib iterator")) {
		return icp_fail(diag, ICP_ECONFIG,
			"module-config: \"%s\" is not supported; allowed: \"dynlib validator iterator\", \"dynlib iterator\"",
			cfg->module_conf);
	}
	if (cfg->serve_expired) {
		return icp_fail(diag, ICP_ECONFIG,
			"serve-expired: yes is not supported: Unbound would serve names that were blocked in the meantime");
	}
	return ICP_EOK;
}

static int setup(struct module_env *env, icp_module_t *module, icp_diag_t *diag)
{
	int ret = check_daemon(env, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_config_load(&module->config, icp_config_path(NULL), diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	module->seats = env->cfg->num_threads > 0 ? (unsigned)env->cfg->num_threads : 1;
	return icp_gate_create(&module->gate, &module->config, module->seats, log_line, diag);
}

int icp_module_setup(struct module_env *env, int id, icp_response_callback_t on_response)
{
	struct dynlibmod_env *dynlib = env->modinfo[id];
	icp_diag_t diag = {.text = "out of memory"};
	icp_module_t *module = calloc(1, sizeof *module);
	dynlib->dyn_env = module;
	if (module == NULL || setup(env, module, &diag) != ICP_EOK) {
		log_err("icpgate: %s", diag.text);
		return 0;
	}
	if (!dynlib->inplace_cb_register_wrapped(
		    (void *)on_response, inplace_cb_query_response, NULL, env, id)) {
		log_err("icpgate: could not register with the iterator");
		return 0;
	}
	log_info("icpgate: version %s, configuration %s, store %s, mode %s", ICP_VERSION,
		module->config.path, module->config.store,
		module->config.mode == ICP_MODE_MONITOR ? "monitor" : "enforce");
	return 1;
}

void icp_module_teardown(struct module_env *env, int id)
{
	struct dynlibmod_env *dynlib = env->modinfo[id];
	icp_module_t *module = dynlib->dyn_env;
	if (module == NULL) {
		return;
	}
	dynlib->inplace_cb_delete_wrapped(env, inplace_cb_query_response, id);
	icp_gate_destroy(module->gate);
	icp_config_deinit(&module->config);
	free(module);
	dynlib->dyn_env = NULL;
}
