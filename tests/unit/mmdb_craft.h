/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Databases made by hand, right and wrong ones, that the writer would not write.
 */
#pragma once

#include "tests/unit/mmdb_help.h"

/* Encoded: {country: {iso_code: CN}, provider: qcloud} */
#define COUNTRY_CN                                                                                 \
	"\x47"                                                                                     \
	"country\xe1\x48"                                                                          \
	"iso_code\x42"                                                                             \
	"CN"
#define GOOD                                                                                       \
	"\xe2" COUNTRY_CN "\x48"                                                                   \
	"provider\x46"                                                                             \
	"qcloud"

#define CRAFT_NODES 128

/*! A database with tree records of 24 bits. */
typedef struct {
	uint32_t ip_version;
	uint32_t nodes[CRAFT_NODES][2];
	uint32_t node_count;
	uint32_t claimed_nodes; /*!< What the metadata say; 0: the truth. */
	bool has_circle; /*!< The languages of the metadata are an array that holds itself, twice.
			  */
	const void *data;
	size_t data_size;
} craft_t;

static void craft_number(FILE *file, uint32_t value, unsigned octets)
{
	while (octets-- > 0) {
		fputc((int)(value >> 8 * octets & 0xff), file);
	}
}

static void craft_key(FILE *file, const char *key)
{
	fputc(0x40 | (int)strlen(key), file);
	fputs(key, file);
}

static void craft_field(FILE *file, const char *key, unsigned control, uint32_t value)
{
	craft_key(file, key);
	fputc((int)control, file);
	craft_number(file, value, control & 31);
}

static void craft_write(const craft_t *craft, const char *path)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	for (uint32_t i = 0; i < craft->node_count; i++) {
		craft_number(file, craft->nodes[i][0], 3);
		craft_number(file, craft->nodes[i][1], 3);
	}
	static const uint8_t separator[16];
	fwrite(separator, 1, sizeof separator, file);
	fwrite(craft->data, 1, craft->data_size, file);
	fputs("\xab\xcd\xefMaxMind.com", file);
	long metadata = ftell(file);
	fputc(0xe9, file);
	craft_field(file, "binary_format_major_version", 0xa1, 2);
	craft_field(file, "binary_format_minor_version", 0xa0, 0);
	craft_key(file, "build_epoch");
	fputs("\x01\x02\x01", file);
	craft_key(file, "database_type");
	craft_key(file, "crafted");
	craft_key(file, "description");
	fputs("\xe0", file);
	craft_field(file, "ip_version", 0xa1, craft->ip_version);
	craft_key(file, "languages");
	if (craft->has_circle) {
		unsigned long at = (unsigned long)(ftell(file) - metadata);
		fputs("\x02\x04", file);
		craft_number(file, (uint32_t)(0x20002000 | at << 16 | at), 4);
	} else {
		fputs("\x01\x04", file);
		craft_key(file, "en");
	}
	craft_field(file, "node_count", 0xc4,
		craft->claimed_nodes != 0 ? craft->claimed_nodes : craft->node_count);
	craft_field(file, "record_size", 0xa1, 24);
	assert_int_equal(fclose(file), 0);
}

/*! Where data begins, as a tree record names it. */
static uint32_t data_at(uint32_t node_count, size_t offset)
{
	return node_count + 16 + (uint32_t)offset;
}

/*! Records beside a good one, and what is made of them. */
static const struct {
	const char *shows;
	const char *data;
	size_t size;
	bool is_damaged;
	bool mainland;
	const char *provider;
} records[] = {
#define RECORD(text) text, sizeof text - 1
	{"as it should be", RECORD(GOOD), false, true, "qcloud"},
	{"a pointer to the good one", RECORD("\x20\x00"), false, true, "qcloud"},
	{"provider of 32 octets",
		RECORD("\xe2" COUNTRY_CN "\x48"
		       "provider\x5d\x03"
		       "p2345678901234567890123456789012"),
		false, true, "p2345678901234567890123456789012"},
	{"provider of 33 octets",
		RECORD("\xe2" COUNTRY_CN "\x48"
		       "provider\x5d\x04"
		       "p23456789012345678901234567890123"),
		false, true, ""},
	{"empty provider",
		RECORD("\xe2" COUNTRY_CN "\x48"
		       "provider\x40"),
		false, true, ""},
	{"provider is a number",
		RECORD("\xe2" COUNTRY_CN "\x48"
		       "provider\xa1\x07"),
		false, true, ""},
	{"only the provider",
		RECORD("\xe1\x48"
		       "provider\x46"
		       "qcloud"),
		false, false, "qcloud"},
	{"country is a number",
		RECORD("\xe1\x47"
		       "country\xe1\x48"
		       "iso_code\xa1\x07"),
		false, false, ""},
	{"country is longer",
		RECORD("\xe1\x47"
		       "country\xe1\x48"
		       "iso_code\x43"
		       "CNN"),
		false, false, ""},
	{"country is shorter",
		RECORD("\xe1\x47"
		       "country\xe1\x48"
		       "iso_code\x41"
		       "C"),
		false, false, ""},
	{"country is a string",
		RECORD("\xe1\x47"
		       "country\x42"
		       "CN"),
		false, false, ""},
	{"a string",
		RECORD("\x42"
		       "CN"),
		false, false, ""},
	{"an empty map", RECORD("\xe0"), false, false, ""},
	{"an empty array", RECORD("\x00\x04"), false, false, ""},
	{"a string that goes on beyond the file", RECORD("\xe1\x5f\xff\xff\xff"), true, false, ""},
	{"a map with too many keys", RECORD("\xff\xff\xff\xff"), true, false, ""},
	{"a map with a map for a key",
		RECORD("\xe1\xe0\x42"
		       "CN"),
		true, false, ""},
	{"a pointer that leads nowhere", RECORD("\x38\xff\xff\xff\xff"), true, false, ""},
	{"a number of too many octets",
		RECORD("\xe1\x47"
		       "country\xa5"
		       "12345"),
		true, false, ""},
#undef RECORD
};
