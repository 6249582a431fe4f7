/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/suffix.h"
#include "core/time.h"
#include "core/text.h"

struct icp_rules {
	icp_suffix_t *suffixes;
	icp_prefix_t licensed[ICP_LICENSED_MAX];
};

static const char *const column_names[ICP_COLUMN_COUNT] = {
	[ICP_COLUMN_DOMAIN] = "domain",
	[ICP_COLUMN_PROVIDER] = "provider",
	[ICP_COLUMN_STATUS] = "status",
	[ICP_COLUMN_OP] = "op",
	[ICP_COLUMN_NUMBER] = "number",
	[ICP_COLUMN_APPROVED_AT] = "approved_at",
	[ICP_COLUMN_EXPIRES_AT] = "expires_at",
	[ICP_COLUMN_RECTIFY_BY] = "rectify_by",
	[ICP_COLUMN_LICENSED_ADDRESSES] = "licensed_addresses",
};

static const char *const op_names[] = {
	[ICP_OP_UPSERT] = "upsert",
	[ICP_OP_DELETE] = "delete",
	[ICP_OP_DEREGISTER_ENTITY] = "deregister-entity",
};

const char *icp_column_name(enum icp_column column)
{
	return column_names[column];
}

icp_rules_t *icp_rules_create(void)
{
	icp_rules_t *rules = calloc(1, sizeof *rules);
	if (rules == NULL) {
		return NULL;
	}
	rules->suffixes = icp_suffix_create();
	if (rules->suffixes == NULL) {
		free(rules);
		return NULL;
	}
	return rules;
}

void icp_rules_destroy(icp_rules_t *rules)
{
	if (rules != NULL) {
		icp_suffix_destroy(rules->suffixes);
		free(rules);
	}
}

static int refuse(icp_fault_t *fault, const char *what, icp_field_t value)
{
	snprintf(fault->what, sizeof fault->what, "%s", what);
	fault->value = value.text;
	fault->length = value.length;
	return ICP_EINVAL;
}

/*! As refuse, for phrases that name a column. The value of what is missing is the domain. */
static int refuse_column(icp_fault_t *fault, enum icp_column column, const char *what,
	const char *more, icp_field_t value)
{
	snprintf(fault->what, sizeof fault->what, "%s %s%s", column_names[column], what, more);
	fault->value = value.text;
	fault->length = value.length;
	return ICP_EINVAL;
}

/*! An address may be written in ways that only name parsing understands: "1.2.3.4." */
static bool is_address(const icp_name_t *name)
{
	char text[ICP_NAME_TEXT_MAX];
	icp_address_t address;
	uint8_t last = name->wire[name->length - 1];
	if (last < '0' || last > '9') {
		return false;
	}
	icp_name_format(name, text);
	return icp_address_parse(&address, text, strlen(text)) == ICP_EOK;
}

static int parse_domain(icp_name_t *name, icp_field_t field, icp_fault_t *fault)
{
	const char *why;
	if (field.length == 0) {
		return refuse(fault, "domain is missing", field);
	}
	int ret = icp_name_parse(name, field.text, field.length, &why);
	if (ret != ICP_EINVAL) {
		return ret;
	}
	icp_address_t address;
	if (icp_address_parse(&address, field.text, field.length) == ICP_EOK) {
		return refuse(fault, "domain is an address", field);
	}
	if (!icp_text_is_utf8(field.text, field.length)) {
		return refuse(fault, "domain is not UTF-8", field);
	}
	snprintf(fault->what, sizeof fault->what, "domain is not a valid name, %s", why);
	fault->value = field.text;
	fault->length = field.length;
	return ICP_EINVAL;
}

static int check_domain(icp_rules_t *rules, icp_name_t *name, icp_field_t field, icp_fault_t *fault)
{
	int ret = parse_domain(name, field, fault);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (!icp_name_is_ldh(name)) {
		return refuse(fault, "domain is not a host name", field);
	}
	if (name->labels == 1) {
		return refuse(fault, "domain is a single label", field);
	}
	if (is_address(name)) {
		return refuse(fault, "domain is an address", field);
	}
	if (icp_suffix_is_public(rules->suffixes, name)) {
		return refuse(fault, "domain is a public suffix", field);
	}
	return ICP_EOK;
}

static int check_provider(icp_row_t *row, const icp_field_t *fields, icp_fault_t *fault)
{
	icp_field_t field = fields[ICP_COLUMN_PROVIDER];
	if (field.length == 0) {
		return refuse(fault, "provider is missing", fields[ICP_COLUMN_DOMAIN]);
	}
	if (!icp_provider_valid(field.text, field.length)) {
		return refuse(fault, "provider is not 1 to 32 of a-z, 0-9 and hyphen", field);
	}
	row->provider = field.text;
	row->provider_length = (uint8_t)field.length;
	return ICP_EOK;
}

static int check_status(icp_row_t *row, const icp_field_t *fields, icp_fault_t *fault)
{
	icp_field_t field = fields[ICP_COLUMN_STATUS];
	enum icp_status status;
	if (field.length == 0) {
		return refuse(fault, "status is missing", fields[ICP_COLUMN_DOMAIN]);
	}
	if (icp_status_parse(&status, field.text, field.length) != ICP_EOK) {
		return refuse(fault, "status is not known", field);
	}
	row->status = (uint8_t)status;
	return ICP_EOK;
}

/*! Takes a number, or none. */
static int take_number(icp_row_t *row, icp_field_t field, icp_fault_t *fault)
{
	if (field.length > ICP_NUMBER_MAX) {
		return refuse(fault, "number is over 128 octets", field);
	}
	if (!icp_text_is_utf8(field.text, field.length)) {
		return refuse(fault, "number is not UTF-8", field);
	}
	if (icp_text_has_control(field.text, field.length)) {
		return refuse(fault, "number holds a control character", field);
	}
	row->number = field.text;
	row->number_length = (uint8_t)field.length;
	return ICP_EOK;
}

static int check_number(icp_row_t *row, const icp_field_t *fields, icp_fault_t *fault)
{
	icp_field_t field = fields[ICP_COLUMN_NUMBER];
	if (field.length == 0 && row->status != ICP_PENDING) {
		return refuse_column(fault, ICP_COLUMN_NUMBER, "is missing for ",
			icp_status_name(row->status), fields[ICP_COLUMN_DOMAIN]);
	}
	return take_number(row, field, fault);
}

/*! Reads an optional time. */
static int take_time(int64_t *seconds, const icp_field_t *fields, enum icp_column column,
	enum icp_date date, icp_fault_t *fault)
{
	icp_field_t field = fields[column];
	*seconds = ICP_TIME_NONE;
	if (field.length > 0 &&
		icp_time_parse(seconds, field.text, field.length, date) != ICP_EOK) {
		return refuse_column(fault, column, "is not a time or a date", "", field);
	}
	return ICP_EOK;
}

/*! A column that only one status may have. */
static int only_for(const icp_row_t *row, enum icp_status status, const icp_field_t *fields,
	enum icp_column column, icp_fault_t *fault)
{
	if (fields[column].length > 0 && row->status != status) {
		return refuse_column(
			fault, column, "is only for ", icp_status_name(status), fields[column]);
	}
	return ICP_EOK;
}

/*! A column that one status must have. */
static int needed_for(const icp_row_t *row, enum icp_status status, const icp_field_t *fields,
	enum icp_column column, icp_fault_t *fault)
{
	if (fields[column].length == 0 && row->status == status) {
		return refuse_column(fault, column, "is missing for ", icp_status_name(status),
			fields[ICP_COLUMN_DOMAIN]);
	}
	return ICP_EOK;
}

static int check_times(icp_row_t *row, const icp_field_t *fields, icp_fault_t *fault)
{
	const enum icp_status transfer = ICP_TRANSFER_PREAPPROVED;
	int ret =
		take_time(&row->approved_at, fields, ICP_COLUMN_APPROVED_AT, ICP_DATE_FIRST, fault);
	if (ret != ICP_EOK ||
		(ret = needed_for(row, transfer, fields, ICP_COLUMN_APPROVED_AT, fault)) !=
			ICP_EOK ||
		(ret = only_for(row, transfer, fields, ICP_COLUMN_EXPIRES_AT, fault)) != ICP_EOK ||
		(ret = take_time(&row->expires_at, fields, ICP_COLUMN_EXPIRES_AT, ICP_DATE_THROUGH,
			 fault)) != ICP_EOK ||
		(ret = needed_for(row, ICP_RECTIFYING, fields, ICP_COLUMN_RECTIFY_BY, fault)) !=
			ICP_EOK ||
		(ret = only_for(row, ICP_RECTIFYING, fields, ICP_COLUMN_RECTIFY_BY, fault)) !=
			ICP_EOK) {
		return ret;
	}
	if (row->status == transfer && row->expires_at == ICP_TIME_NONE) {
		row->expires_at = icp_time_clamp(row->approved_at + ICP_TRANSFER_SECONDS);
	}
	return take_time(&row->rectify_by, fields, ICP_COLUMN_RECTIFY_BY, ICP_DATE_THROUGH, fault);
}

static int check_licensed(
	icp_rules_t *rules, icp_row_t *row, const icp_field_t *fields, icp_fault_t *fault)
{
	icp_field_t field = fields[ICP_COLUMN_LICENSED_ADDRESSES];
	row->licensed = rules->licensed;
	row->licensed_count = 0;
	if (field.length == 0) {
		return ICP_EOK; /* There may be no text to lead into. */
	}
	const char *at = field.text;
	const char *end = at + field.length;
	while (at < end) {
		const char *space = memchr(at, ' ', (size_t)(end - at));
		icp_field_t one = {at, (size_t)((space != NULL ? space : end) - at)};
		at += one.length + (space != NULL);
		if (one.length == 0) {
			continue;
		}
		if (row->licensed_count == ICP_LICENSED_MAX) {
			return refuse(fault, "licensed_addresses are over 256", one);
		}
		if (icp_prefix_parse(&rules->licensed[row->licensed_count], one.text, one.length) !=
			ICP_EOK) {
			return refuse(fault, "licensed_addresses: not an address or a prefix", one);
		}
		row->licensed_count++;
	}
	return ICP_EOK;
}

static void set_domain(icp_row_t *row, const icp_name_t *name)
{
	row->domain = name->wire;
	row->domain_length = name->length;
	row->labels = name->labels;
}

int icp_rules_check(icp_rules_t *rules, const icp_field_t fields[ICP_COLUMN_COUNT],
	icp_name_t *name, icp_row_t *row, icp_fault_t *fault)
{
	int ret = check_domain(rules, name, fields[ICP_COLUMN_DOMAIN], fault);
	if (ret != ICP_EOK || (ret = check_provider(row, fields, fault)) != ICP_EOK ||
		(ret = check_status(row, fields, fault)) != ICP_EOK ||
		(ret = check_number(row, fields, fault)) != ICP_EOK ||
		(ret = check_times(row, fields, fault)) != ICP_EOK ||
		(ret = check_licensed(rules, row, fields, fault)) != ICP_EOK) {
		return ret;
	}
	set_domain(row, name);
	return ICP_EOK;
}

static int check_op(enum icp_op *op, const icp_field_t *fields, icp_fault_t *fault)
{
	icp_field_t field = fields[ICP_COLUMN_OP];
	if (field.length == 0) {
		return refuse(fault, "op is missing", fields[ICP_COLUMN_DOMAIN]);
	}
	for (unsigned i = 0; i < sizeof op_names / sizeof *op_names; i++) {
		if (strlen(op_names[i]) == field.length &&
			memcmp(op_names[i], field.text, field.length) == 0) {
			*op = (enum icp_op)i;
			return ICP_EOK;
		}
	}
	return refuse(fault, "op is not known", field);
}

/*! All sites of an entity at once; a site's number would be a mistake. */
static int check_entity(icp_row_t *row, const icp_field_t *fields, icp_fault_t *fault)
{
	static const enum icp_column unused[] = {
		ICP_COLUMN_DOMAIN, ICP_COLUMN_PROVIDER, ICP_COLUMN_STATUS};
	static const char last[] = "号";
	const size_t last_length = sizeof last - 1;
	const char *op = op_names[ICP_OP_DEREGISTER_ENTITY];
	icp_field_t field = fields[ICP_COLUMN_NUMBER];
	for (size_t i = 0; i < sizeof unused / sizeof *unused; i++) {
		if (fields[unused[i]].length > 0) {
			return refuse_column(
				fault, unused[i], "must be empty for ", op, fields[unused[i]]);
		}
	}
	if (field.length == 0) {
		return refuse_column(fault, ICP_COLUMN_NUMBER, "is missing for ", op, field);
	}
	int ret = take_number(row, field, fault);
	if (ret == ICP_EOK &&
		(field.length < last_length ||
			memcmp(field.text + field.length - last_length, last, last_length) != 0)) {
		return refuse(fault, "number is not an entity's, which ends in 号", field);
	}
	return ret;
}

int icp_rules_check_change(icp_rules_t *rules, const icp_field_t fields[ICP_COLUMN_COUNT],
	icp_change_t *change, icp_fault_t *fault)
{
	icp_row_t *row = &change->row;
	int ret = check_op(&change->op, fields, fault);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (change->op == ICP_OP_UPSERT) {
		return icp_rules_check(rules, fields, &change->name, row, fault);
	}
	*row = (icp_row_t){.approved_at = ICP_TIME_NONE,
		.expires_at = ICP_TIME_NONE,
		.rectify_by = ICP_TIME_NONE};
	if (change->op == ICP_OP_DEREGISTER_ENTITY) {
		change->name.length = 0;
		change->name.labels = 0;
		return check_entity(row, fields, fault);
	}
	ret = check_domain(rules, &change->name, fields[ICP_COLUMN_DOMAIN], fault);
	if (ret == ICP_EOK) {
		set_domain(row, &change->name);
		ret = check_provider(row, fields, fault);
	}
	return ret;
}
