# SPDX-License-Identifier: BSD-3-Clause
"""conf/filing.sql: a domain is for the database what it is for the loader, or it is refused."""

import json
import os
import re
import subprocess
import unicodedata
from contextlib import closing

import psycopg2
import pytest

from operator_tool import icpgate
from postgres import FILING, programs

# What lower() and upper() do differs between these.
LOCALES = {
    "C": "LC_COLLATE 'C' LC_CTYPE 'C'",
    "C.UTF-8": "",
    "Turkish": "LOCALE_PROVIDER icu ICU_LOCALE 'tr' LOCALE 'C'",
}
TAKEN = {
    "例子。中国": "xn--fsqu00a.xn--fiqs8s",
    "例子．ｃｎ｡": "xn--fsqu00a.cn",
    "ＩＤＮ－１.cn": "idn-1.cn",
    "BÜCHER.Example": "xn--bcher-kva.example",
    "bu\u0308cher.example": "xn--bcher-kva.example",
    "H\u0331i.cn": "xn--i-eum.cn",
    "faß.de": "xn--fa-hia.de",
    "οδός.ελ": "xn--pxavk3b.xn--qxam",
    "한국어.kr": "xn--3e0bk47br7k.kr",
    "\u1112\u1161\u11ab국어.kr": "xn--3e0bk47br7k.kr",
    "TİK.tr": "xn--tik-9dc.tr",
    "XN--FIQS8S.CN.": "xn--fiqs8s.cn",
}
REFUSED = {
    "ex\u00adample.cn": "U+00AD",
    "a\u034f.cn": "U+034F",
    "\u1820\u180b.cn": "U+180B",
    "a\u200b.cn": "U+200B",
    "क\u094d\u200dष.cn": "U+200D",
    "a\u2060.cn": "U+2060",
    "例\ufe00.cn": "U+FE00",
    "例\U000e0100.cn": "U+E0100",
    "\ufeffa.cn": "U+FEFF",
    "가\u3164.cn": "U+3164",
    "ᾳ.cn": "U+1FB3",
    "\u0345a.cn": "U+0345",
    "Ὁ.cn": "U+1F49",
    "ϲ.cn": "U+03F2",
    "𝛓.cn": "U+1D6D3",
    "ꭰ.cn": "U+AB70",
    "Ꭰ.cn": "U+13A0",
    "ПРИМЕР.рф": "U+041F",
    "STRAẞE.de": "U+1E9E",
    "ſ.cn": "U+017F",
    "ﬁ.cn": "U+FB01",
    "a․cn": "U+2024",
}


@pytest.fixture(name="database", params=LOCALES)
def make_database(server, request):
    if request.param == "Turkish" and not server.has_icu():
        pytest.skip("the server has no ICU")
    made = server.database(LOCALES[request.param])
    made.provider("qcloud")
    yield made
    made.close()


@pytest.fixture(name="loader_s")
def make_loader_s(conf):
    """A function: what the loader makes of domains, None where it refuses one."""
    def convert(domains):
        done = icpgate("-c", conf, "lookup", "--json", "-", stdin="".join(f"{d}\n" for d in domains))
        lines = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
        assert len(lines) == len(domains), done.stderr
        return [line.get("name") for line in lines]
    return convert


def judged(filings, domains):
    """(domain, A-labels, fault) of each, by the database."""
    return filings.execute(
        "SELECT domain, filing.a_labels(domain), filing.fault(ROW(domain, 'q', 'pending', NULL, NULL,"
        " NULL, NULL, NULL)::filing.published) FROM unnest(%s) domain", list(domains))


def test_domains_that_are_taken(database, loader_s):
    assert {domain: label for domain, label, fault in judged(database, TAKEN)
            if fault is None} == TAKEN
    assert loader_s([domain.rstrip(".｡") for domain in TAKEN]) == list(TAKEN.values())


def test_domains_that_are_refused(database):
    site = database.filed("example.cn")
    for domain, character in REFUSED.items():
        with pytest.raises(psycopg2.errors.CheckViolation) as failure:
            # Not lower(), which the table's own check is about.
            database.execute("ALTER TABLE filing.site_domain DROP CONSTRAINT site_domain_domain_check;"
                             "INSERT INTO filing.site_domain VALUES (%s, %s)", domain, site)
        assert failure.value.diag.message_primary == (
            f"icpgate_feed: {domain} qcloud: domain holds {character}, which is not taken in this form:"
            " write the letters in lower case, or the label as xn--...")
    assert [change[2] for change in database.changes()] == ["example.cn"]


def characters():
    """Those beyond ASCII; of the many of one kind, some."""
    dense = re.compile("[\u3500-\u4c00\u4f00-\u9e00\uad00-\ud700\U00020000-\U0003ffff]")
    return [chr(c) for c in (*range(0x80, 0xd800), *range(0xf900, 0x1f000), *range(0x20000, 0x32000),
                             *range(0xe0000, 0xe0200))
            if unicodedata.category(chr(c)) not in ("Cn", "So", "Sm")
            and (c % 97 == 0 or not dense.match(chr(c)))]


@pytest.mark.parametrize("label", ["%s", "a%s", "س%sس", "σ%s\u0331\u0301"])
def test_no_character_makes_another_domain(server, loader_s, label):
    """Brute force: each one that the database takes, where a name may have it, among neighbours."""
    filings = server.database(LOCALES["C"])
    taken = [(domain, name) for domain, name, fault in
             judged(filings, (label % character + ".cn" for character in characters()))
             if fault is None]
    filings.close()
    assert len(taken) > 2000
    known = loader_s([domain for domain, _ in taken])
    # The loader may refuse: that is not silent.
    assert [(domain, name, other) for (domain, name), other in zip(taken, known)
            if other not in (None, name)] == []
    assert sum(other is not None for other in known) > 50


def test_a_database_of_an_older_file(filings):
    """icpgate-load(8): its functions are replaced, and what they let pass is found."""
    filings.execute("CREATE OR REPLACE FUNCTION filing.a_labels(domain text) RETURNS text LANGUAGE sql"
                    " IMMUTABLE STRICT AS 'SELECT domain';"
                    "CREATE OR REPLACE FUNCTION filing.fault(feed filing.published) RETURNS text"
                    " LANGUAGE sql IMMUTABLE AS 'SELECT NULL';"
                    "DROP FUNCTION filing.fold, filing.unmapped, filing.is_time, filing.are_prefixes")
    filings.filed("a.cn", "ex\u00adample.cn", "例子.cn")
    with pytest.raises(psycopg2.errors.DuplicateSchema):
        filings.execute(FILING.read_text(encoding="utf-8"))
    functions = subprocess.run(
        ["sed", "-n", "/^CREATE FUNCTION filing.fold/,/^CREATE TABLE/{\n"
         "s/^CREATE FUNCTION/CREATE OR REPLACE FUNCTION/; /^CREATE [IT]/!p\n}", FILING],
        check=True, capture_output=True, encoding="utf-8").stdout
    filings.execute(f"{functions};REVOKE ALL ON ALL FUNCTIONS IN SCHEMA filing FROM PUBLIC;"
                    "GRANT EXECUTE ON FUNCTION filing.rfc3339 TO PUBLIC;"
                    "REINDEX TABLE filing.published")
    found = filings.execute("SELECT domain, provider, fault FROM filing.published p, filing.fault(p)"
                            " WHERE fault IS NOT NULL")
    assert [row[:2] for row in found] == [("ex\u00adample.cn", "qcloud")]
    filings.execute("UPDATE filing.site_domain SET domain = 'example.cn' WHERE domain LIKE 'ex%'")
    assert [change[1:3] for change in filings.changes(1)] == [("delete", "ex\u00adample.cn"),
                                                              ("upsert", "example.cn")]


def test_it_is_read_as_utf8(server, filings):
    """Whatever encoding the terminal has that it is loaded from."""
    with closing(psycopg2.connect(server.conninfo())) as connection:
        connection.autocommit = True
        connection.cursor().execute(f"CREATE DATABASE {filings.name}b TEMPLATE template0")
    subprocess.run([programs() / "psql", "-q", "-X1", "-v", "ON_ERROR_STOP=1", "-f", FILING,
                    server.conninfo(f"{filings.name}b")],
                   check=True, env=os.environ | {"PGCLIENTENCODING": "GB18030"})
    with closing(psycopg2.connect(server.conninfo(f"{filings.name}b"))) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT filing.fold('ＥＸ。例子')")
        assert cursor.fetchone() == ("ex.例子",)
