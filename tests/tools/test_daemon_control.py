# SPDX-License-Identifier: BSD-3-Clause
"""icpgate ctl, and the control socket of icpgated."""

import json
import os
import random
import signal
import socket
import stat
import time

from gate_daemon import filed, state_of, upsert, wait_until
from operator_tool import icpgate, run

# ICP_CONTROL_SECONDS and ICP_CONTROL_CLIENTS_MAX of loader/control.h
PATIENCE = 5
CLIENTS = 16
ROUNDS = 2000 if os.environ.get("ICP_LONG") else 200


def test_status_in_text(daemon):
    text = daemon.ctl("status")
    assert "generation  1\n" in text and "sequence    1, full feed 1\n" in text
    assert f"spool       0 feeds in {daemon.spool}\n" in text
    assert "follow      off\n" in text and "last load   full, sequence 1: done" in text


def test_the_socket_is_guarded(daemon):
    mode = os.stat(daemon.settings["control"]).st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


def test_pause_and_resume(daemon):
    assert daemon.ctl("pause") == "paused\n"
    name = daemon.delta(upsert("b.cn"), 2)
    wait_until(lambda: daemon.status()["spool"]["depth"] == 1, daemon.log)
    status = daemon.status()
    assert status["paused"] == "operator" and status["store"]["sequence"] == 1
    # It holds beyond the end of the daemon.
    daemon.kill()
    daemon.start()
    assert daemon.status()["paused"] == "operator"
    daemon.says("paused (operator): no feed is loaded")
    assert daemon.sequence() == 1
    # An order is an order.
    assert "sequence 2" in daemon.ctl("load", name)
    daemon.ends_in("done", name)
    other = daemon.delta(upsert("c.cn"), 3)
    assert daemon.ctl("resume") == "not paused\n"
    daemon.ends_in("done", other)
    assert daemon.status()["paused"] is None


def test_rollback(daemon):
    daemon.ends_in("done", daemon.full(state_of("b.cn"), 2, "wrong.csv"))
    delta = daemon.delta(upsert("c.cn"), 3)
    daemon.ends_in("done", delta)
    text = daemon.ctl("rollback")
    assert "generation 1 is current again in place of 2" in text and "paused" in text
    assert "deltas 2 to 3 were applied to the other one only" in text
    assert set(daemon.store.dump()) == {("a.cn", "qcloud")}
    status = daemon.status()
    assert status["paused"] == "rollback" and status["loads"]["rollback"]["done"] == 1
    daemon.delta(upsert("d.cn"), 2, "d.csv")
    wait_until(lambda: daemon.status()["spool"]["depth"] == 1, daemon.log)
    assert daemon.sequence() == 1
    daemon.ctl("resume")
    daemon.ends_in("done", "d.csv")
    # A delta that only the other generation had is given again.
    assert "sequence 3" in daemon.ctl("load", delta)
    assert {key[0] for key in daemon.store.dump()} == {"a.cn", "c.cn", "d.cn"}
    daemon.ends_in("done", daemon.full(state_of("b.cn"), 4))
    assert "delta 4 was applied to the other one only: give it again" in daemon.ctl("rollback")
    assert "no generation is kept" in daemon.ctl("rollback", expect=4)


def test_load_that_can_not_be(daemon):
    for name, why in (("none.csv", "no such feed in the spool"), ("none", "not the name of a feed")):
        assert why in daemon.ctl("load", name, expect=1)
    late = daemon.delta(upsert("b.cn"), 9, "late.csv")
    wait_until(lambda: daemon.status()["spool"]["waiting"] == 1, daemon.log)
    assert "one before it is missing" in daemon.ctl("load", late, expect=1)
    daemon.delta(upsert("b.cn"), 2, "b.csv")
    daemon.ends_in("done", "b.csv")
    assert "force is for full feeds" in daemon.ctl("load", "--force", "b.csv", expect=1)
    # What is refused stays where it is.
    assert daemon.is_in("done", "b.csv")
    # What was applied is told, and stays where such feeds are.
    assert "was applied before" in daemon.ctl("load", "b.csv")
    daemon.ends_in("done", "b.csv")


def test_wrong_usage(daemon):
    for arguments in ([], ["stop"], ["status", "x"], ["load"], ["--force", "status"]):
        assert icpgate("-c", daemon.conf, "ctl", *arguments).returncode == 2
    assert icpgate("--socket", "x", "verify").returncode == 2
    done = icpgate("--socket", daemon.outside / "none", "ctl", "status")
    assert done.returncode == 4 and "is icpgated running?" in done.stderr
    done = icpgate("--socket", daemon.settings["control"], "ctl", "status", "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["ok"] is True
    daemon.stop()
    assert icpgate("-c", daemon.conf, "ctl", "status").returncode == 4


def test_orders_are_logged(daemon):
    daemon.ctl("pause")
    daemon.says(f"user {os.getuid()}: pause")


def test_garbage(daemon):
    chance = random.Random(1)
    good = b'{"command": "status"}\n'
    for _ in range(ROUNDS):
        octets = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            octets[chance.randrange(len(octets) - 1)] = chance.randrange(256)
        try:
            answer = daemon.ask(bytes(octets))
        except (BrokenPipeError, ConnectionResetError):
            continue
        assert answer.endswith(b"\n") and "ok" in json.loads(answer)
    assert json.loads(daemon.ask(b'{"command": "status", "x": 1}\n'))["ok"] is False
    try:
        daemon.ask(b"x" * 1_000_000)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert json.loads(daemon.ask(good))["ok"] is True


def test_slow_clients(daemon):
    """They hold all places, one octet at a time, and lose them after a few seconds; then an operator has
    his turn. What the daemon does otherwise does not wait for them."""
    clients = []
    for _ in range(CLIENTS):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(daemon.settings["control"])
        client.sendall(b"{")
        clients.append(client)
    began = time.monotonic()
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))
    left = list(clients)

    def others_are_gone():
        for client in list(left):
            try:
                client.sendall(b" ")
            except (BrokenPipeError, ConnectionResetError):
                left.remove(client)
        return not left

    wait_until(others_are_gone, "slow clients are left", 4 * PATIENCE)
    assert time.monotonic() - began > PATIENCE / 2
    assert daemon.status()["ok"] is True
    for client in clients:
        client.close()


def test_a_client_that_does_not_read(daemon):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.connect(daemon.settings["control"])
        client.sendall(b'{"command": "status"}\n')
        assert daemon.status()["ok"] is True


def test_two_wait_for_one_load(daemon):
    daemon.ctl("pause")
    name = daemon.full(state_of("a.cn", "b.cn"), 2, "f.csv")
    request = json.dumps({"command": "load", "feed": name}).encode() + b"\n"
    clients = []
    with daemon.loads_held():
        for _ in range(2):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.settimeout(60)
            client.connect(daemon.settings["control"])
            client.sendall(request)
            clients.append(client)
        daemon.says(f": load {name}", 2)
    for client in clients:
        assert json.loads(client.makefile("rb").readline())["ok"] is True
        client.close()
    assert daemon.status()["loads"]["full"]["done"] == 2


def test_an_order_outlasts_a_failure(daemon):
    """While it is paused, too."""
    daemon.ctl("pause")
    name = daemon.delta(upsert("b.cn"), 2)
    lock = daemon.store.path / "lock"
    lock.unlink()
    lock.mkdir()
    answer = json.loads(daemon.ask(json.dumps({"command": "load", "feed": name}).encode() + b"\n"))
    assert answer["ok"] is False and answer["status"] == 4
    lock.rmdir()
    daemon.ends_in("done", name)
    assert daemon.status()["paused"] == "operator"


def test_a_feed_that_is_taken_away(daemon):
    """Who waits for it is told so."""
    daemon.ctl("pause")
    first = daemon.full(state_of("a.cn"), 2, "f.csv")
    other = daemon.full(state_of("a.cn"), 3, "g.csv")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client, \
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiter:
        for each in (client, waiter):
            each.settimeout(60)
            each.connect(daemon.settings["control"])
        with daemon.loads_held():
            client.sendall(json.dumps({"command": "load", "feed": first}).encode() + b"\n")
            daemon.loader()
            waiter.sendall(json.dumps({"command": "load", "feed": other}).encode() + b"\n")
            daemon.says(f": load {other}")
            daemon.status()  # It has looked for the feed when it answers this.
            (daemon.spool / f"{other}.json").unlink()
        assert json.loads(client.makefile("rb").readline())["ok"] is True
        assert "taken away" in json.loads(waiter.makefile("rb").readline())["error"]


def test_left_behind(make_daemon):
    """The socket of a daemon that was killed is in nobody's way."""
    daemon = make_daemon()
    daemon.start()
    daemon.kill()
    assert os.path.exists(daemon.settings["control"])
    daemon.start()
    assert daemon.status()["ok"] is True
    daemon.stop(signal.SIGINT)
    assert not os.path.exists(daemon.settings["control"])


def test_a_load_in_the_way_of_the_end(daemon):
    """Who waits when the daemon ends is told so."""
    state = {row.key: row for row in (filed(f"d{n}.cn") for n in range(60_000))}
    daemon.ctl("pause")
    name = daemon.full({**state, **state_of("a.cn")}, 2, "f.csv")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(60)
        client.connect(daemon.settings["control"])
        client.sendall(json.dumps({"command": "load", "feed": name}).encode() + b"\n")
        wait_until(lambda: daemon.status()["loading"] or daemon.sequence() == 2, daemon.log)
        daemon.process.send_signal(signal.SIGTERM)
        answer = json.loads(client.makefile("rb").readline())
        assert answer["ok"] is True or answer["error"] == "the daemon ends"
    # The load had its time, and the feed was moved.
    assert daemon.process.wait(60) == 0
    assert daemon.is_in("done", name) and daemon.sequence() == 2
    assert run("test", "!", "-e", daemon.settings["control"]).returncode == 0
