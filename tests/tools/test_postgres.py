# SPDX-License-Identifier: BSD-3-Clause
"""PostgreSQL as the source: the filing schema, the feed it gives, and full --from."""

import csv
import json
import threading
import time
from datetime import datetime

import psycopg2
import pytest

from operator_tool import COLUMNS, LOADER, icpgate, run
from postgres import CHINA, wait_until

NUMBER = "京ICP备11018762号-1"
LINKED = "2023-05-06T00:00:00+08:00"
TODAY = datetime.now(CHINA).date().isoformat()


class Loads:
    """A store and the loader on it."""

    def __init__(self, directory):
        self.directory = directory
        self.store = directory / "store"

    def load(self, *arguments):
        return run(LOADER, "--store", self.store, *arguments)

    def full(self, filings, *arguments):
        return self.load("full", "--from", filings.conninfo(), *arguments)

    def status(self):
        return json.loads(self.load("status", "--json").stdout)

    def dump(self, store=None):
        """The store's rows as the view gives them, sorted."""
        done = icpgate("--store", store or self.store, "dump")
        assert done.returncode == 0, done.stderr
        return sorted(list(csv.reader(done.stdout.splitlines()))[1:])


@pytest.fixture(name="loads")
def make_loads(tmp_path):
    return Loads(tmp_path)


def in_feed(filings, provider="qcloud"):
    """The one row of a provider, without its domain."""
    rows = [row for row in filings.feed() if row[1] == provider]
    assert len(rows) <= 1
    return rows[0][2:] if rows else None


def by_file(filings, loads):
    """The rows of the view, loaded from a file into another store."""
    feed = loads.directory / "view.csv"
    with filings.session, filings.session.cursor() as cursor, open(feed, "wb") as file:
        cursor.copy_expert("COPY (SELECT * FROM icpgate_feed) TO STDOUT (FORMAT csv, HEADER)", file)
    other = loads.directory / "by-file"
    done = run(LOADER, "--store", other, "full", "--no-manifest", feed)
    assert done.returncode == 0, done.stderr
    return loads.dump(other)


# The schema

def test_the_view_has_exactly_the_columns_of_a_feed(filings):
    with filings.session, filings.session.cursor() as cursor:
        cursor.execute("SELECT * FROM icpgate_feed")
        assert [column.name for column in cursor.description] == COLUMNS


def test_a_first_filing_is_pending_then_filed(filings):
    site = filings.site("a.cn", number=None, ordinal=None)
    assert filings.feed() == []
    application = filings.apply(site, "qcloud", "first-filing")
    assert in_feed(filings) == ["pending", "", "", "", "", ""]
    filings.execute("UPDATE filing.entity SET number = '京ICP备11018762号'")
    filings.execute("UPDATE filing.site SET ordinal = 1")
    assert in_feed(filings) == ["pending", NUMBER, "", "", "", ""]
    filings.decide(application, "approved")
    status, number, approved_at, *rest = in_feed(filings)
    assert (status, number, rest) == ("filed", NUMBER, ["", "", ""])
    assert approved_at.startswith(TODAY) and approved_at.endswith("+08:00")


def test_a_first_filing_that_is_rejected_leaves_no_row(filings):
    application = filings.apply(filings.site("a.cn"), "qcloud", "first-filing")
    filings.decide(application, "rejected")
    assert filings.feed() == []


def test_a_change_under_review(filings):
    application = filings.apply(filings.filed("a.cn"), "qcloud", "change")
    assert in_feed(filings) == ["changing", NUMBER, LINKED, "", "", ""]
    filings.decide(application, "approved")
    assert in_feed(filings) == ["filed", NUMBER, LINKED, "", "", ""]


def test_a_transfer_counts_from_its_preliminary_review(filings):
    application = filings.apply(filings.filed("a.cn"), "acloud", "transfer")
    assert in_feed(filings, "acloud") is None
    filings.decide(application, "preapproved", preapproved_at="2026-11-01 08:00:00+00")
    assert in_feed(filings, "acloud") == ["transfer-preapproved", NUMBER,
                                          "2026-11-01T16:00:00+08:00", "", "", ""]
    filings.decide(application, "preapproved", expires_at="2026-11-30 16:00:00+00")
    assert in_feed(filings, "acloud")[3] == "2026-12-01T00:00:00+08:00"
    assert in_feed(filings)[0] == "filed"
    filings.decide(application, "approved")
    assert in_feed(filings, "acloud")[0] == "filed"


def test_a_transfer_that_is_withdrawn_leaves_no_row(filings):
    application = filings.apply(filings.filed("a.cn"), "acloud", "transfer")
    filings.decide(application, "preapproved", preapproved_at="2026-11-01 00:00+08")
    filings.decide(application, "withdrawn")
    assert in_feed(filings, "acloud") is None


def test_an_access_that_is_cancelled_and_linked_again(filings):
    site = filings.filed("a.cn")
    filings.decide(filings.apply(site, "qcloud", "cancel-access"), "approved")
    assert in_feed(filings) == ["transfer-cancelled", NUMBER, LINKED, "", "", ""]
    filings.decide(filings.apply(site, "qcloud", "transfer"), "approved")
    assert in_feed(filings)[0] == "filed"


def test_a_special_inspection(filings):
    site = filings.filed("a.cn")
    filings.execute("INSERT INTO filing.inspection (site_id, provider, rectify_by)"
                    " VALUES (%s, 'qcloud', '2026-12-01')", site)
    filings.apply(site, "qcloud", "change")
    assert in_feed(filings) == ["rectifying", NUMBER, LINKED, "", "2026-12-01", ""]
    filings.execute("UPDATE filing.inspection SET closed_at = now()")
    assert in_feed(filings)[0] == "changing"


@pytest.mark.parametrize("kind", ["deregister-site", "deregister-entity"])
def test_deregistration(filings, kind):
    site = filings.filed("a.cn")
    filings.filed("other.cn", ordinal=2, provider="acloud")
    filings.decide(filings.apply(site, "qcloud", kind), "approved")
    assert in_feed(filings) == ["deregistered", NUMBER, LINKED, "", "", ""]
    assert in_feed(filings, "acloud")[0] == (
        "deregistered" if kind == "deregister-entity" else "filed")


def test_a_licence_is_bound_to_the_addresses_of_each_provider(filings):
    site = filings.filed("a.cn")
    filings.execute("INSERT INTO filing.access VALUES (%s, 'acloud', now())", site)
    filings.execute("WITH licence AS (INSERT INTO filing.licence (entity_id, number)"
                    " SELECT entity_id, '京ICP证030173号' FROM filing.site RETURNING licence_id)"
                    " UPDATE filing.site SET licence_id = licence.licence_id FROM licence")
    filings.execute("INSERT INTO filing.licence_address SELECT licence_id, 'qcloud', address"
                    " FROM filing.licence, (VALUES (cidr '192.0.2.7'), ('2001:db8::/48'),"
                    " ('192.0.2.0/28')) addresses (address)")
    assert in_feed(filings)[1] == "京ICP证030173号"
    assert in_feed(filings)[5] == "192.0.2.0/28 192.0.2.7/32 2001:db8::/48"
    assert in_feed(filings, "acloud")[5] == ""


@pytest.mark.parametrize("statement", [
    "INSERT INTO filing.site_domain SELECT 'B.cn', site_id FROM filing.site",
    "INSERT INTO filing.provider VALUES ('Q Cloud', '')",
    "UPDATE filing.application SET state = 'preapproved'",
    "INSERT INTO filing.application (site_id, provider, kind)"
    " SELECT site_id, 'qcloud', 'transfer' FROM filing.site",
    "TRUNCATE filing.site CASCADE",
])
def test_what_the_schema_refuses(filings, statement):
    filings.apply(filings.filed("a.cn"), "qcloud", "change")
    with pytest.raises(psycopg2.Error):
        filings.execute(statement)


# Published changes

def test_each_change_of_the_feed_is_published_and_nothing_else(filings):
    site = filings.filed("a.cn", "b.cn")
    assert filings.changes() == [(1, "upsert", "a.cn", "qcloud", "filed"),
                                 (1, "upsert", "b.cn", "qcloud", "filed")]
    filings.execute("UPDATE filing.site SET name = 'another'")
    filings.execute("UPDATE filing.access SET linked_at = linked_at")
    assert filings.sequence() == 1
    filings.execute("DELETE FROM filing.site_domain WHERE domain = 'b.cn'")
    filings.execute("UPDATE filing.entity SET number = '沪ICP备1号'")
    filings.execute("DELETE FROM filing.site WHERE site_id = %s", site)
    assert filings.changes(1) == [(2, "delete", "b.cn", "qcloud", None),
                                  (3, "upsert", "a.cn", "qcloud", "filed"),
                                  (4, "delete", "a.cn", "qcloud", None)]


def test_a_transaction_is_one_sequence_with_its_net_change(filings):
    filings.filed("a.cn")
    filings.execute("""
        SET CONSTRAINTS ALL IMMEDIATE;
        UPDATE filing.access SET cancelled_at = now();
        UPDATE filing.access SET cancelled_at = NULL;
        UPDATE filing.site_domain SET domain = 'b.cn';
        SET CONSTRAINTS ALL DEFERRED;
        INSERT INTO filing.site_domain SELECT 'c.cn', site_id FROM filing.site""")
    assert filings.changes(1) == [(2, "delete", "a.cn", "qcloud", None),
                                  (2, "upsert", "b.cn", "qcloud", "filed"),
                                  (2, "upsert", "c.cn", "qcloud", "filed")]


def test_an_abort_leaves_no_gap(filings):
    filings.filed("a.cn")
    with pytest.raises(psycopg2.errors.DivisionByZero):
        filings.execute("SET CONSTRAINTS ALL IMMEDIATE; DELETE FROM filing.site_domain; SELECT 1/0")
    filings.execute("""
        SAVEPOINT before;
        SET CONSTRAINTS ALL IMMEDIATE;
        DELETE FROM filing.site_domain;
        ROLLBACK TO before;
        INSERT INTO filing.site_domain SELECT 'b.cn', site_id FROM filing.site""")
    assert filings.changes(1) == [(2, "upsert", "b.cn", "qcloud", "filed")]


def test_a_row_that_two_transactions_make_together_is_published(filings):
    """One adds a domain, the other the access; neither sees the other's part before its commit."""
    site = filings.site()
    one, other = filings.connect(), filings.connect()
    one.cursor().execute("INSERT INTO filing.site_domain VALUES ('a.cn', %s);"
                         "SET CONSTRAINTS ALL IMMEDIATE", [site])
    other.cursor().execute("INSERT INTO filing.access VALUES (%s, 'qcloud', now())", [site])
    commit = threading.Thread(target=other.commit)
    commit.start()
    wait_until(lambda: filings.one("SELECT count(*) FROM pg_stat_activity WHERE datname ="
                                   " current_database() AND wait_event_type = 'Lock'"),
               "the second commit waits for the first")
    one.commit()
    commit.join()
    assert filings.changes() == [(1, "upsert", "a.cn", "qcloud", "filed")]


@pytest.mark.parametrize("isolation", ["REPEATABLE READ", "SERIALIZABLE"])
def test_a_transaction_that_can_t_see_the_other_s_part_fails(filings, isolation):
    site = filings.site()
    other = filings.connect(isolation)
    other.cursor().execute("INSERT INTO filing.access VALUES (%s, 'qcloud', now())", [site])
    filings.execute("INSERT INTO filing.site_domain VALUES ('a.cn', %s)", site)
    with pytest.raises(psycopg2.errors.SerializationFailure):
        other.commit()


def test_rows_that_were_loaded_without_triggers(filings):
    site = filings.filed("a.cn")
    filings.execute("SET session_replication_role = replica;"
                    "INSERT INTO filing.site_domain"
                    " SELECT 'd' || i || '.cn', %s FROM generate_series(1, 2500) i;"
                    "DELETE FROM filing.site_domain WHERE domain = 'a.cn';"
                    "SET session_replication_role = DEFAULT", site)
    assert filings.sequence() == 1
    filings.execute("SELECT filing.publish_all()")
    assert filings.sequence() == 2
    assert len(filings.changes(1)) == 2501
    assert filings.changes(1)[0] == (2, "delete", "a.cn", "qcloud", None)


def test_pruning_keeps_the_newest_sequences(filings):
    for domain, ordinal in (("a.cn", 1), ("b.cn", 2), ("c.cn", 3)):
        filings.filed(domain, ordinal=ordinal)
    filings.execute("UPDATE icpgate_changes SET at = now() - interval '8 days' WHERE sequence <> 2")
    assert filings.one("SELECT filing.prune()") == 1
    assert [change[0] for change in filings.changes()] == [2, 3]
    assert filings.one("SELECT filing.prune(interval '0')") == 2
    assert filings.sequence() == 3


def test_numbers_become_visible_in_order_and_without_gaps(filings):
    """Sessions commit, abort and dawdle at once; each snapshot must show 1..N and the feed of it."""
    sites = [filings.site(f"s{i}.cn", ordinal=i + 1) for i in range(6)]
    filings.execute("INSERT INTO filing.access SELECT site_id, 'qcloud', '2023-05-06'"
                    " FROM filing.site")
    failures = []

    def change(site, worker):
        connection = filings.connect()
        for i in range(30):
            with connection.cursor() as cursor:
                cursor.execute("UPDATE filing.access SET cancelled_at = CASE WHEN cancelled_at"
                               " IS NULL THEN now() END WHERE site_id = %s", [site])
                if (i + worker) % 5 == 0:
                    cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; SELECT pg_sleep(0.005)")
            connection.rollback() if (i + worker) % 7 == 0 else connection.commit()

    def replay(connection, known, seen):
        """Brings known from sequence seen to that of a snapshot, and compares it with the feed."""
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT sequence FROM icpgate_sequence")
            newest = cursor.fetchone()[0]
            cursor.execute("SELECT sequence, op, domain, provider, status FROM icpgate_changes"
                           " WHERE sequence > %s ORDER BY sequence, op", [seen])
            changes = cursor.fetchall()
            cursor.execute("SELECT domain, provider, status FROM icpgate_feed")
            feed = {(domain, provider): status for domain, provider, status in cursor}
        assert sorted({sequence for sequence, *_ in changes}) == list(range(seen + 1, newest + 1))
        for _, op, domain, provider, status in changes:
            if op == "upsert":
                known[domain, provider] = status
            else:
                del known[domain, provider]
        assert known == feed
        return newest

    def read():
        connection = filings.connect("REPEATABLE READ")
        known, seen = {}, 0
        try:
            while not finished.is_set():
                seen = replay(connection, known, seen)
            replay(connection, known, seen)
        except Exception as error:  # handed to the test
            failures.append(error)

    finished = threading.Event()
    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=change, args=(site, i)) for i, site in enumerate(sites)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    finished.set()
    reader.join()
    assert failures == []
    assert filings.sequence() > 100


# full --from

def fill(filings):
    """Sites of every status, and one of a name outside ASCII."""
    ordinals = iter(range(1, 100))
    for kind, state, columns in (
            ("first-filing", "submitted", {}), ("new-site", "approved", {}),
            ("transfer", "preapproved", {"preapproved_at": "2026-11-01 00:00+08",
                                         "expires_at": "2026-12-01 00:00+08"}),
            ("transfer", "approved", {}), ("cancel-access", "approved", {}), ("change", "submitted", {}),
            ("deregister-site", "approved", {})):
        ordinal = next(ordinals)
        site = filings.filed(f"{kind}.{state}.cn", f"例子{ordinal}.中国", ordinal=ordinal)
        target = "acloud" if "filing" in kind or kind in ("transfer", "new-site") else "qcloud"
        filings.decide(filings.apply(site, target, kind), state, **columns)
    site = filings.filed("rectifying.cn", ordinal=next(ordinals))
    filings.execute("INSERT INTO filing.inspection (site_id, provider, rectify_by)"
                    " VALUES (%s, 'qcloud', '2026-12-01')", site)


def test_a_full_load_equals_that_of_the_view_as_a_file(filings, loads):
    fill(filings)
    done = loads.full(filings, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["sequence"] == filings.sequence()
    rows = loads.dump()
    assert rows == by_file(filings, loads)
    assert {row[2] for row in rows} == {"filed", "changing", "rectifying", "transfer-preapproved",
                                        "pending", "transfer-cancelled", "deregistered"}
    as_of = datetime.fromisoformat(loads.status()["as_of"]).timestamp()
    assert 0 <= time.time() - as_of < 60


def test_a_full_load_of_nothing(filings, loads):
    assert loads.full(filings).returncode == 0
    assert loads.status()["rows"] == 0
    assert loads.status()["sequence"] == 0


def test_many_rows_go_through_the_stream(filings, loads):
    done = loads.full(filings, "--query", "SELECT 'd' || i || '.cn' AS domain, 'qcloud' AS provider,"
                      " 'filed' AS status, repeat('x', i % 120) || '号' AS number"
                      " FROM generate_series(1, 50000) i")
    assert done.returncode == 0, done.stderr
    assert loads.dump() == sorted([f"d{i}.cn", "qcloud", "filed", "x" * (i % 120) + "号", "", "", "",
                                   ""] for i in range(1, 50001))


def test_a_full_load_is_of_one_snapshot(filings, loads):
    """Another session commits after the sequence was read, before the rows are: it is not seen."""
    filings.filed("a.cn")
    filings.execute("CREATE SCHEMA slow; CREATE VIEW slow.icpgate_sequence AS SELECT s.* FROM"
                    " (SELECT pg_advisory_lock_shared(1) OFFSET 0) waits CROSS JOIN LATERAL"
                    " (SELECT * FROM public.icpgate_sequence WHERE waits IS NOT NULL) s")
    holder = filings.connect()
    holder.cursor().execute("SELECT pg_advisory_lock(1)")
    conninfo = filings.conninfo(options="-csearch_path=slow,public")
    results = []
    loader = threading.Thread(
        target=lambda: results.append(loads.load("full", "--from", conninfo)))
    loader.start()
    wait_until(lambda: filings.one("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
                                   " AND NOT granted"), "the loader reads the sequence")
    filings.filed("b.cn", ordinal=2)
    holder.cursor().execute("SELECT pg_advisory_unlock(1)")
    loader.join()
    assert results[0].returncode == 0, results[0].stderr
    assert [row[0] for row in loads.dump()] == ["a.cn"]
    assert loads.status()["sequence"] == 1
    assert loads.full(filings).returncode == 0
    assert [row[0] for row in loads.dump()] == ["a.cn", "b.cn"]
    assert loads.status()["sequence"] == 2


def test_a_bad_row_is_named(filings, loads):
    filings.filed("com.cn")
    done = loads.full(filings)
    assert done.returncode == 3
    assert "postgresql:icpgate_feed:2: domain is a public suffix: com.cn\n" in done.stderr
    assert not (loads.store / "current").exists()


def test_the_reader_needs_three_relations_only(filings, loads):
    filings.filed("a.cn")
    filings.execute("CREATE ROLE reader LOGIN;"
                    "GRANT SELECT ON icpgate_feed, icpgate_changes, icpgate_sequence TO reader")
    done = loads.load("full", "--from", filings.conninfo(user="reader"))
    assert done.returncode == 0, done.stderr
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        filings.execute("SET ROLE reader; SELECT * FROM filing.site")


def test_who_files_needs_no_right_to_publish(filings):
    site = filings.site("a.cn")
    filings.execute("CREATE ROLE clerk; GRANT USAGE ON SCHEMA filing TO clerk;"
                    "GRANT INSERT ON filing.access TO clerk;")
    filings.execute("SET LOCAL ROLE clerk; INSERT INTO filing.access VALUES (%s, 'qcloud', now())", site)
    assert len(filings.changes()) == 1


@pytest.mark.parametrize("query, status, message", [
    ("SELECT 1/0 AS domain", 4, "postgresql:query: division by zero (SQLSTATE 22012)"),
    ("SELECT 'd' || i || '.cn' AS domain, 'q' AS provider, 'filed' AS status, 1/(9999-i) AS number"
     " FROM generate_series(1, 20000) i", 4, "postgresql:query: division by zero (SQLSTATE 22012)"),
    ("SELECT 1 AS line -- from", 3, "postgresql:query:1: column is not known: line"),
    ("DELETE FROM filing.site RETURNING 1", 4, "postgresql:query: cannot execute DELETE in a"
     " read-only transaction (SQLSTATE 25006)"),
    ("SELECT FROM", 4, "postgresql:query: syntax error"),
])
def test_queries_that_fail(filings, loads, query, status, message):
    filings.filed("a.cn")
    loads.full(filings)
    done = loads.full(filings, "--query", query)
    assert done.returncode == status
    assert message in done.stderr and done.stderr.count("\n") == 1
    assert [row[0] for row in loads.dump()] == ["a.cn"]


def test_a_session_that_is_terminated_while_it_is_read(filings, loads):
    done = loads.full(filings, "--query", "SELECT 'd' || i || '.cn' AS domain, 'q' AS provider,"
                      " 'filed' AS status, CASE WHEN i = 15000 THEN"
                      " pg_terminate_backend(pg_backend_pid())::text ELSE '号' END AS number"
                      " FROM generate_series(1, 20000) i")
    assert done.returncode == 4
    assert "terminating connection due to administrator command" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (loads.store / "current").exists()


def test_a_database_without_the_schema(server, loads):
    done = loads.load("full", "--from", server.conninfo())
    assert done.returncode == 4
    assert done.stderr == ('postgresql:icpgate_sequence: relation "icpgate_sequence" does not exist'
                           " (SQLSTATE 42P01)\n")


@pytest.mark.parametrize("conninfo, status", [
    ("host=/nowhere password=mellon", 4),
    ("host=127.0.0.1 port=1 password=mellon", 4),
    ("postgresql://user:mellon@%2Fnowhere/db", 4),
    ("password=mellon mellon", 2),
    ("passwort=mellon", 2),
    ("postgresql://user:mellon@host:port/db", 2),
    ("postgresql://user:mellon%zz@host/db", 2),
    ("postgresql://user:mellon/x@host/db", 2),
    ("postgresql://user:x@mellon@127.0.0.1:1/db", 2),
    ("postgresql://127.0.0.1:1/x@mellon", 2),
])
def test_no_password_is_printed(loads, conninfo, status):
    done = loads.load("full", "--from", conninfo)
    assert done.returncode == status
    assert done.stderr.startswith("postgresql: ") and done.stderr.count("\n") == 1
    assert "mellon" not in done.stderr


def test_a_wrong_password_is_not_printed(server, filings, loads):
    """The server's own message about it names the user alone."""
    hba = server.data / "pg_hba.conf"
    before = hba.read_text(encoding="utf-8")
    try:
        hba.write_text("local all guarded scram-sha-256\n" + before, encoding="utf-8")
        filings.execute("CREATE ROLE guarded LOGIN PASSWORD 'mellon'; SELECT pg_reload_conf()")
        wait_until(lambda: loads.load("full", "--from", filings.conninfo(user="guarded")).returncode
                   == 4, "the password is asked for")
        done = loads.load("full", "--from", filings.conninfo(user="guarded", password="melon"))
        assert done.returncode == 4
        assert "password authentication failed" in done.stderr and "melon" not in done.stderr
    finally:
        hba.write_text(before, encoding="utf-8")
        filings.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("arguments", [
    ["full", "--from", "dbname=x", "feed.csv"],
    ["full", "--query", "SELECT 1", "feed.csv"],
    ["full", "--from", "dbname=x", "--no-manifest"],
    ["status", "--from", "dbname=x"],
])
def test_options_that_do_not_go_together(loads, arguments):
    assert loads.load(*arguments).returncode == 2
