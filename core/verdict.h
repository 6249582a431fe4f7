/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The rules: given a name, places of its addresses, the rows that count, a policy and the time, is
 * the name to be served? A pure function that knows nothing of files, databases or resolvers; it
 * allocates nothing and is safe in any thread.
 */
#pragma once

#include "core/name.h"
#include "core/row.h"

enum icp_scope { ICP_SCOPE_PROVIDER, ICP_SCOPE_MAINLAND };
enum icp_mixed { ICP_MIXED_BLOCK, ICP_MIXED_STRIP };
enum icp_licence { ICP_LICENCE_IGNORE, ICP_LICENCE_REPORT, ICP_LICENCE_ENFORCE };
enum icp_verdict { ICP_PASS, ICP_BLOCK };

/*! Why; in each group the earlier wins. Permitting reasons carry the numbers of their statuses. */
enum icp_reason {
	ICP_REASON_FILED,
	ICP_REASON_CHANGING,
	ICP_REASON_RECTIFYING,
	ICP_REASON_TRANSFER_PREAPPROVED,
	ICP_REASON_PENDING,
	ICP_REASON_TRANSFER_EXPIRED,
	ICP_REASON_TRANSFER_CANCELLED,
	ICP_REASON_DEREGISTERED,
	ICP_REASON_RECTIFY_OVERDUE,
	ICP_REASON_LICENCE_ADDRESS_MISMATCH,
	ICP_REASON_FILED_ELSEWHERE,
	ICP_REASON_UNFILED,
	ICP_REASON_NOT_GATED,
	ICP_REASON_EXEMPT,
	ICP_REASON_NO_INDEX,
	ICP_REASON_COUNT,
};

/*! Bits of icp_ruling_t.warnings. */
enum icp_warning { ICP_WARN_LICENCE_ADDRESS_MISMATCH = 1 };

/*! The part of the configuration that decides. Owned by the configuration. */
typedef struct {
	enum icp_scope scope;
	enum icp_mixed mixed;
	enum icp_licence licence_addresses;
	enum icp_verdict rectify_overdue;
	enum icp_verdict on_no_index;
	const char **providers;
	size_t provider_count;
	const icp_name_t *exempt;
	size_t exempt_count;
	const icp_prefix_t *nat64;
	size_t nat64_count;
} icp_policy_t;

/*! Where an address lies. */
typedef struct {
	icp_address_t address; /*!< Unmapped. */
	bool mainland;
	uint8_t provider_length; /*!< 0: no known provider. */
	const char *provider;
} icp_place_t;

/*! The answer for one address. */
typedef struct {
	enum icp_verdict verdict;
	enum icp_reason reason;
	bool gated;
	unsigned warnings;
} icp_ruling_t;

/*! The answer for the name. */
typedef struct {
	enum icp_verdict verdict;
	enum icp_reason reason;
	uint8_t covering; /*!< Labels of the nearest domain that has a row; 0: none. */
	int64_t until; /*!< First second at which the time alone may change it; else INT64_MAX. */
	bool timed; /*!< Times of rows take part, so at another time, also before, it may differ. */
} icp_judgement_t;

/*! \brief The contract's word for a reason ("filed-elsewhere", ...). */
const char *icp_reason_name(enum icp_reason reason);

/*! \brief "pass" or "block". */
const char *icp_verdict_name(enum icp_verdict verdict);

/*! \brief True when the name is at or under an exempt suffix of the policy. */
bool icp_policy_exempts(const icp_policy_t *policy, const icp_name_t *name);

/*! \brief True when a place is in scope, so that its address is gated. */
bool icp_policy_gates(const icp_policy_t *policy, const icp_place_t *place);

/*! \brief A place that stands for any that is gated: of the first provider, if one is named. */
icp_place_t icp_policy_place(const icp_policy_t *policy);

/*!
 * \brief True when a row permits by its status and the time alone; no address is looked at.
 * \param rectify_overdue  what becomes of a deadline that has passed, as in the policy
 */
bool icp_row_permits(const icp_row_t *row, enum icp_verdict rectify_overdue, int64_t now);

/*!
 * \brief Judges one name.
 * \param rows     rows of the name and of its parents, in any order; NULL when the store can't be
 *                 read (an empty, readable store is a pointer with row_count 0)
 * \param now      seconds
 * \param rulings  room for place_count entries; filled in the order of places
 */
icp_judgement_t icp_verdict_judge(const icp_policy_t *policy, const icp_name_t *name,
	const icp_place_t *places, size_t place_count, const icp_row_t *rows, size_t row_count,
	int64_t now, icp_ruling_t *rulings);

/*! \brief The name's verdict and reason from the rulings on its addresses; the rest is left alone.
 */
void icp_verdict_summarise(const icp_policy_t *policy, const icp_ruling_t *rulings, size_t count,
	icp_judgement_t *judgement);
