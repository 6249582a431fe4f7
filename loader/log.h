/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The daemon's log: lines on stderr. Under systemd, whose journal adds the time, each begins with
 * its level as sd-daemon(3) has it; else with a word for it. What comes from outside is escaped.
 * One thread.
 */
#pragma once

enum icp_level { ICP_LOG_ERROR = 3, ICP_LOG_WARNING = 4, ICP_LOG_NOTICE = 5, ICP_LOG_INFO = 6 };

/*! \brief Writes a line; control characters become "?". */
void icp_log(enum icp_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
