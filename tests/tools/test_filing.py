# SPDX-License-Identifier: BSD-3-Clause
"""conf/filing.sql: the feed that its view gives, and the changes that its triggers publish."""

import threading
from datetime import datetime

import psycopg2
import pytest

from operator_tool import COLUMNS, wait_until
from postgres import CHINA

NUMBER = "京ICP备11018762号-1"
LINKED = "2023-05-06T00:00:00+08:00"


def today():
    return datetime.now(CHINA).date().isoformat()


def in_feed(filings, provider="qcloud"):
    """The one row of a provider, without its domain."""
    rows = [row for row in filings.feed() if row[1] == provider]
    assert len(rows) <= 1
    return rows[0][2:] if rows else None


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
    before = today()
    filings.decide(application, "approved")
    status, number, approved_at, *rest = in_feed(filings)
    assert (status, number, rest) == ("filed", NUMBER, ["", "", ""])
    assert before <= approved_at[:10] <= today() and approved_at.endswith("+08:00")


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


def test_who_files_needs_no_right_to_publish(filings):
    site = filings.site("a.cn")
    filings.execute("CREATE ROLE clerk; GRANT USAGE ON SCHEMA filing TO clerk;"
                    "GRANT INSERT ON filing.access TO clerk;")
    filings.execute("SET LOCAL ROLE clerk; INSERT INTO filing.access VALUES (%s, 'qcloud', now())", site)
    assert len(filings.changes()) == 1


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
