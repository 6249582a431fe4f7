/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Configuration files that are refused, each with the message. For test_config_refused.c; the first
 * lines, what every file needs, for test_config.c, too.
 */
#pragma once

/* What every file needs, each on one line. */
#define PROVIDERS "providers: [qcloud]\n"
#define RANGES "ranges: {database: r.mmdb, provider: {path: [provider]}}\n"
#define BLOCK "block: {ipv4: 203.0.113.80}\n"
#define MINIMAL PROVIDERS RANGES BLOCK

#define D10 "0123456789"
#define D50 D10 D10 D10 D10 D10
#define D200 D50 D50 D50 D50

/* A bad value is on line 4 at the top, else on line 5. */
#define IN_BLOCK(line) PROVIDERS RANGES "block:\n  ipv4: 203.0.113.80\n  " line
#define IN_RANGES(line) PROVIDERS BLOCK "ranges:\n  database: r.mmdb\n  " line

#define TOP_KEYS                                                                                   \
	"store, mode, scope, providers, ranges, block, mixed, lease, rectify_overdue, "            \
	"licence_addresses, on_no_index, exempt, nat64_prefixes, daemon, blockpage"
#define DAEMON_KEYS                                                                                \
	"daemon.spool, daemon.control, daemon.http, daemon.stale_after, daemon.gap_after, "        \
	"daemon.keep, daemon.keep_audit, daemon.keep_spool, daemon.follow"
#define BLOCKPAGE_KEYS                                                                             \
	"blockpage.listen, blockpage.templates, blockpage.provider_name, blockpage.file_url, "     \
	"blockpage.transfer_url, blockpage.contact_url, blockpage.blocked_by, blockpage.api, "     \
	"blockpage.api_rate, blockpage.connections, blockpage.timeout"
#define IN_BLOCKPAGE(line) MINIMAL "blockpage:\n  " line
#define A_URL                                                                                       \
	"a URL of at most 1000 octets without spaces, quotes, < and >, that begins with https://, " \
	"http://"
#define BLOCK_KEYS "block.ipv4, block.ipv6, block.ttl, block.ede, block.text"
#define IN_DAEMON(line) MINIMAL "daemon:\n  " line
#define DURATION(range) range " seconds, as a number with s, m, h or d"
#define KEPT DURATION("86400 to 315360000")
#define ENDPOINT "address:port, with an IPv6 address in brackets, or none"
#define TEXT(range) range " octets, no control characters"
#define SECONDS "1 to 86400 seconds"
#define SLUGS "a list of 0 to 256, each a slug of 1 to 32 characters a-z, 0-9 and -"
#define PATHS "a list of 1 to 8, each " TEXT("1 to 255")
#define NAMES "a list of 0 to 65536, each a domain name"
#define PREFIXES "a list of 0 to 16, each an IPv6 prefix of length 32, 40, 48, 56, 64 or 96"

typedef struct {
	const char *shows;
	const char *content;
	const char *want; /* after the file's name */
} refused_t;

static const refused_t values[] = {
	{"store: empty", MINIMAL "store: ''\n", ":4: store: \"\"; allowed: " TEXT("1 to 4095")},
	{"store: control character", MINIMAL "store: \"a\\e[1m\\x85\"\n",
		":4: store: \"a\\x1b[1m\\xc2\\x85\" (a control character); allowed: " TEXT(
			"1 to 4095")},
	{"store: NUL", MINIMAL "store: \"a\\0b\"\n",
		":4: store: \"a\\x00b\" (a control character); allowed: " TEXT("1 to 4095")},
	{"mode: boolean", MINIMAL "mode: on\n", ":4: mode: \"on\"; allowed: enforce, monitor"},
	{"mode: case", MINIMAL "mode: Enforce\n",
		":4: mode: \"Enforce\"; allowed: enforce, monitor"},
	{"mode: prefix", MINIMAL "mode: enf\n", ":4: mode: \"enf\"; allowed: enforce, monitor"},
	{"mode: NUL after it", MINIMAL "mode: \"enforce\\0\"\n",
		":4: mode: \"enforce\\x00\"; allowed: enforce, monitor"},
	{"mode: list", MINIMAL "mode: [enforce]\n",
		":4: mode: a list of 1; allowed: enforce, monitor"},
	{"mode: mapping", MINIMAL "mode: {enforce: x}\n",
		":4: mode: a mapping; allowed: enforce, monitor"},
	{"mode: null", MINIMAL "mode:\n", ":4: mode: null; allowed: enforce, monitor"},
	{"mode: null, spelled", MINIMAL "mode: null\n",
		":4: mode: null; allowed: enforce, monitor"},
	{"mode: no null in quotes", MINIMAL "mode: 'null'\n",
		":4: mode: \"null\"; allowed: enforce, monitor"},
	{"mode: tag", MINIMAL "mode: !x enforce\n",
		":4: mode: a value with a tag; allowed: enforce, monitor"},
	{"scope", MINIMAL "scope: all\n", ":4: scope: \"all\"; allowed: provider, mainland"},
	{"providers: scalar", "providers: qcloud\n" RANGES BLOCK,
		":1: providers: \"qcloud\"; allowed: " SLUGS},
	{"providers: slug", "providers:\n  - a\n  - Q Cloud\n" RANGES BLOCK,
		":3: providers: \"Q Cloud\"; allowed: " SLUGS},
	{"providers: 33 characters", "providers: [" D10 D10 D10 "012]\n" RANGES BLOCK,
		":1: providers: \"" D10 D10 D10 "012\"; allowed: " SLUGS},
	{"providers: null in it", "providers: [a, ~]\n" RANGES BLOCK,
		":1: providers: null; allowed: " SLUGS},
	{"providers: list in it", "providers: [a, [b]]\n" RANGES BLOCK,
		":1: providers: a list of 1; allowed: " SLUGS},
	{"database: null", PROVIDERS BLOCK "ranges: {database: , provider: {path: [a]}}\n",
		":3: ranges.database: null; allowed: " TEXT("1 to 4095")},
	{"mainland.path: none", IN_RANGES("mainland: {path: []}\n"),
		":5: ranges.mainland.path: a list of 0; allowed: " PATHS},
	{"mainland.path: nine", IN_RANGES("mainland: {path: [a, b, c, d, e, f, g, h, i]}\n"),
		":5: ranges.mainland.path: a list of 9; allowed: " PATHS},
	{"mainland.path: empty key", IN_RANGES("mainland: {path: ['']}\n"),
		":5: ranges.mainland.path: \"\"; allowed: " PATHS},
	{"mainland.equals: list", IN_RANGES("mainland: {equals: [CN]}\n"),
		":5: ranges.mainland.equals: a list of 1; allowed: " TEXT("1 to 255")},
	{"provider.path: scalar", IN_RANGES("provider: {path: provider}\n"),
		":5: ranges.provider.path: \"provider\"; allowed: " PATHS},
	{"ipv4: IPv6", PROVIDERS RANGES "block: {ipv4: 2001:db8::80}\n",
		":3: block.ipv4: \"2001:db8::80\"; allowed: an IPv4 address"},
	{"ipv4: mapped", PROVIDERS RANGES "block: {ipv4: 0::ffff:192.0.2.1}\n",
		":3: block.ipv4: \"0::ffff:192.0.2.1\"; allowed: an IPv4 address"},
	{"ipv4: prefix", PROVIDERS RANGES "block: {ipv4: 192.0.2.0/24}\n",
		":3: block.ipv4: \"192.0.2.0/24\"; allowed: an IPv4 address"},
	{"ipv6: IPv4", IN_BLOCK("ipv6: 192.0.2.1\n"),
		":5: block.ipv6: \"192.0.2.1\"; allowed: an IPv6 address, not an IPv4-mapped one"},
	{"ipv6: mapped", IN_BLOCK("ipv6: '::ffff:192.0.2.1'\n"),
		":5: block.ipv6: \"::ffff:192.0.2.1\"; allowed: an IPv6 address, not an "
		"IPv4-mapped one"},
	{"ipv6: null", IN_BLOCK("ipv6: ~\n"),
		":5: block.ipv6: null; allowed: an IPv6 address, not an IPv4-mapped one"},
	{"ttl: 0", IN_BLOCK("ttl: 0\n"), ":5: block.ttl: \"0\"; allowed: " SECONDS},
	{"ttl: 86401", IN_BLOCK("ttl: 86401\n"), ":5: block.ttl: \"86401\"; allowed: " SECONDS},
	{"ttl: 2^32 + 30", IN_BLOCK("ttl: 4294967326\n"),
		":5: block.ttl: \"4294967326\"; allowed: " SECONDS},
	{"ttl: sign", IN_BLOCK("ttl: +30\n"), ":5: block.ttl: \"+30\"; allowed: " SECONDS},
	{"ttl: unit", IN_BLOCK("ttl: 30s\n"), ":5: block.ttl: \"30s\"; allowed: " SECONDS},
	{"ttl: octal", IN_BLOCK("ttl: 030\n"), ":5: block.ttl: \"030\"; allowed: " SECONDS},
	{"ttl: quoted", IN_BLOCK("ttl: '30'\n"),
		":5: block.ttl: \"30\" (a number has no quotes); allowed: " SECONDS},
	{"ede", IN_BLOCK("ede: 16\n"),
		":5: block.ede: \"16\"; allowed: none, blocked, censored, filtered, prohibited"},
	{"text: 201 octets", IN_BLOCK("text: " D200 "x\n"),
		":5: block.text: \"" D50 D10 "0123...\"; allowed: " TEXT("0 to 200")},
	{"text: a line end", IN_BLOCK("text: |\n    a\n"),
		":5: block.text: \"a\\x0a\" (a control character); allowed: " TEXT("0 to 200")},
	{"text: shown cut between characters",
		IN_BLOCK("text: \"xx中中中中中中中中中中中中中中中中中中中中中中\\t\"\n"),
		":5: block.text: \"xx中中中中中中中中中中中中中中中中中中中中...\" "
		"(a control character); allowed: " TEXT("0 to 200")},
	{"mixed", MINIMAL "mixed: pass\n", ":4: mixed: \"pass\"; allowed: block, strip"},
	{"lease: 1", MINIMAL "lease: 1\n", ":4: lease: \"1\"; allowed: 2 to 86400 seconds"},
	{"lease: 86401", MINIMAL "lease: 86401\n",
		":4: lease: \"86401\"; allowed: 2 to 86400 seconds"},
	{"rectify_overdue", MINIMAL "rectify_overdue: strip\n",
		":4: rectify_overdue: \"strip\"; allowed: pass, block"},
	{"licence_addresses", MINIMAL "licence_addresses: block\n",
		":4: licence_addresses: \"block\"; allowed: ignore, report, enforce"},
	{"on_no_index", MINIMAL "on_no_index: ''\n", ":4: on_no_index: \"\"; allowed: pass, block"},
	{"exempt: scalar", MINIMAL "exempt: internal\n",
		":4: exempt: \"internal\"; allowed: " NAMES},
	{"exempt: empty label", MINIMAL "exempt:\n  - a..b\n",
		":5: exempt: \"a..b\" (empty label); allowed: " NAMES},
	{"exempt: the root", MINIMAL "exempt: ['.']\n",
		":4: exempt: \".\" (empty label); allowed: " NAMES},
	{"nat64: length", MINIMAL "nat64_prefixes: ['64:ff9b::/95']\n",
		":4: nat64_prefixes: \"64:ff9b::/95\"; allowed: " PREFIXES},
	{"nat64: no length", MINIMAL "nat64_prefixes: ['64:ff9b::']\n",
		":4: nat64_prefixes: \"64:ff9b::\"; allowed: " PREFIXES},
	{"nat64: 24", MINIMAL "nat64_prefixes: ['2001:d00::/24']\n",
		":4: nat64_prefixes: \"2001:d00::/24\"; allowed: " PREFIXES},
	{"nat64: 36", MINIMAL "nat64_prefixes: ['2001:db8::/36']\n",
		":4: nat64_prefixes: \"2001:db8::/36\"; allowed: " PREFIXES},
	{"nat64: 72", MINIMAL "nat64_prefixes: ['64:ff9b::/72']\n",
		":4: nat64_prefixes: \"64:ff9b::/72\"; allowed: " PREFIXES},
	{"nat64: IPv4", MINIMAL "nat64_prefixes: [10.0.0.0/32]\n",
		":4: nat64_prefixes: \"10.0.0.0/32\"; allowed: " PREFIXES},
	{"nat64: bits beyond the length", MINIMAL "nat64_prefixes: ['64:ff9b::1/96']\n",
		":4: nat64_prefixes: \"64:ff9b::1/96\"; allowed: " PREFIXES},
};

static const refused_t daemon_values[] = {
	{"spool: empty", IN_DAEMON("spool: ''\n"),
		":5: daemon.spool: \"\"; allowed: " TEXT("1 to 4095")},
	{"control: longer than a socket's path", IN_DAEMON("control: /" D50 D50 "01234567\n"),
		":5: daemon.control: \"/" D50 D10 "012...\"; allowed: " TEXT("1 to 107")},
	{"http: no port", IN_DAEMON("http: 127.0.0.1\n"),
		":5: daemon.http: \"127.0.0.1\"; allowed: " ENDPOINT},
	{"http: port alone", IN_DAEMON("http: 9553\n"),
		":5: daemon.http: \"9553\"; allowed: " ENDPOINT},
	{"http: a name", IN_DAEMON("http: localhost:9553\n"),
		":5: daemon.http: \"localhost:9553\"; allowed: " ENDPOINT},
	{"http: IPv6 without brackets", IN_DAEMON("http: '::1:9553'\n"),
		":5: daemon.http: \"::1:9553\"; allowed: " ENDPOINT},
	{"http: empty", IN_DAEMON("http: ''\n"), ":5: daemon.http: \"\"; allowed: " ENDPOINT},
	{"http: NUL after none", IN_DAEMON("http: \"none\\0\"\n"),
		":5: daemon.http: \"none\\x00\"; allowed: " ENDPOINT},
	{"stale_after: no unit", IN_DAEMON("stale_after: 3600\n"),
		":5: daemon.stale_after: \"3600\" (the unit is missing); allowed: " DURATION(
			"60 to 315360000")},
	{"stale_after: too short", IN_DAEMON("stale_after: 59s\n"),
		":5: daemon.stale_after: \"59s\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: too long", IN_DAEMON("stale_after: 3651d\n"),
		":5: daemon.stale_after: \"3651d\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: more than 32 bits", IN_DAEMON("stale_after: 999999999d\n"),
		":5: daemon.stale_after: \"999999999d\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: 32 bits and a little", IN_DAEMON("stale_after: 71582789m\n"),
		":5: daemon.stale_after: \"71582789m\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: the unit alone", IN_DAEMON("stale_after: h\n"),
		":5: daemon.stale_after: \"h\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: no such unit", IN_DAEMON("stale_after: 2w\n"),
		":5: daemon.stale_after: \"2w\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: a space", IN_DAEMON("stale_after: 36 h\n"),
		":5: daemon.stale_after: \"36 h\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: a fraction", IN_DAEMON("stale_after: 1.5h\n"),
		":5: daemon.stale_after: \"1.5h\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: octal", IN_DAEMON("stale_after: 036h\n"),
		":5: daemon.stale_after: \"036h\"; allowed: " DURATION("60 to 315360000")},
	{"stale_after: two units", IN_DAEMON("stale_after: 1h30m\n"),
		":5: daemon.stale_after: \"1h30m\"; allowed: " DURATION("60 to 315360000")},
	{"gap_after: 0", IN_DAEMON("gap_after: 0s\n"),
		":5: daemon.gap_after: \"0s\"; allowed: " DURATION("1 to 315360000")},
	{"keep: 0", IN_DAEMON("keep: 0\n"),
		":5: daemon.keep: \"0\"; allowed: 1 to 1000 generations"},
	{"keep: 1001", IN_DAEMON("keep: 1001\n"),
		":5: daemon.keep: \"1001\"; allowed: 1 to 1000 generations"},
	{"keep_audit: less than a day", IN_DAEMON("keep_audit: 23h\n"),
		":5: daemon.keep_audit: \"23h\"; allowed: " KEPT},
	{"keep_spool: a list", IN_DAEMON("keep_spool: [14d]\n"),
		":5: daemon.keep_spool: a list of 1; allowed: " KEPT},
	{"follow: empty", IN_DAEMON("follow: ''\n"),
		":5: daemon.follow: \"\"; allowed: " TEXT("1 to 4095")},
	{"unknown in daemon", IN_DAEMON("spol: x\n"),
		":5: unknown key: \"daemon.spol\"; allowed: " DAEMON_KEYS},
	{"listen: no list", IN_BLOCKPAGE("listen: '192.0.2.1:80'\n"),
		":5: blockpage.listen: \"192.0.2.1:80\"; allowed: a list of 1 to 16, each "
		"address:port, with an IPv6 address in brackets"},
	{"listen: none", IN_BLOCKPAGE("listen: []\n"),
		":5: blockpage.listen: a list of 0; allowed: a list of 1 to 16, each "
		"address:port, with an IPv6 address in brackets"},
	{"listen: a word", IN_BLOCKPAGE("listen: [none]\n"),
		":5: blockpage.listen: \"none\"; allowed: a list of 1 to 16, each "
		"address:port, with an IPv6 address in brackets"},
	{"provider_name: of no language", IN_BLOCKPAGE("provider_name: X\n"),
		":5: blockpage.provider_name: \"X\"; allowed: a mapping with "
		"blockpage.provider_name.zh, blockpage.provider_name.en"},
	{"file_url: a script", IN_BLOCKPAGE("file_url: 'javascript:alert(1)'\n"),
		":5: blockpage.file_url: \"javascript:alert(1)\"; allowed: " A_URL},
	{"file_url: nothing but the scheme", IN_BLOCKPAGE("file_url: 'https://'\n"),
		":5: blockpage.file_url: \"https://\"; allowed: " A_URL},
	{"file_url: mail", IN_BLOCKPAGE("file_url: 'mailto:a@b.cn'\n"),
		":5: blockpage.file_url: \"mailto:a@b.cn\"; allowed: " A_URL},
	{"transfer_url: a quote", IN_BLOCKPAGE("transfer_url: 'https://a/\"x'\n"),
		":5: blockpage.transfer_url: \"https://a/\"x\" (a character that must be "
		"percent-encoded); allowed: " A_URL},
	{"transfer_url: a single quote", IN_BLOCKPAGE("transfer_url: \"https://a/'x\"\n"),
		":5: blockpage.transfer_url: \"https://a/'x\" (a character that must be "
		"percent-encoded); allowed: " A_URL},
	{"contact_url: a space", IN_BLOCKPAGE("contact_url: 'tel:1 2'\n"),
		":5: blockpage.contact_url: \"tel:1 2\" (a character that must be "
		"percent-encoded); allowed: " A_URL ", mailto:, tel:"},
	{"blocked_by: >", IN_BLOCKPAGE("blocked_by: 'https://a/>;x'\n"),
		":5: blockpage.blocked_by: \"https://a/>;x\" (a character that must be "
		"percent-encoded); allowed: " A_URL},
	{"blocked_by: NUL", IN_BLOCKPAGE("blocked_by: \"https://a\\0\"\n"),
		":5: blockpage.blocked_by: \"https://a\\x00\" (a character that must be "
		"percent-encoded); allowed: " A_URL},
	{"api: a word", IN_BLOCKPAGE("api: yes\n"),
		":5: blockpage.api: \"yes\"; allowed: none, local, any"},
	{"api_rate: 0", IN_BLOCKPAGE("api_rate: 0\n"),
		":5: blockpage.api_rate: \"0\"; allowed: 1 to 100000 answers a second"},
	{"connections: 15", IN_BLOCKPAGE("connections: 15\n"),
		":5: blockpage.connections: \"15\"; allowed: 16 to 65536 connections"},
	{"timeout: no unit", IN_BLOCKPAGE("timeout: 10\n"),
		":5: blockpage.timeout: \"10\" (the unit is missing); allowed: " DURATION(
			"1 to 300")},
	{"blockpage: unknown key", IN_BLOCKPAGE("listn: x\n"),
		":5: unknown key: \"blockpage.listn\"; allowed: " BLOCKPAGE_KEYS},
};

static const refused_t keys[] = {
	{"unknown at the top", MINIMAL "modes: x\n",
		":4: unknown key: \"modes\"; allowed: " TOP_KEYS},
	{"unknown in block", IN_BLOCK("tll: 3\n"),
		":5: unknown key: \"block.tll\"; allowed: " BLOCK_KEYS},
	{"unknown in ranges", IN_RANGES("equals: CN\n"),
		":5: unknown key: \"ranges.equals\"; allowed: ranges.database, ranges.mainland, "
		"ranges.provider"},
	{"unknown in ranges.mainland", IN_RANGES("mainland: {is: CN}\n"),
		":5: unknown key: \"ranges.mainland.is\"; allowed: ranges.mainland.path, "
		"ranges.mainland.equals"},
	{"the beginning of a key", MINIMAL "bloc: {k: 3}\n",
		":4: unknown key: \"bloc\"; allowed: " TOP_KEYS},
	{"a path as a key", MINIMAL "block.ttl: 3\n",
		":4: unknown key: \"block.ttl\"; allowed: " TOP_KEYS},
	{"an empty key", MINIMAL "'': {mode: enforce}\n",
		":4: unknown key: \"\"; allowed: " TOP_KEYS},
	{"a key with a NUL", MINIMAL "\"mode\\0\": enforce\n",
		":4: unknown key: \"mode\\x00\"; allowed: " TOP_KEYS},
	{"a null key", MINIMAL "~: 1\n", ":4: unknown key: null; allowed: " TOP_KEYS},
	{"a list as a key", MINIMAL "? [mode]\n: x\n",
		":4: unknown key: a list of 1; allowed: " TOP_KEYS},
	{"a merge key", MINIMAL "<<: {mode: enforce}\n",
		":4: unknown key: \"<<\"; allowed: " TOP_KEYS},
	{"a long key", MINIMAL D50 D50 ": 1\n",
		":4: unknown key: \"" D50 D10 "0123...\"; allowed: " TOP_KEYS},
	{"twice at the top", MINIMAL "mode: enforce\n'mode': enforce\n",
		":5: key given twice: \"mode\" (given on line 4 already); allowed: once"},
	{"a mapping twice", MINIMAL "block: {ttl: 3}\n",
		":4: key given twice: \"block\" (given on line 3 already); allowed: once"},
	{"twice in block", IN_BLOCK("ipv4: 203.0.113.80\n"),
		":5: key given twice: \"block.ipv4\" (given on line 4 already); allowed: once"},
	{"twice in ranges.mainland", IN_RANGES("mainland: {equals: A, equals: A}\n"),
		":5: key given twice: \"ranges.mainland.equals\" (given on line 5 already); "
		"allowed: once"},
	{"no mapping: block", "block: 192.0.2.1\n",
		":1: block: \"192.0.2.1\"; allowed: a mapping with " BLOCK_KEYS},
	{"no mapping: null", "ranges: {provider: }\n",
		":1: ranges.provider: null; allowed: a mapping with ranges.provider.path"},
	{"no mapping: the file", "- a\n",
		":1: the file: a list of 1; allowed: a mapping with " TOP_KEYS},
	{"an alias to its own mapping", "ranges: &r {mainland: *r}\n",
		":1: unknown key: \"ranges.mainland.mainland\"; allowed: ranges.mainland.path, "
		"ranges.mainland.equals"},
	{"an alias to its own list", MINIMAL "exempt: &e [*e]\n",
		":4: exempt: a list of 1; allowed: " NAMES},
};

#define MISSING ":1: missing keys: providers, ranges.database, block.ipv4"

static const refused_t together[] = {
	{"empty file", "", MISSING},
	{"comments only", "# nothing\n", MISSING},
	{"an empty document", "---\n...\n", MISSING},
	{"an empty mapping", "{}\n", MISSING},
	{"providers missing", RANGES BLOCK, ":1: missing keys: providers"},
	{"database missing", "scope: mainland\n" BLOCK, ":1: missing keys: ranges.database"},
	{"ipv4 missing", PROVIDERS RANGES "block: {ttl: 3}\n", ":1: missing keys: block.ipv4"},
	{"providers empty", "providers: []\n" RANGES BLOCK,
		":1: providers: a list of 0; allowed: at least one with scope: provider"},
	{"a provider twice", "providers:\n- a\n- b\n- a\n" RANGES BLOCK,
		":4: providers: \"a\" (given twice); allowed: each once"},
	{"no provider path",
		"# x\nscope: provider\n" PROVIDERS "ranges: {database: r.mmdb}\n" BLOCK,
		":2: scope: provider needs ranges.provider.path"},
	{"no provider path, scope by default", PROVIDERS "ranges: {database: r.mmdb}\n" BLOCK,
		":1: scope: provider needs ranges.provider.path"},
};

static const refused_t syntax[] = {
	{"parser", MINIMAL "exempt: [a\nmode: x\n",
		":5: not valid YAML: while parsing a flow sequence, did not find expected ',' or "
		"']'"},
	{"scanner", "ranges:\n\tdatabase: x\n",
		":2: not valid YAML: while scanning for the next token, found character that "
		"cannot start any token"},
	{"composer", MINIMAL "mode: *x\n", ":4: not valid YAML: found undefined alias"},
	{"not UTF-8", MINIMAL "store: \xff\n", ":4: not valid YAML: invalid leading UTF-8 octet"},
	{"half a character at the end", MINIMAL "store: \xe4\xb8",
		":4: not valid YAML: incomplete UTF-8 octet sequence"},
	{"surrogate", MINIMAL "store: \"\\ud800\"\n",
		":4: not valid YAML: while parsing a quoted scalar, found invalid Unicode "
		"character escape code"},
	{"second document", MINIMAL "---\nmode: enforce\n", ":4: a second document; allowed: one"},
	{"second document, empty", MINIMAL "---\n", ":4: a second document; allowed: one"},
	{"after the document", MINIMAL "...\n]\n",
		":5: not valid YAML: did not find expected <document start>"},
};
