/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the subcommands of icpgate share. Each subcommand is one function in a file of its own,
 * takes its arguments without options, writes its result to stdout and messages to stderr, and
 * returns the exit status. One thread.
 */
#pragma once

#include <jansson.h>

#include "core/config.h"
#include "core/count.h"
#include "core/store.h"
#include "core/verdict.h"

/*! Exit statuses; see icpgate(1). */
enum icp_exit {
	ICP_EXIT_DONE = 0,
	ICP_EXIT_BLOCK = 1,  /*!< lookup: the verdict is block. */
	ICP_EXIT_USAGE = 2,  /*!< Usage, configuration, or input that is not valid. */
	ICP_EXIT_FAILED = 4, /*!< The store or the system failed. */
};

/*! The options, which are the same for all subcommands. */
typedef struct {
	char *config;  /*!< -c, or NULL. */
	char *store;   /*!< --store, or NULL. */
	char *resolve; /*!< --resolve, or NULL. */
	int64_t at;    /*!< --at, or ICP_TIME_NONE: now. */
	char *names;   /*!< --names, or NULL. */
	int days;      /*!< --days, or 0. */
	bool list;     /*!< --list */
	bool json;
	char *socket; /*!< --socket, or NULL. */
	bool force;   /*!< --force */
} icp_tool_t;

#define ICP_DAYS_MAX 36500 /*!< A hundred years. */

int icp_tool_lookup(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_dump(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_verify(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_check(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_diff(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_upcoming(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_history(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_ranges(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_bench(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_ctl(const icp_tool_t *tool, int count, char **arguments);
int icp_tool_stat(const icp_tool_t *tool, int count, char **arguments);

/*!
 * \brief Reads the configuration; --store overrides what it says of the store.
 * \param config  freed with icp_config_deinit
 * \retval ICP_EOK, ICP_ECONFIG (also when it can't be read), ICP_ENOMEM
 */
int icp_tool_config(const icp_tool_t *tool, icp_config_t *config, icp_diag_t *diag);

/*!
 * \brief Finds the store: that of --store, or else of the configuration. With --store, only a
 *        configuration named by -c is read.
 * \param config  zeroed where none is read; freed with icp_config_deinit
 * \param store   lives as long as the configuration
 * \retval those of icp_tool_config
 */
int icp_tool_store(
	const icp_tool_t *tool, icp_config_t *config, const char **store, icp_diag_t *diag);

/*!
 * \brief Both, with the configuration freed.
 * \param reader  freed with icp_tool_close
 * \retval ICP_EOK; those of icp_tool_config, icp_store_open and icp_reader_begin
 */
int icp_tool_open(const icp_tool_t *tool, icp_reader_t *reader, icp_diag_t *diag);

/*! \brief Gives the snapshot back and closes the store. */
void icp_tool_close(icp_reader_t *reader);

/*!
 * \brief Reads a name.
 * \retval ICP_EOK, ICP_ENOMEM
 * \retval ICP_EINVAL  diag: "not a name (what is wrong): TEXT", fit to be shown
 */
int icp_tool_name(icp_name_t *name, const char *text, size_t length, icp_diag_t *diag);

/*!
 * \brief Cuts the next word out of a line, and ends it with NUL; it may hold others.
 * \param at   moved on
 * \param end  of the line, where there is room for that NUL
 * \return NULL: no more
 */
char *icp_tool_word(char **at, char *end, size_t *length);

/*!
 * \brief Writes a failure to stderr.
 * \param code  one of enum icp_error; its phrase is used where diag is empty
 * \param diag  written as a terminal may have it
 * \return exit status
 */
int icp_tool_failed(int code, const icp_diag_t *diag);

/*!
 * \brief Ends the output: a write to stdout that failed becomes a message and an exit status.
 * \param status  returned when all is well
 */
int icp_tool_finish(int status);

/*! \brief The given time, or now. */
int64_t icp_tool_now(const icp_tool_t *tool);

/*! \brief Text of a stored name; "?" for bytes that are none. */
void icp_stored_format(const uint8_t *wire, size_t length, char text[ICP_NAME_TEXT_MAX]);

/*! \brief Writes licensed addresses to stdout as in the feed, separated by spaces. */
void icp_licensed_print(const icp_row_t *row);

/*! \brief A JSON string; octets outside ASCII become question marks where they are not UTF-8. */
json_t *icp_json_text(const char *text, size_t length);

/*! \brief A JSON string in RFC 3339; null for ICP_TIME_NONE. */
json_t *icp_json_time(int64_t time);

/*! \brief A row as an object; times and licensed addresses only where they are set. */
json_t *icp_json_row(const icp_row_t *row);

/*!
 * \brief Writes a value on one line of stdout and gives it back.
 * \param value  NULL: it could not be made, for lack of memory
 * \return exit status; the message is written
 */
int icp_json_print(json_t *value);
