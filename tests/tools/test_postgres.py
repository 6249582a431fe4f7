# SPDX-License-Identifier: BSD-3-Clause
"""PostgreSQL as the source: full --from."""

import json
import time
from datetime import datetime

import psycopg2
import pytest

from loads import Loads, by_file
from operator_tool import wait_until


@pytest.fixture(name="loads")
def make_loads(tmp_path):
    return Loads(tmp_path)


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
    log = loads.audit()
    assert ("rectifying.cn", "qcloud", "none", "rectifying", "1", str(filings.sequence()),
            "postgresql:icpgate_feed") in log
    assert {line[4:] for line in log} == {("1", str(filings.sequence()), "postgresql:icpgate_feed")}


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
    assert {line[6] for line in loads.audit()} == {"postgresql:query"}


def test_a_full_load_is_of_one_snapshot(filings, loads):
    """Another session commits after the sequence was read, before the rows are: it is not seen."""
    filings.filed("a.cn")
    with filings.held(lambda conninfo: loads.load("full", "--from", conninfo)) as results:
        filings.filed("b.cn", ordinal=2)
    assert results[0].returncode == 0, results[0].stderr
    assert [row[0] for row in loads.dump()] == ["a.cn"]
    assert loads.status()["sequence"] == 1
    assert loads.full(filings).returncode == 0
    assert [row[0] for row in loads.dump()] == ["a.cn", "b.cn"]
    assert loads.status()["sequence"] == 2


@pytest.mark.parametrize("arguments, status", [
    ([], 1), (["--max-lost", "79.9"], 1), (["--max-lost", "80"], 0), (["--force"], 0),
])
def test_the_guard_is_that_of_a_file(filings, loads, arguments, status):
    filings.filed(*(f"{'lost' if i < 160 else 'kept'}{i}.cn" for i in range(200)))
    assert loads.full(filings).returncode == 0
    filings.execute("DELETE FROM filing.site_domain WHERE starts_with(domain, 'lost')")
    done = loads.full(filings, *arguments)
    assert done.returncode == status, done.stderr
    assert loads.status()["rows"] == (200 if status else 40)
    assert status == 0 or done.stderr.startswith(
        "postgresql:icpgate_feed: 160 of 200 permissions would be lost (80.00%")


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
