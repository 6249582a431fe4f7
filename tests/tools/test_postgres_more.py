# SPDX-License-Identifier: BSD-3-Clause
"""PostgreSQL as the source: rows that no feed may have, rights, and pruning beside a follower."""

import contextlib

import psycopg2
import pytest

from test_follow import Follower
from test_postgres import Loads, by_file

TABLES = ("provider", "entity", "licence", "licence_address", "site", "site_domain", "access",
          "application", "inspection")
PUBLISHED = ("icpgate_feed", "icpgate_changes", "icpgate_sequence")


def refused(filings, message, statement, *values):
    """The transaction fails with this, and leaves nothing."""
    before = (filings.feed(), filings.changes(), filings.sequence())
    with pytest.raises(psycopg2.errors.CheckViolation) as failure:
        filings.execute(statement, *values)
    assert failure.value.diag.message_primary == message
    assert (filings.feed(), filings.changes(), filings.sequence()) == before


# The rules of the feed

@pytest.mark.parametrize("without", [{"number": None}, {"ordinal": None}])
def test_a_link_of_a_site_without_a_number(filings, without):
    site = filings.site("a.cn", **without)
    refused(filings, "icpgate_feed: a.cn qcloud: number is missing for filed",
            "INSERT INTO filing.access VALUES (%s, 'qcloud', now())", site)
    application = filings.apply(site, "qcloud", "first-filing")
    refused(filings, "icpgate_feed: a.cn qcloud: number is missing for filed",
            "UPDATE filing.application SET state = 'approved' WHERE application_id = %s",
            application)
    assert [row[2] for row in filings.feed()] == ["pending"]


@pytest.mark.parametrize("statement, message", [
    ("UPDATE filing.site SET ordinal = NULL", "a.cn qcloud: number is missing for filed"),
    ("UPDATE filing.entity SET number = NULL", "a.cn qcloud: number is missing for filed"),
    ("UPDATE filing.entity SET number = repeat('京', 42) || '号'",
     "a.cn qcloud: number is over 128 octets"),
    ("UPDATE filing.entity SET number = E'京\\n号'", "a.cn qcloud: number holds a control character"),
    ("UPDATE filing.entity SET number = U&'\\0085号'",
     "a.cn qcloud: number holds a control character"),
    ("WITH made AS (INSERT INTO filing.licence (entity_id, number) SELECT entity_id, ''"
     " FROM filing.entity RETURNING licence_id)"
     " UPDATE filing.site SET licence_id = made.licence_id FROM made",
     "a.cn qcloud: number is missing for filed"),
    ("UPDATE filing.access SET linked_at = '20000-01-01'",
     "a.cn qcloud: approved_at is not a time or a date"),
    ("INSERT INTO filing.inspection (site_id, provider, rectify_by)"
     " SELECT site_id, 'qcloud', '12026-01-01' FROM filing.site",
     "a.cn qcloud: rectify_by is not a time or a date"),
    ("WITH made AS (INSERT INTO filing.licence (entity_id, number) SELECT entity_id, '京ICP证1号'"
     " FROM filing.entity RETURNING licence_id), bound AS (INSERT INTO filing.licence_address"
     " SELECT licence_id, 'qcloud', ('10.1.' || i / 256 || '.' || i % 256)::cidr FROM made,"
     " generate_series(0, 256) i)"
     " UPDATE filing.site SET licence_id = made.licence_id FROM made",
     "a.cn qcloud: licensed_addresses are over 256"),
    *((f"INSERT INTO filing.site_domain SELECT '{domain}', site_id FROM filing.site",
       f"{domain} qcloud: domain is {what}") for domain, what in (
           ("cn", "not a host name of two labels or more"),
           ("", "not a host name of two labels or more"),
           ("a..cn", "not a host name of two labels or more"),
           ("-a.cn", "not a host name of two labels or more"),
           ("a.b-.cn", "not a host name of two labels or more"),
           ("a.cn-", "not a host name of two labels or more"),
           ("a_b.cn", "not a host name of two labels or more"),
           ("a b.cn", "not a host name of two labels or more"),
           (f"{'a' * 64}.cn", "not a host name of two labels or more"),
           (f"{'例' * 60}.cn", "not a host name of two labels or more"),
           (f"{'a.' * 126}cn", "not a host name of two labels or more"),
           ("2001:db8::1", "not a host name of two labels or more"),
           ("192.0.2.1", "an address"))),
])
def test_what_the_feed_forbids_is_not_committed(filings, statement, message):
    filings.filed("a.cn")
    refused(filings, f"icpgate_feed: {message}", statement)


@pytest.mark.parametrize("columns, message", [
    ("'Q', 'filed', '号', NULL, NULL, NULL, NULL", "provider is not 1 to 32 of a-z, 0-9 and hyphen"),
    ("'q', NULL, '号', NULL, NULL, NULL, NULL", "status is not known"),
    ("'q', 'lost', '号', NULL, NULL, NULL, NULL", "status is not known"),
    ("'q', 'transfer-preapproved', '号', '', NULL, NULL, NULL",
     "approved_at is missing for transfer-preapproved"),
    ("'q', 'filed', '号', NULL, '2026-01-01', NULL, NULL",
     "expires_at is only for transfer-preapproved"),
    ("'q', 'transfer-preapproved', '号', '2026-01-01', '2026-1-1', NULL, NULL",
     "expires_at is not a time or a date"),
    ("'q', 'rectifying', '号', NULL, NULL, '', NULL", "rectify_by is missing for rectifying"),
    ("'q', 'filed', '号', NULL, NULL, '2026-01-01', NULL", "rectify_by is only for rectifying"),
    ("'q', 'filed', '号', '2026-02-30', NULL, NULL, NULL", "approved_at is not a time or a date"),
    ("'q', 'transfer-preapproved', '号', '2026-01-01', '2026-01-01T25:61:61Z', NULL, NULL",
     "expires_at is not a time or a date"),
    ("'q', 'rectifying', '号', NULL, NULL, '2026-13-01', NULL", "rectify_by is not a time or a date"),
    ("'q', 'filed', '号', NULL, NULL, NULL, 'here'",
     "licensed_addresses: not an address or a prefix"),
    ("'q', 'filed', '号', NULL, NULL, NULL, '10.0.0.0/8 1.2.3.4/8'",
     "licensed_addresses: not an address or a prefix"),
])
def test_a_view_of_one_s_own_is_held_to_the_rules_too(filings, columns, message):
    """Each is refused as the loader refuses it; what the schema's own view can't give is here."""
    filings.execute(f"""CREATE OR REPLACE VIEW icpgate_feed (domain, provider, status, number,
        approved_at, expires_at, rectify_by, licensed_addresses) AS
        SELECT d::text, p::text, s::text, n::text, a::text, e::text, r::text, l::text
        FROM (VALUES ('a.cn', {columns})) rows (d, p, s, n, a, e, r, l)""")
    with pytest.raises(psycopg2.errors.CheckViolation) as failure:
        filings.execute("SELECT filing.publish_all()")
    assert failure.value.diag.message_primary.endswith(message)
    assert filings.sequence() == 0


def test_a_view_s_good_rows_are_published(filings, tmp_path):
    """All that may be left out or be written in another way."""
    filings.execute("""CREATE OR REPLACE VIEW icpgate_feed (domain, provider, status, number,
        approved_at, expires_at, rectify_by, licensed_addresses) AS
        SELECT d::text, 'q'::text, s::text, n::text, a::text, e::text, r::text, l::text
        FROM (VALUES
            ('A.cn.', 'pending', '', '', '', '', ''),
            ('例子。中国', 'pending', NULL, NULL, NULL, NULL, NULL),
            ('1.2.3.4.cn', 'filed', '号', '2026-01-01t00:00:00.5z', NULL, NULL, ' 10.0.0.1  ::/0 '),
            ('b.cn', 'transfer-preapproved', '号', '2026-01-01', '2026-02-01', NULL, NULL),
            ('c.cn', 'rectifying', '号', NULL, NULL, '2026-02-01', NULL)
        ) rows (d, s, n, a, e, r, l)""")
    filings.execute("SELECT filing.publish_all()")
    assert len(filings.changes()) == 5
    loads = Loads(tmp_path)
    assert loads.full(filings).returncode == 0
    assert len(loads.dump()) == 5


def test_rows_loaded_without_triggers_are_checked_when_they_are_published(filings):
    site = filings.filed("a.cn")
    filings.execute("SET session_replication_role = replica; UPDATE filing.site SET ordinal = NULL;"
                    "SET session_replication_role = DEFAULT")
    refused(filings, "icpgate_feed: a.cn qcloud: number is missing for filed",
            "SELECT filing.publish_all()")
    filings.execute("UPDATE filing.site SET ordinal = 1 WHERE site_id = %s", site)
    filings.execute("SELECT filing.publish_all()")


def test_a_site_that_never_got_a_number_goes_with_its_entity(filings):
    site = filings.filed("a.cn")
    new = filings.one("INSERT INTO filing.site (entity_id, name) SELECT entity_id, '新'"
                      " FROM filing.site RETURNING site_id")
    filings.execute("INSERT INTO filing.site_domain VALUES ('new.cn', %s)", new)
    filings.apply(new, "qcloud", "new-site")
    assert [row[2] for row in filings.feed()] == ["filed", "pending"]
    filings.decide(filings.apply(site, "qcloud", "deregister-entity"), "approved")
    assert [(row[0], row[2]) for row in filings.feed()] == [("a.cn", "deregistered")]


# One domain, written in two ways

@pytest.mark.parametrize("one, other", [
    ("例子.中国", "xn--fsqu00a.xn--fiqs8s"),
    ("xn--fsqu00a.xn--fiqs8s", "例子.中国"),
    ("例子.cn", "例子。cn"),
    ("bücher.cn", "bu\u0308cher.cn"),
    ("bücher.cn", "xn--bcher-kva.cn"),
    ("ａ.cn", "a.cn"),
    ("faß.cn", "xn--fa-hia.cn"),
    ("他们为什么不说中文.cn", "xn--ihqwcrb4cv8a8dqg056pqjye.cn"),
    ("3年b組金八先生.cn", "xn--3b-ww4c5e180e575a65lsy2b.cn"),
])
def test_one_domain_written_in_two_ways(filings, one, other):
    site = filings.filed(one)
    refused(filings, f"icpgate_feed: {min(one, other)} qcloud: the pair is there as"
            f" {max(one, other)} too", "INSERT INTO filing.site_domain VALUES (%s, %s)", other, site)
    # One for the other.
    filings.execute("INSERT INTO filing.site_domain VALUES (%s, %s);"
                    "DELETE FROM filing.site_domain WHERE domain = %s", other, site, one)
    assert [change[1:3] for change in filings.changes(1)] == [("delete", one), ("upsert", other)]


def test_two_sites_of_one_domain_written_in_two_ways(filings):
    filings.filed("例子.cn", ordinal=1)
    other = filings.site("xn--fsqu00a.cn", ordinal=2)
    refused(filings, "icpgate_feed: xn--fsqu00a.cn qcloud: the pair is there as 例子.cn too",
            "INSERT INTO filing.access VALUES (%s, 'qcloud', now())", other)
    filings.execute("INSERT INTO filing.access VALUES (%s, 'acloud', now())", other)


def test_a_label_is_that_of_the_loader(filings, tmp_path):
    """Names out of many scripts, as the loader writes them."""
    names = ["例子.中国", "網站.香港", "bücher.example", "παράδειγμα.ελ", "пример.рф", "مثال.مصر",
             "faß.de", "日本語ドメイン名例.jp", "한국어.kr", "𠀀𠀁.cn", "a例b子c.cn", "Ａｂ.cn", "例-子.cn",
             "中" * 30 + ".cn", "zürich-über-öl.ch", "ไทย.th"]
    for ordinal, name in enumerate(names, 1):
        filings.filed(name.lower(), ordinal=ordinal)
    loads = Loads(tmp_path)
    assert loads.full(filings).returncode == 0
    assert [row[0] for row in loads.dump()] == sorted(
        label for label, in filings.execute("SELECT filing.a_labels(domain) FROM icpgate_feed"))


# Rights

@pytest.fixture(name="roles")
def make_roles(filings):
    """The roles that filing.sql describes, and one without any right; of this server, for a test."""
    names = ("loader", "writer", "pruner", "nobody_at_all")
    filings.execute("".join(f"CREATE ROLE {name} LOGIN;" for name in names))
    filings.execute(f"GRANT SELECT ON {', '.join(PUBLISHED)} TO loader;"
                    "GRANT USAGE ON SCHEMA filing TO writer, pruner;"
                    "GRANT EXECUTE ON FUNCTION filing.prune TO pruner;"
                    "GRANT SELECT, INSERT, UPDATE, DELETE ON"
                    f" {', '.join(f'filing.{table}' for table in TABLES)} TO writer")
    with contextlib.ExitStack() as sessions:
        yield lambda name: sessions.enter_context(
            contextlib.closing(psycopg2.connect(filings.conninfo(user=name))))
    for name in names:
        filings.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def may_not(session, statement):
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        with session, session.cursor() as cursor:
            cursor.execute(statement)


CALLS = ["SELECT filing.hold()", "SELECT filing.publish(ARRAY['a.cn'])", "SELECT filing.publish_all()",
         "SELECT filing.prune(interval '0')"]
EDITS = [statement for table, column in (("icpgate_sequence", "sequence"),
                                         ("icpgate_changes", "sequence"),
                                         ("filing.published", "number"))
         for statement in (f"INSERT INTO {table} DEFAULT VALUES", f"DELETE FROM {table}",
                           f"TRUNCATE {table}", f"UPDATE {table} SET {column} = NULL")]


def test_a_writer_files_and_may_do_nothing_else(filings, roles):
    writer = roles("writer")
    with writer, writer.cursor() as cursor:
        cursor.execute("INSERT INTO filing.entity (name, number) VALUES ('例', '京ICP备1号')"
                       " RETURNING entity_id")
        cursor.execute("INSERT INTO filing.site (entity_id, ordinal, name) VALUES (%s, 1, '站')"
                       " RETURNING site_id", cursor.fetchone())
        site = cursor.fetchone()
        cursor.execute("INSERT INTO filing.site_domain VALUES ('a.cn', %s)", site)
        cursor.execute("INSERT INTO filing.access VALUES (%s, 'qcloud')", site)
        cursor.execute("INSERT INTO filing.application (site_id, provider, kind)"
                       " VALUES (%s, 'qcloud', 'first-filing')", site)
    with writer, writer.cursor() as cursor:
        cursor.execute("UPDATE filing.application SET state = 'approved'")
    with writer, writer.cursor() as cursor:
        cursor.execute("DELETE FROM filing.site")
    assert filings.changes() == [(1, "upsert", "a.cn", "qcloud", "pending"),
                                 (2, "upsert", "a.cn", "qcloud", "filed"),
                                 (3, "delete", "a.cn", "qcloud", None)]
    for statement in (*CALLS, *EDITS, "TRUNCATE filing.site CASCADE",
                      "SELECT * FROM icpgate_changes", "CREATE TABLE filing.mine (a int)",
                      "ALTER TABLE filing.site DISABLE TRIGGER ALL"):
        may_not(writer, statement)
    assert len(filings.changes()) == 3


def test_a_reader_loads_and_follows_and_may_do_nothing_else(filings, roles, tmp_path):
    loads = Loads(tmp_path)
    filings.filed("a.cn")
    conninfo = filings.conninfo(user="loader")
    assert loads.load("full", "--from", conninfo).returncode == 0
    filings.filed("例子.cn", ordinal=2)
    done = loads.load("follow", "--once", "--from", conninfo)
    assert (done.returncode, done.stderr) == (0, "")
    assert loads.status()["sequence"] == 2
    assert loads.dump() == by_file(filings, loads)
    loader = roles("loader")
    for statement in (*CALLS, *EDITS, *(f"SELECT FROM filing.{table}" for table in (*TABLES, "published"))):
        may_not(loader, statement)


def test_a_pruner_prunes_and_may_do_nothing_else(filings, roles):
    filings.filed("a.cn")
    pruner = roles("pruner")
    with pruner, pruner.cursor() as cursor:
        cursor.execute("SELECT filing.prune(interval '0')")
        assert cursor.fetchone() == (1,)
    for statement in (*CALLS[:3], *EDITS, "SELECT * FROM filing.site"):
        may_not(pruner, statement)


def test_others_may_do_nothing(roles):
    other = roles("nobody_at_all")
    for statement in (*CALLS, *EDITS, *(f"SELECT * FROM {relation}" for relation in PUBLISHED)):
        may_not(other, statement)


def test_no_function_but_that_of_the_view_is_for_everybody(filings):
    """A right to use the schema must not be one to publish."""
    assert filings.execute(
        "SELECT p.proname FROM pg_proc p CROSS JOIN LATERAL"
        " aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) granted"
        " WHERE p.pronamespace = 'filing'::regnamespace AND granted.grantee = 0") == [("rfc3339",)]


# Pruning

def test_changes_that_are_pruned_while_they_are_listed(filings, tmp_path):
    """The list is of before the prune, the changes themselves are looked for after it."""
    follower = Follower(tmp_path, filings)
    for ordinal, domain in enumerate(("a.cn", "b.cn"), 1):
        filings.filed(domain, ordinal=ordinal)
    with filings.held(
            lambda conninfo: follower.load("follow", "--once", "--from", conninfo)) as results:
        assert filings.one("SELECT filing.prune(interval '0')") == 2
    assert results[0].stderr == ("postgresql:icpgate_changes: the changes of sequence 1 are there"
                                 " no more: load the database full\n")
    assert results[0].returncode == 1
    assert (follower.status()["sequence"], follower.dump()) == (0, [])
    assert follower.full(filings).returncode == 0
    assert follower.once().returncode == 0
    follower.agrees()
