/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The command line of icpgate-load.
 */
#pragma once

#include "loader/guard.h"
#include "loader/session.h"

enum { EXIT_DONE = 0, EXIT_GUARD = 1, EXIT_USAGE = 2, EXIT_FEED = 3, EXIT_FAILED = 4 };

/*! Options that only some commands take. */
enum icp_takes {
	ICP_TAKES_MANIFEST = 1,  /*!< --no-manifest */
	ICP_TAKES_GUARD = 2,     /*!< --max-lost, --force */
	ICP_TAKES_KEEP = 4,      /*!< --keep */
	ICP_TAKES_WAIT = 8,      /*!< --no-wait */
	ICP_TAKES_FROM = 16,     /*!< --from */
	ICP_TAKES_QUERY = 32,    /*!< --query */
	ICP_TAKES_ONCE = 64,     /*!< --once */
	ICP_TAKES_LINKS = 128,   /*!< --no-links */
	ICP_TAKES_OVERDUE = 256, /*!< --rectify-overdue */
};

typedef struct {
	const char *config; /*!< -c, or NULL. */
	const char *from;   /*!< Of a database, or NULL: feeds are files. */
	const char *query;  /*!< Or NULL. */
	bool once;
	bool json;
	bool no_manifest;
	bool force;
	icp_max_lost_t max_lost;
	icp_session_options_t session; /*!< Its store: --store, then what is in force. */
	unsigned given;                /*!< icp_takes bits of the options that were given. */
} icp_options_t;

/*!
 * \brief Takes all options, which may stand anywhere.
 * \param options  set to the defaults where an option is not given; leads into argv
 * \return -1: what is left of argv begins at optind; else the exit status, and all is said
 */
int icp_options_parse(icp_options_t *options, int argc, char **argv);

/*!
 * \brief Says which option is not for a command, if one is.
 * \param takes  icp_takes bits of those that are
 */
bool icp_options_check(const icp_options_t *options, const char *command, unsigned takes);

/*! \brief Writes how the command is used to stderr. \return EXIT_USAGE */
int icp_options_usage(void);

/*!
 * \brief Ends the output: a write to stdout that failed becomes a message and an exit status.
 * \param status  returned when all is well
 */
int icp_options_finish(int status);
