/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of the gate share: a gate with a store and a range database of its own.
 */
#pragma once

#include "tests/unit/loader_help.h"

#include <sys/wait.h>

#include "core/gate.h"
#include "db-tools/ranges_csv.h"

#define GATED "198.51.100.1"
#define ABROAD "192.0.2.1"

static const char config_text[] = "store: %1$s/store\n"
				  "providers: [qcloud]\n"
				  "ranges: {database: %1$s/r.mmdb, provider: {path: [provider]}}\n"
				  "block: {ipv4: 203.0.113.80}\n";
static const char ranges_text[] = "prefix,country,provider\n"
				  "198.51.100.0/24,CN,qcloud\n";

static char last_line[1280];
static unsigned line_count;

static inline void keep_line(enum icp_level level, const char *line)
{
	if (level != ICP_LEVEL_INFO) {
		snprintf(last_line, sizeof last_line, "%s", line);
		line_count++;
	}
}

/*! A gate with a store of its own. */
typedef struct {
	site_t *site;
	icp_config_t config;
	icp_gate_t *gate;
} world_t;

static inline void compile_ranges(const site_t *site, const char *text)
{
	icp_ranges_stats_t stats;
	icp_diag_t diag = {""};
	write_text(in_dir(site, "r.csv"), text);
	icp_ranges_compile(in_dir(site, "r.csv"), in_dir(site, "r.mmdb"), NOW, &stats, &diag);
	assert_string_equal(diag.text, "");
}

/*! Loads a feed in a process of its own: this one may have the current generation open. */
static inline void publish(site_t *site, const char *rows)
{
	pid_t child = fork();
	if (child == 0) {
		char text[1024];
		snprintf(text, sizeof text, HEADER "%s", rows);
		_exit(load_text(site, text) == ICP_EOK ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static inline world_t open_world(site_t *site)
{
	world_t world = {.site = site};
	char text[sizeof config_text + 2 * sizeof site->dir];
	icp_diag_t diag = {""};
	snprintf(text, sizeof text, config_text, site->dir);
	write_text(in_dir(site, "icpgate.conf"), text);
	compile_ranges(site, ranges_text);
	icp_config_load(&world.config, in_dir(site, "icpgate.conf"), &diag);
	assert_string_equal(diag.text, "");
	last_line[0] = '\0';
	line_count = 0;
	return world;
}

static inline void create_gate(world_t *world, unsigned seats)
{
	icp_diag_t diag = {""};
	icp_gate_create(&world->gate, &world->config, seats, keep_line, &diag);
	assert_string_equal(diag.text, "");
}

static inline void close_world(world_t *world)
{
	icp_gate_destroy(world->gate);
	icp_config_deinit(&world->config);
}

static inline enum icp_reason judge(icp_gate_t *gate, unsigned seat, const char *name_text,
	const char *address_text, int64_t now)
{
	icp_name_t name;
	icp_address_t address;
	icp_decision_t decision;
	assert_int_equal(icp_name_parse(&name, name_text, strlen(name_text), NULL), ICP_EOK);
	assert_int_equal(icp_address_parse(&address, address_text, strlen(address_text)), ICP_EOK);
	assert_int_equal(icp_gate_judge(gate, seat, &name, &address, 1, now, &decision), ICP_EOK);
	icp_gate_release(gate, seat);
	return decision.judgement.reason;
}

static inline void link_to(const site_t *site, const char *target)
{
	char link[512];
	snprintf(link, sizeof link, "%s/store/" ICP_STORE_CURRENT, site->dir);
	char new[sizeof link + 4];
	snprintf(new, sizeof new, "%s.new", link);
	assert_int_equal(symlink(target, new), 0);
	assert_int_equal(rename(new, link), 0);
}
