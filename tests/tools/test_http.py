# SPDX-License-Identifier: BSD-3-Clause
"""What the daemon tells over HTTP."""

import json
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from counting import Resolver
from harness import free_port
from http_alone import PATHS, HttpAlone, Server, fetch
from operator_tool import LOADER, ROWS, Place, icpgate, load, run, write_feed

DEADLINE = 60


@pytest.fixture(name="stack")
def a_stack():
    with ExitStack() as stack:
        yield stack


@pytest.fixture(name="server")
def a_server(stack, tmp_path):
    return Server(stack, tmp_path)


# What it tells.


@pytest.mark.parametrize("path, content", [
    ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
    ("/healthz", "text/plain; charset=utf-8"),
    ("/status", "application/json"),
])
def test_pages(http_for_all, path, content):
    status, headers, body = http_for_all.fetch(path)
    assert status == 200 and body.endswith("\n")
    assert headers["Content-Type"] == content
    assert headers["Cache-Control"] == "no-store"
    assert int(headers["Content-Length"]) == len(body.encode())
    assert headers["Connection"] == "close"
    assert http_for_all.fetch(path + "?a=b")[0] == 200


def test_head_is_get_without_a_body(http_for_all):
    _, headers, body = http_for_all.fetch("/metrics", method="HEAD")
    assert body == ""
    # Some numbers may have got longer meanwhile.
    assert abs(int(headers["Content-Length"]) - len(http_for_all.fetch("/metrics")[2])) < 100


@pytest.mark.parametrize("path", ["/", "/metrics/", "/metricsx", "//metrics", "/healthz/..",
                                  "/%2e%2e/etc/passwd"])
def test_other_paths_are_not_found(http_for_all, path):
    assert http_for_all.fetch(path)[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE",
                                    "PATCH", "PROPFIND", "get"])
def test_other_methods_are_refused(http_for_all, method):
    for path in PATHS:
        assert http_for_all.fetch(path, method=method)[0] in (400, 405, 501)


def test_metrics_of_a_store_and_its_resolver(server):
    with Resolver(server.place.store) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 1, 7)
        resolver.order("took", 1, 700, 3)
        resolver.order("count", 0, "leases_renewed", 5)
        found = server.samples()
        assert found["icpgate_resolver_counting"] == 1
    assert found['icpgate_judgements_total{verdict="block",reason="unfiled"}'] == 7
    assert found['icpgate_judgement_duration_seconds_bucket{le="5e-07"}'] == 0
    assert found['icpgate_judgement_duration_seconds_bucket{le="1e-06"}'] == 3
    assert found["icpgate_judgement_duration_seconds_sum"] == pytest.approx(2.1e-6)
    assert found["icpgate_lease_renewals_total"] == 5
    assert found["icpgate_resolver_generation"] == found["icpgate_store_generation"] == 1
    assert found["icpgate_store_rows"] == len(ROWS)
    status = json.loads(run(LOADER, "--store", server.place.store, "status", "--json").stdout)
    assert found["icpgate_store_size_bytes"] == status["size"]
    assert found["icpgate_store_nodes"] == status["nodes"]
    assert server.samples()["icpgate_resolver_counting"] == 0


def test_metrics_of_the_daemon(server):
    now = int(time.time())
    found = server.samples()
    assert found["icpgate_last_load_start_time_seconds"] == 0
    assert not any(name.startswith("icpgate_last_load_info") for name in found)
    for words in (("depth", 5), ("waiting", 4), ("gap_since", now - 100), ("paused", 1),
                  ("follow", 2), ("load", 1, 3, now - 5, 250), ("load", 1, 3, now - 2, 1250)):
        server.http.order(*words)
    found = server.samples()
    assert found["icpgate_spool_feeds"] == 5 and found["icpgate_spool_feeds_waiting"] == 4
    assert 100 <= found["icpgate_spool_gap_seconds"] <= 100 + DEADLINE
    assert found["icpgate_daemon_paused"] == 1
    assert found['icpgate_follow_state{state="waiting"}'] == 1
    assert found['icpgate_loads_total{kind="delta",outcome="feed"}'] == 2
    assert found['icpgate_last_load_info{kind="delta",outcome="feed"}'] == 1
    assert found["icpgate_last_load_start_time_seconds"] == now - 2
    assert found["icpgate_last_load_duration_seconds"] == 1.25


def test_status_says_what_the_commands_say(server):
    with Resolver(server.place.store) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 1, 7)
        resolver.order("blocked", 0, "www.unfiled.cn", 7)
        status, _, body = server.fetch("/status")
        told = json.loads(body)
        loader = json.loads(run(LOADER, "--store", server.place.store, "status", "--json").stdout)
        stat = json.loads(icpgate("--store", server.place.store, "stat", "--json").stdout)
    assert status == 200 and told["healthy"] is True and told["problems"] == []
    assert told["resolver"] == stat
    assert abs(told["store"].pop("age") - loader.pop("age")) <= DEADLINE
    assert told["store"] == loader
    assert told["daemon"]["paused"] is False and told["daemon"]["last"] is None
    assert told["resolver"]["blocked_domains"]["domains"][0]["domain"] == "unfiled.cn"


def test_no_domain_is_in_the_metrics(server):
    with Resolver(server.place.store) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 1, 7)
        resolver.order("blocked", 0, "www.unfiled.cn", 7)
        body = server.fetch()[2]
    assert "unfiled.cn" not in body and str(server.place.directory) not in body


# Health.


def test_healthy(server):
    assert server.health()[0] == 200
    with Resolver(server.place.store):
        assert server.health() == (200, [])


def test_no_store(stack, tmp_path):
    server = Server(stack, tmp_path, loaded=False)
    status, lines = server.health()
    assert status == 503
    assert lines[0] == (f"store-unreadable: the store can't be read: "
                        f"{server.place.store}: no current generation")
    assert server.samples()["icpgate_store_readable"] == 0
    told = json.loads(server.fetch("/status")[2])
    assert told["problems"] == ["store-unreadable"]
    assert "no current generation" in told["store"]["error"] and told["resolver"] is None
    write_feed(server.place.feed, ROWS)
    load(server.place.store, server.place.feed)
    assert server.health()[0] == 200


@pytest.mark.parametrize("damage", [
    lambda content: content[:5000],
    lambda content: content[:4096] + b"\xff" * (len(content) - 4096),
    lambda content: b"x" * len(content),
])
def test_a_damaged_store(server, damage):
    generation = server.place.store / "generations" / "0000000001.mdb"
    generation.write_bytes(damage(generation.read_bytes()))
    status, lines = server.health()
    assert status == 503 and lines[0].startswith("store-unreadable: the store can't be read: ")
    found = server.samples()
    assert found["icpgate_store_readable"] == 0
    assert found['icpgate_problem{problem="store-unreadable"}'] == 1
    told = json.loads(server.fetch("/status")[2])
    assert told["store"]["generations"][0]["generation"] == 1


def test_a_file_of_counters_that_is_damaged(server):
    (server.place.store / "stats").write_bytes(b"x" * 5000)
    status, lines = server.health()
    assert status == 200 and lines[0].startswith("note: what the resolver counts is not known: ")
    assert server.samples()["icpgate_resolver_stats_unreadable"] == 1
    assert "error" in json.loads(server.fetch("/status")[2])["resolver"]


def test_stale(stack, tmp_path):
    server = Server(stack, tmp_path, stale_after="1m")
    feed = server.place.feed
    manifest = {"kind": "full", "sequence": 5, "as_of": "2026-01-01T00:00:00+08:00",
                "rows": len(ROWS)}
    digest = run("sha256sum", feed).stdout.split()[0]
    feed.with_name(feed.name + ".json").write_text(json.dumps({**manifest, "sha256": digest}))
    assert server.health()[0] == 200
    done = run(LOADER, "--store", server.place.store, "full", feed)
    assert done.returncode == 0, done.stderr
    status, lines = server.health()
    assert status == 503
    assert lines[0].startswith("stale: the data is ")
    assert lines[0].endswith(" s old, which is more than stale_after, 60 s")


def test_no_index(server):
    with Resolver(server.place.store) as resolver:
        resolver.order("judged", 0, "pass", "no-index", 0, 1)
        status, lines = server.health()
        assert status == 503
        assert lines[0].startswith("no-index: the resolver can't read the index since 2026-11-24")
        resolver.order("judged", 0, "pass", "filed", 1, 1)
        assert server.health() == (200, [])


def test_gap_and_notes(stack, tmp_path):
    server = Server(stack, tmp_path, gap_after="90s")
    now = int(time.time())
    server.http.order("paused", 1)
    server.http.order("load", 0, 1, now, 10)
    server.http.order("gap_since", now)
    status, lines = server.health()
    assert status == 200
    assert lines[:2] == ["note: loading is paused",
                         "note: the last load (full) was not done: guard"]
    server.http.order("gap_since", now - 100)
    status, lines = server.health()
    assert status == 503 and lines[0].startswith("gap: a delta has waited for the one before it")


# Who reads the store, which a child counts.


@pytest.fixture(name="make_server")
def a_server_with_forks(stack, tmp_path):
    """A function that gives a server whose fork() goes as it is said (see fork_shim.c), and a function that says
    how many there were."""
    library = tmp_path / "fork_shim.so"
    source = Path(__file__).with_name("fork_shim.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)

    def make(how):
        log = tmp_path / how
        log.touch()
        (tmp_path / "place").mkdir()
        preload = f"{os.environ.get('ICP_PRELOAD', '')} {library}".strip()
        server = Server(stack, tmp_path / "place", environment={"LD_PRELOAD": preload, "ICP_FORK_LOG": str(log)})
        return server, lambda: log.stat().st_size

    return make


@pytest.mark.parametrize("how, why", [("fail", "fork: Resource temporarily unavailable"),
                                      ("hang", "{store}: the readers can't be counted")])
def test_a_store_is_healthy_though_nobody_counts_its_readers(make_server, how, why):
    server, forks = make_server(how)
    status, lines = server.health()
    assert status == 200
    assert lines[0] == f"note: who reads the store is not known: {why.format(store=server.place.store)}"
    found = server.samples()
    assert found["icpgate_store_readable"] == found["icpgate_store_generation"] == 1
    assert found["icpgate_store_rows"] == len(ROWS)
    assert "icpgate_store_readers" not in found and "icpgate_store_stale_readers" not in found
    told = json.loads(server.fetch("/status")[2])
    assert told["healthy"] and told["store"]["generation"] == 1 and told["store"]["readers"] is None
    # One that takes long is not asked for with each request.
    assert how == "fail" or forks() == 1


def test_readers_are_not_counted_for_each_request(make_server):
    server, forks = make_server("count")
    for _ in range(30):
        assert server.samples()["icpgate_store_readers"] == 0
    assert 1 <= forks() < 30
    # Of another generation they are.
    before = forks()
    load(server.place.store, server.place.feed)
    assert server.samples()["icpgate_store_generation"] == 2
    assert forks() > before


# Where it listens.


@pytest.mark.parametrize("endpoint", ["0.0.0.0:20000", "192.0.2.1:80", "[::]:20000",
                                      "[2001:db8::1]:80", "[::ffff:127.0.0.1]:20000"])
def test_only_loopback(tmp_path, endpoint):
    conf = Place(tmp_path).config(daemon={"http": endpoint})
    expect = (f"daemon.http: {endpoint} is not a loopback address; "
              "127.0.0.0/8 and ::1 are allowed")
    process = run(BINARY, conf)
    assert process.returncode == 1 and process.stdout == expect + "\n"


BINARY = os.path.join(os.environ["ICP_BUILD"], "tests", "tools", "http_alone")


@pytest.mark.parametrize("address, endpoint", [("127.0.0.2", "127.0.0.2"), ("::1", "[::1]")])
def test_other_loopback_addresses(tmp_path, address, endpoint):
    place = Place(tmp_path)
    try:
        port = free_port(address)
    except AssertionError:
        pytest.skip(f"no {address} on this machine")
    conf = place.config(daemon={"http": f"{endpoint}:{port}"})
    with HttpAlone(conf):
        assert fetch(port, "/healthz", address=address)[0] == 503


def test_none_is_no_server(tmp_path):
    conf = Place(tmp_path).config(daemon={"http": "none"})
    with HttpAlone(conf) as http:
        sockets = [os.readlink(f"/proc/{http.process.pid}/fd/{fd}")
                   for fd in os.listdir(f"/proc/{http.process.pid}/fd")]
    assert not any(path.startswith("socket:") for path in sockets)


def test_a_port_in_use(server):
    process = run(BINARY, server.conf)
    assert process.returncode == 1
    assert process.stdout == f"daemon.http: 127.0.0.1:{server.port}: Address already in use\n"


def test_generations_come_and_go_under_scrapes(server):
    """Each answer is of one generation, whatever the loader does meanwhile."""
    for number in range(2, 6):
        done = run(LOADER, "--store", server.place.store, "full", "--no-manifest",
                   server.place.feed)
        assert done.returncode == 0, done.stderr
        found = server.samples()
        assert found["icpgate_store_generation"] == number
        assert found["icpgate_store_stale_readers"] == 0
    assert found["icpgate_store_generations"] >= 2


def test_the_store_is_not_held(server):
    """Between two requests the server has no file of the store open."""
    server.fetch()

    def files():
        base = f"/proc/{server.http.process.pid}/fd"
        return [os.readlink(f"{base}/{fd}") for fd in os.listdir(base)]

    assert not any(str(server.place.store) in path for path in files())
    status = json.loads(run(LOADER, "--store", server.place.store, "status", "--json").stdout)
    assert status["readers"]["slots"] == 0
