/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/setup.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "module/abi.h"
#include "module/cache.h"
#include "module/snoop.h"

#define CLOCK_LAG 5 /*!< Seconds: a smaller step back is not worth it. */

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
	if (cfg->harden_referral_path) {
		return icp_fail(diag, ICP_ECONFIG,
			"harden-referral-path: yes is not supported: the addresses of name servers would be looked up as by a client, and blocked ones not be found");
	}
	if (cfg->serve_expired_ttl_reset) {
		return icp_fail(diag, ICP_ECONFIG,
			"serve-expired-ttl-reset: yes is not supported: Unbound would serve names that were blocked in the meantime");
	}
	return ICP_EOK;
}

/*! Without a file that others can read the resolver runs all the same. */
static int open_stats(icp_module_t *module, unsigned seats, icp_diag_t *diag)
{
	icp_diag_t trouble;
	int ret = icp_stats_open(&module->stats, module->config.store, module->config.mode, seats,
		time(NULL), &trouble);
	if (ret != ICP_EOK) {
		return icp_fail(diag, ret, "%s", trouble.text);
	}
	if (trouble.text[0] != '\0') {
		log_line(ICP_LEVEL_WARNING, trouble.text);
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
	unsigned all_seats = module->seats + 1;
	ret = icp_gate_create(&module->gate, &module->config, all_seats, log_line, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	module->log_limits =
		aligned_alloc(_Alignof(icp_log_limit_t), all_seats * sizeof *module->log_limits);
	if (module->log_limits == NULL) {
		return ICP_ENOMEM;
	}
	memset(module->log_limits, 0, all_seats * sizeof *module->log_limits);
	return open_stats(module, all_seats, diag);
}

static int register_callbacks(
	struct module_env *env, int id, icp_module_t *module, icp_response_callback_t on_response)
{
	const struct dynlibmod_env *dynlib = env->modinfo[id];
	if (!dynlib->inplace_cb_register_wrapped(
		    (void *)on_response, inplace_cb_query_response, NULL, env, id)) {
		return 0;
	}
	/* Called for every answer from the cache, so only where it is needed. */
	return !icp_snoop_is_allowed(env->cfg) ||
	       dynlib->inplace_cb_register_wrapped(
		       (void *)icp_snoop_on_reply, inplace_cb_reply_cache, module, env, id);
}

int icp_module_setup(struct module_env *env, int id, icp_response_callback_t on_response)
{
	struct dynlibmod_env *dynlib = env->modinfo[id];
	icp_diag_t diag = {.text = "out of memory"};
	icp_module_t *module = calloc(1, sizeof *module);
	dynlib->dyn_env = module;
	if (module != NULL) {
		pthread_mutex_init(&module->spare_lock, NULL);
	}
	if (module == NULL || setup(env, module, &diag) != ICP_EOK) {
		log_err("icpgate: %s", diag.text);
		return 0;
	}
	if (!register_callbacks(env, id, module, on_response)) {
		log_err("icpgate: could not register with Unbound");
		return 0;
	}
	if (ub_limit_stale(env->cfg) && env->cfg->serve_expired) {
		log_info("icpgate: serve-expired-ttl: 0 (no limit) is taken as %d",
			UB_STALE_NO_LIMIT);
	}
	/* After reload_keep_cache it holds what was judged by another configuration, or not at all.
	 */
	icp_cache_park_all(env);
	log_info("icpgate: version %s, configuration %s, store %s, mode %s", ICP_VERSION,
		module->config.path, module->config.store,
		module->config.mode == ICP_MODE_MONITOR ? "monitor" : "enforce");
	return 1;
}

void icp_module_watch_clock(icp_module_t *module, struct module_env *env)
{
	time_t now = *env->now;
	time_t latest = atomic_load_explicit(&module->clock, memory_order_relaxed);
	if (now <= latest && now >= latest - CLOCK_LAG) {
		return;
	}
	/* A thread that was held up still goes by the time at which its event began. */
	time_t real = time(NULL);
	if (now < latest ? real >= latest - CLOCK_LAG : now > real + 1) {
		return;
	}
	/* One thread does it, and the others wait no longer than for what it holds. */
	if (atomic_compare_exchange_strong(&module->clock, &latest, now) && now < latest) {
		log_warn("icpgate: the clock went back by %lld s: all leases end",
			(long long)(latest - now));
		icp_cache_park_all(env);
	}
}

void icp_module_teardown(struct module_env *env, int id)
{
	struct dynlibmod_env *dynlib = env->modinfo[id];
	icp_module_t *module = dynlib->dyn_env;
	if (module == NULL) {
		return;
	}
	dynlib->inplace_cb_delete_wrapped(env, inplace_cb_query_response, id);
	dynlib->inplace_cb_delete_wrapped(env, inplace_cb_reply_cache, id);
	icp_gate_destroy(module->gate);
	icp_stats_close(module->stats);
	free(module->log_limits);
	icp_config_deinit(&module->config);
	pthread_mutex_destroy(&module->spare_lock);
	free(module);
	dynlib->dyn_env = NULL;
}
