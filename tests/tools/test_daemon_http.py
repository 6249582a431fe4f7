# SPDX-License-Identifier: BSD-3-Clause
"""icpgated's HTTP server as a part of the daemon."""

import json
import signal
import socket

from gate_daemon import state_of, upsert, wait_until
from harness import free_port
from http_alone import fetch, samples


def serving(make_daemon, port=None, **settings):
    port = port or free_port()
    daemon = make_daemon(http=f"127.0.0.1:{port}", **settings)
    daemon.start()
    return daemon, port


def scrape(port):
    return samples(fetch(port)[2])


def test_loads_are_told(make_daemon):
    daemon, port = serving(make_daemon)
    assert fetch(port, "/healthz")[0] == 503
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    assert fetch(port, "/healthz")[:1] == (200,)
    found = scrape(port)
    assert found['icpgate_loads_total{kind="full",outcome="done"}'] == 1
    assert found["icpgate_store_sequence"] == 1
    daemon.delta(upsert("c.cn"), 3)
    wait_until(lambda: scrape(port)["icpgate_spool_feeds_waiting"] == 1, "a delta waits")
    assert scrape(port)["icpgate_spool_feeds"] == 1
    daemon.ctl("pause")
    assert scrape(port)["icpgate_daemon_paused"] == 1
    assert "note: loading is paused" in fetch(port, "/healthz")[2]
    daemon.ctl("resume")
    assert scrape(port)["icpgate_daemon_paused"] == 0


def test_a_gap_that_lasts_is_a_problem(make_daemon):
    daemon, port = serving(make_daemon, gap_after="1s")
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    daemon.delta(upsert("c.cn"), 3)
    status, _, body = wait_until(
        lambda: (got := fetch(port, "/healthz"))[0] == 503 and got, "unhealthy")
    assert status == 503 and "\ngap: a delta has waited" in body
    assert json.loads(fetch(port, "/status")[2])["problems"] == ["gap"]
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))
    wait_until(lambda: fetch(port, "/healthz")[0] == 200, "healthy again")


def test_the_store_of_the_option_is_told_of(make_daemon):
    port = free_port()
    daemon = make_daemon(http=f"127.0.0.1:{port}")
    other = daemon.root / "other"
    daemon.start("--store", str(other))
    daemon.store.path = other
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 7))
    assert scrape(port)["icpgate_store_sequence"] == 7
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("the configuration was read again")
    assert scrape(port)["icpgate_store_sequence"] == 7


def refuses(port):
    try:
        fetch(port)
    except ConnectionRefusedError:
        return True
    except ConnectionError:
        # It was let in at the last moment.
        return False
    return False


def test_reload_moves_it(make_daemon):
    daemon, port = serving(make_daemon, stale_after="36h")
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    assert scrape(port)["icpgate_store_stale_after_seconds"] == 36 * 3600
    daemon.configure(stale_after="2h")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: scrape(port)["icpgate_store_stale_after_seconds"] == 7200, "a new limit")
    other = free_port()
    daemon.configure(http=f"127.0.0.1:{other}")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: refuses(port), "the old port is given up")
    assert fetch(other)[0] == 200
    # One that is taken, or not on loopback: what was stays.
    with socket.create_server(("127.0.0.1", port)):
        daemon.configure(http=f"127.0.0.1:{port}")
        daemon.process.send_signal(signal.SIGHUP)
        daemon.says(f"127.0.0.1:{port}: Address already in use; HTTP stays where it was")
    assert fetch(other)[0] == 200
    daemon.configure(http="192.0.2.1:80")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("192.0.2.1:80 is not a loopback address")
    assert fetch(other)[0] == 200
    daemon.configure(http="none")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: refuses(other), "none is none")
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))


def test_a_start_that_can_not_listen_fails(make_daemon):
    _, port = serving(make_daemon)
    second = make_daemon(http=f"127.0.0.1:{port}")
    second.spawn()
    assert second.process.wait(60) == 4
    assert f"daemon.http: 127.0.0.1:{port}: Address already in use" in second.log()
    third = make_daemon(http="0.0.0.0:9553")
    third.spawn()
    assert third.process.wait(60) == 2
    assert "0.0.0.0:9553 is not a loopback address" in third.log()
    for daemon in (second, third):
        daemon.process = None


def test_scrapes_while_it_loads(make_daemon):
    """Each answer is whole, and of one generation, and the loads are not held up."""
    daemon, port = serving(make_daemon, keep=2)
    for sequence in range(1, 6):
        name = daemon.full(state_of(*(f"n{n}.cn" for n in range(sequence * 100))), sequence)
        wait_until(lambda n=name: scrape(port) and daemon.is_in("done", n), "loaded")
        found = scrape(port)
        assert found["icpgate_store_sequence"] == sequence
        assert found["icpgate_store_rows"] == sequence * 100
    assert found['icpgate_loads_total{kind="full",outcome="done"}'] == 5


def test_clients_that_say_nothing_do_not_hold_up_the_daemon(make_daemon):
    daemon, port = serving(make_daemon)
    idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(200)]
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    assert scrape(port)["icpgate_store_sequence"] == 1
    assert daemon.status()["store"]["sequence"] == 1
    # And its end does not wait for them.
    daemon.stop()
    for client in idle:
        client.close()
