/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What template.c, which parses, and template_page.c, which writes, share: a template as a list of
 * steps.
 */
#pragma once

#include "blockpage/template.h"

enum icp_op_kind { ICP_OP_TEXT, ICP_OP_VALUE, ICP_OP_IF };

typedef struct {
	enum icp_op_kind kind;
	bool negated;     /*!< Of a section. */
	bool raw;         /*!< Of a value. */
	unsigned value;   /*!< Its number. */
	uint32_t cases;   /*!< Of a section: a bit for each that it asks for. */
	uint32_t values;  /*!< Likewise. */
	size_t end;       /*!< Of a section: the op behind it. */
	const char *text; /*!< Of text: leads into the template's. */
	size_t length;
} icp_op_t;

struct icp_template {
	const icp_template_words_t *words;
	char *text; /*!< All that ops lead to. */
	icp_op_t *ops;
	size_t count;
	size_t capacity;
};

/*! \brief Adds a step at the end; NULL when memory is out. */
icp_op_t *icp_template_add(icp_template_t *made, icp_op_t op);
