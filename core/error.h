/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Error codes and diagnostics.
 *
 * Functions return ICP_EOK or a negative code below. LMDB, MMDB, libyaml and errno values are
 * translated at the boundary where they appear; no other layer sees them. Where an operator has to
 * act, the function also fills an icp_diag_t with one line that names the file, the line and the
 * value.
 */
#pragma once

enum icp_error {
	ICP_EOK = 0,
	ICP_ENOMEM = -1000, /*!< Out of memory. */
	ICP_EINVAL,         /*!< A value is not valid (name, address, time, number). */
	ICP_ESYS,           /*!< The operating system refused (open, read, write, rename, space). */
	ICP_ECONFIG,        /*!< The configuration is not valid. */
	ICP_EFEED,          /*!< The feed or its manifest is not valid. */
	ICP_EGUARD,         /*!< A guard refused a valid feed. */
	ICP_ENOSTORE,       /*!< The store holds no current generation. */
	ICP_EVERSION,       /*!< The store has another format version. */
	ICP_EDAMAGED,       /*!< The store's content contradicts itself. */
	ICP_ERANGES,        /*!< The range database is not readable or not usable. */
	ICP_EBUSY,          /*!< Another loader holds the store. */
	ICP_EFULL,          /*!< A generation's file has no room for more; a new one would have. */
};

/*! One line for an operator, without a line end. */
typedef struct {
	char text[1024];
} icp_diag_t;

/*! \brief A constant English phrase for a code; "unknown error" for others. */
const char *icp_strerror(int code);

/*!
 * \brief Writes a diagnostic and returns its code, so that it can be used in a return statement.
 * \param diag  filled; may be NULL
 * \param code  one of enum icp_error
 */
int icp_fail(icp_diag_t *diag, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
