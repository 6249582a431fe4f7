# SPDX-License-Identifier: BSD-3-Clause
"""icpgated: what becomes of feeds that are dropped into its spool."""

import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from gate_daemon import ICPGATED, filed, state_of, upsert, wait_until
from operator_tool import BUILD, run

# No sanitizer makes another end of it.
CRASH = signal.SIGABRT
MANY = 1000 if os.environ.get("ICP_LONG") else 60


def test_first_full_and_deltas(daemon):
    name = daemon.delta(upsert("b.cn"), 2)
    assert "sequence 2, 1 changes" in daemon.ends_in("done", name)
    name = daemon.full(state_of("a.cn", "c.cn"), 2)
    assert "generation 2: sequence 2" in daemon.ends_in("done", name)
    assert set(daemon.store.dump()) == {("a.cn", "qcloud"), ("c.cn", "qcloud")}
    status = daemon.status()
    assert status["store"]["generation"] == 2 and status["spool"]["depth"] == 0
    assert status["loads"]["full"]["done"] == 2 and status["loads"]["delta"]["done"] == 1
    assert status["last"]["kind"] == "full" and status["last"]["outcome"] == "done"


@pytest.mark.parametrize("pack", ["gzip", "xz", "zstd"])
def test_compressed(daemon, pack):
    suffix = {"gzip": ".gz", "xz": ".xz", "zstd": ".zst"}[pack]
    plain = daemon.feeds.delta(upsert("b.cn"), 2, "d.csv")
    subprocess.run([pack, "-q", plain], check=True)
    plain.unlink(missing_ok=True)
    manifest = plain.with_name("d.csv.json")
    packed = plain.with_name("d.csv" + suffix)
    content = json.loads(manifest.read_text(encoding="utf-8"))
    content["sha256"] = subprocess.run(["sha256sum", packed], check=True, capture_output=True,
                                       encoding="ascii").stdout.split()[0]
    manifest.write_text(json.dumps(content), encoding="utf-8")
    daemon.move(packed)
    daemon.move(manifest)
    wait_until(lambda: daemon.sequence() == 2, daemon.log)
    wait_until(lambda: daemon.names("done") == ["d.csv" + suffix, "first.csv"], daemon.log)


def test_out_of_order(daemon):
    """Deltas wait for those before them, in whatever order they come."""
    order = list(range(2, 22))
    random.Random(1).shuffle(order)
    names = {n: daemon.delta(upsert(f"d{n}.cn"), n, f"{n}.csv") for n in order if n != 11}
    wait_until(lambda: daemon.sequence() == 10, daemon.log)
    status = wait_until(
        lambda: (s := daemon.status())["spool"]["waiting"] == 10 and s["spool"], daemon.log)
    assert status["depth"] == 10 and status["missing"] == 11 and status["gap_since"]
    names[11] = daemon.delta(upsert("d11.cn"), 11, "11.csv")
    for name in names.values():
        daemon.ends_in("done", name)
    assert daemon.sequence() == 21
    assert daemon.status()["spool"]["waiting"] == 0
    assert len(daemon.store.dump()) == 21


def test_a_full_feed_ends_a_gap(daemon):
    late = daemon.delta(upsert("late.cn"), 9, "late.csv")
    before = daemon.delta(upsert("x.cn"), 7, "before.csv")
    name = daemon.full(state_of("a.cn", "b.cn"), 8)
    daemon.ends_in("done", name)
    daemon.ends_in("done", late)
    assert "sequence 7 was applied before; the store has 8" in daemon.ends_in("done", before)
    assert daemon.sequence() == 9


def test_a_gap_is_told(make_daemon):
    daemon = make_daemon(gap_after="1s")
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    daemon.delta(upsert("b.cn"), 3, "third.csv")
    daemon.says("delta 3 waits for 2")
    # The check is once a minute, and when the configuration is read.
    wait_until(lambda: (daemon.process.send_signal(signal.SIGHUP),
                        daemon.status()["spool"]["gap_late"])[1], daemon.log)
    daemon.says("1 delta waits, the first is 3: 2 is missing for longer than gap_after")
    daemon.delta(upsert("c.cn"), 2)
    daemon.ends_in("done", "third.csv")
    assert not daemon.status()["spool"]["gap_late"]


def test_rejected(daemon):
    """Each for its reason; what comes after them is loaded all the same."""
    writer = daemon.feeds
    bad_rows = writer.full({1: filed("com"), 2: filed("b.cn")}, 2, "rows.csv")
    bad_sum = writer.full(state_of("b.cn"), 2, "sum.csv")
    bad_sum.write_text(bad_sum.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    bad_json = writer.full(state_of("b.cn"), 2, "json.csv")
    bad_json.with_name("json.csv.json").write_text('{"kind": "full", "seq', encoding="utf-8")
    old = writer.full(state_of("b.cn"), 0, "old.csv")
    for path in (bad_rows, bad_sum, bad_json, old):
        daemon.drop(path)
    bad_delta = daemon.delta([("upsert", filed("com"))], 2, "delta.csv")
    after = daemon.delta(upsert("c.cn"), 3, "after.csv")
    assert "older than 1" in daemon.ends_in("rejected", old.name)
    assert "rows.csv:2" in (report := daemon.ends_in("rejected", bad_rows.name)), report
    assert "sha256" in daemon.ends_in("rejected", bad_sum.name)
    assert "json.csv.json:1: " in daemon.ends_in("rejected", bad_json.name)
    daemon.ends_in("rejected", bad_delta)
    # Once more, by an order: it has lain there, and is rejected at once.
    assert "rows.csv:2" in daemon.ctl("load", bad_rows.name, expect=3)
    daemon.ends_in("rejected", bad_rows.name)
    # What comes behind a bad delta waits for a good one.
    assert daemon.sequence() == 1 and set(daemon.store.dump()) == {("a.cn", "qcloud")}
    assert daemon.status()["spool"]["waiting"] == 1
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2, "good.csv"))
    daemon.ends_in("done", after)
    daemon.ends_in("done", daemon.full(state_of("b.cn"), 3))
    assert daemon.status()["loads"]["full"]["guard"] == 1


def test_half_written(daemon):
    """Files that grow in place, in every order: none is rejected for what it was before."""
    paths = {order: daemon.feeds.delta(upsert(f"{order}.cn"), sequence, f"{order}.csv")
             for sequence, order in enumerate(["feed-first", "manifest-first", "mixed"], 2)}
    pieces = {}
    for order, path in paths.items():
        feed, manifest = (p.read_bytes() for p in (path, path.with_name(path.name + ".json")))
        parts = [(path.name, feed[:10]), (path.name, feed[10:]),
                 (path.name + ".json", manifest[:10]), (path.name + ".json", manifest[10:])]
        pieces[order] = {"feed-first": parts, "manifest-first": parts[2:] + parts[:2],
                         "mixed": [parts[2], parts[0], parts[3], parts[1]]}[order]
    for step in range(4):
        for order in pieces:
            name, octets = pieces[order][step]
            with open(daemon.spool / name, "ab") as file:
                file.write(octets)
            # It has looked at what is there now. A program that asks it could take longer than a file may rest.
            daemon.ask(b'{"command": "status"}\n')
    for path in paths.values():
        daemon.ends_in("done", path.name)
    assert daemon.sequence() == 4 and daemon.names("rejected") == []


def test_a_manifest_alone_waits(daemon):
    path = daemon.feeds.delta(upsert("b.cn"), 2, "d.csv")
    daemon.move(path.with_name("d.csv.json"))
    wait_until(lambda: daemon.status()["spool"]["depth"] == 1, daemon.log)
    daemon.move(path)
    daemon.ends_in("done", "d.csv")


def test_links_and_others(daemon, tmp_path):
    """Nothing outside of the spool is read, and nothing but files."""
    secret = daemon.feeds.full(state_of("secret.cn"), 2, "secret.csv")
    manifest = secret.with_name("secret.csv.json")
    (daemon.spool / "one.csv").symlink_to(secret)
    shutil.copyfile(manifest, daemon.spool / "one.csv.json")
    shutil.copyfile(secret, daemon.spool / "two.csv")
    (daemon.spool / "two.csv.json").symlink_to(manifest)
    os.mkfifo(daemon.spool / "three.csv")
    shutil.copyfile(manifest, daemon.spool / "three.csv.json")
    shutil.copyfile(secret, daemon.spool / "four.csv")
    os.mkfifo(daemon.spool / "four.csv.json")
    (daemon.spool / "five.csv").mkdir()
    shutil.copyfile(manifest, daemon.spool / "five.csv.json")
    for name in ("one", "two", "three", "four", "five"):
        wait_until(lambda n=name: (daemon.spool / "rejected" / f"{n}.csv.report").exists()
                   and not os.path.lexists(daemon.spool / f"{n}.csv.json"), daemon.log)
        assert "not a regular file" in daemon.report("rejected", f"{name}.csv")
    assert os.readlink(daemon.spool / "rejected" / "one.csv") == str(secret)
    assert secret.exists() and manifest.exists()
    for name in ("x\ny.csv", "x\x1b[2J.csv", "a" * 230 + ".csv"):
        shutil.copyfile(secret, daemon.spool / name)
        shutil.copyfile(manifest, daemon.spool / f"{name}.json")
    wait_until(lambda: daemon.status()["spool"]["refused"] == 3, daemon.log)
    assert daemon.sequence() == 1 and "secret.cn" not in str(daemon.store.dump())
    assert "\x1b" not in daemon.log()


def test_a_link_put_there_late(daemon):
    """The loader, as the daemon runs it, follows none; without that it does."""
    path = daemon.feeds.delta(upsert("b.cn"), 2, "d.csv")
    manifest = path.with_name("d.csv.json")
    for name, target in (("feed.csv", path), ("feed.csv.json", manifest)):
        (daemon.outside / name).symlink_to(target)
    for linked, plain in (("feed.csv", "feed.csv.json"), ("feed.csv.json", "feed.csv")):
        link = daemon.outside / f"one-{linked}"
        link.symlink_to(daemon.outside / linked)
        shutil.copyfile(daemon.outside / plain, daemon.outside / f"one-{plain}")
        done = daemon.store.load("delta", "--no-links", daemon.outside / "one-feed.csv")
        assert done.returncode == 3 and "symbolic links" in done.stderr, done.stderr
        link.unlink()
        (daemon.outside / f"one-{plain}").unlink()
    with daemon.loads_held():
        daemon.full(state_of("a.cn"), 2, "f.csv")
        loader = daemon.loader("full")
        assert b"--no-links" in Path(f"/proc/{loader}/cmdline").read_bytes().split(b"\0")
    daemon.ends_in("done", "f.csv")
    assert daemon.store.load("delta", daemon.outside / "feed.csv").returncode == 0


def test_the_same_name_every_night(daemon):
    for sequence in (2, 3, 4):
        daemon.full(state_of("a.cn", f"n{sequence}.cn"), sequence, "night.csv")
        wait_until(lambda s=sequence: daemon.sequence() == s and daemon.is_empty(), daemon.log)
    names = daemon.names("done")
    assert len(names) == 4 and names[:2] == ["first.csv", "night.csv"]
    assert all(name.startswith("night~2") for name in names[2:]), names


def test_what_is_there_at_the_start(make_daemon):
    daemon = make_daemon()
    daemon.spool.mkdir()
    names = [daemon.delta(upsert(f"d{n}.cn"), n, f"{n}.csv") for n in (4, 2, 3)]
    names.append(daemon.full(state_of("a.cn"), 1, "z.csv"))
    daemon.start()
    for name in names:
        daemon.ends_in("done", name)
    assert daemon.sequence() == 4


def test_many(daemon):
    """All at once, by one rename of each file."""
    for sequence in range(MANY + 1, 1, -1):
        daemon.delta(upsert(f"d{sequence}.cn"), sequence, f"{sequence}.csv")
    wait_until(daemon.is_empty, daemon.log, 300)
    assert daemon.sequence() == MANY + 1 and len(daemon.names("done")) == MANY + 1


def test_huge(daemon):
    """A hundred thousand rows; the daemon answers while they are loaded."""
    state = {row.key: row for row in (filed(f"d{n}.cn") for n in range(100_000))}
    path = daemon.feeds.full({**state, **state_of("a.cn")}, 2, "huge.csv")
    with daemon.loads_held():
        daemon.drop(path)
        wait_until(lambda: (daemon.status()["loading"] or {}).get("feed") == "huge.csv", daemon.log)
    daemon.ends_in("done", "huge.csv")
    assert daemon.status()["store"]["rows"] == 100_001


def test_guard_and_force(daemon):
    state = {row.key: row for row in (filed(f"d{n}.cn") for n in range(300))}
    daemon.ends_in("done", daemon.full({**state, **state_of("a.cn")}, 2))
    name = daemon.full(state_of("a.cn"), 3, "lost.csv")
    report = daemon.ends_in("rejected", name)
    assert "300 of 301 permissions would be lost" in report
    assert "icpgate ctl load rejected/lost.csv --force" in report
    assert daemon.sequence() == 2
    assert "refused by a guard" in daemon.ctl("load", name, expect=1)
    daemon.ends_in("rejected", name)
    assert "300 lost" in daemon.ctl("load", daemon.spool / "rejected" / name, "--force")
    daemon.ends_in("done", name)
    assert daemon.sequence() == 3 and len(daemon.store.dump()) == 1
    assert daemon.names("rejected") == []


def test_force_does_not_make_it_younger(daemon):
    """What would not help is not advised."""
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 3))
    name = daemon.full(state_of("a.cn"), 2, "old.csv")
    report = daemon.ends_in("rejected", name)
    assert "sequence 2 is older than 3" in report and "--force" not in report
    answer = daemon.ctl("load", f"rejected/{name}", "--force", expect=1)
    assert "sequence 2 is older than 3" in answer and "icpgate ctl" not in answer


def test_refused_under_one_name(daemon):
    """Two are refused under one name, under which one was loaded before: the advice of each report, followed,
    loads the one that it lies beside."""
    state = {row.key: row for row in (filed(f"d{n}.cn") for n in range(300))}
    daemon.ends_in("done", daemon.full({**state, **state_of("a.cn")}, 2, "night.csv"))
    daemon.full(state_of("a.cn"), 3, "night.csv")
    first = daemon.ends_in("rejected", "night.csv")
    daemon.full(state_of("a.cn", "b.cn"), 4, "night.csv")
    rejected = daemon.spool / "rejected"
    report = wait_until(lambda: next(iter(rejected.glob("night~*.csv.report")), None), daemon.log)
    second = wait_until(lambda: daemon.is_in("rejected", report.stem), daemon.log) and report.read_text()
    assert "icpgate ctl load rejected/night.csv --force\n" in first
    assert f"icpgate ctl load rejected/{report.stem} --force\n" in second
    assert "say which" in daemon.ctl("load", "night.csv", "--force", expect=1)
    assert daemon.is_in("done", "night.csv") and daemon.is_in("rejected", "night.csv")
    daemon.ctl(*second.rsplit("ctl ", 1)[1].split())
    assert daemon.sequence() == 4 and len(daemon.store.dump()) == 2
    daemon.ends_in("done", report.stem)
    assert daemon.names("rejected") == ["night.csv"]
    assert "no such feed" in daemon.ctl("load", f"rejected/{report.stem}", expect=1)


def test_the_advice_is_for_a_shell(daemon, tmp_path):
    """Whatever the name: pasted, it loads the feed, and does nothing else."""
    many = state_of(*(f"d{n}.cn" for n in range(300)))
    environment = os.environ | {"PATH": f"{BUILD / 'db-tools'}:{os.environ['PATH']}",
                                "ICPGATE_CONF": str(daemon.conf)}
    names = ["a;touch PWNED;b.csv", "$(touch PWNED) it's `it` !!.csv", "-e.csv", "'.csv", "例 子&.csv"]
    for number, name in enumerate(names):
        daemon.ends_in("done", daemon.full(many, 2 * number + 1, f"{number}.csv"))
        daemon.full(state_of("a.cn"), 2 * number + 2, name)
        advice = daemon.ends_in("rejected", name).splitlines()[-1].split(": ", 1)[1]
        done = subprocess.run(["sh", "-c", advice], cwd=tmp_path, env=environment, capture_output=True,
                              encoding="utf-8", timeout=60, check=False)
        assert done.returncode == 0 and "300 lost" in done.stdout, (advice, done)
        daemon.ends_in("done", name)
    assert not list(tmp_path.iterdir())


def test_a_long_name_every_night(daemon):
    """What is put into a name that is taken makes it no longer than what an order takes."""
    name = "n" * 216 + ".csv"
    for sequence in (3, 2):
        daemon.full(state_of("a.cn", f"n{sequence}.cn"), sequence, name)
        wait_until(daemon.is_empty, daemon.log)
    daemon.ends_in("done", name)
    other = wait_until(lambda: daemon.names("rejected"), daemon.log)[0]
    assert other == name
    daemon.full(state_of("a.cn"), 1, name)
    wait_until(lambda: len(daemon.names("rejected")) == 2 and daemon.is_empty(), daemon.log)
    longest = max(daemon.names("rejected"))
    assert "~" in longest and len(longest) == 220
    assert "older than" in daemon.ctl("load", f"rejected/{longest}", "--force", expect=1)


def test_rejected_unseen(daemon):
    """No loader saw it, but it counts as one that was rejected."""
    (daemon.spool / "json.csv").write_text("", encoding="utf-8")
    (daemon.spool / "json.csv.json").write_text('{"kind": "delta", "seq', encoding="utf-8")
    two = daemon.delta(upsert("b.cn"), 2, "two.csv")
    daemon.ends_in("done", two)
    # The manifest last: nothing is done about the others without it.
    (daemon.spool / "more.csv.gz").write_bytes(b"")
    for end in ("", ".json"):
        shutil.copy(daemon.spool / "done" / f"{two}{end}", daemon.spool / f"more.csv{end}")
    daemon.ends_in("rejected", "json.csv")
    wait_until(lambda: (daemon.spool / "rejected" / "more.csv.json").exists(), daemon.log)
    status = daemon.status()
    assert status["loads"]["full"]["feed"] == 1 and status["loads"]["delta"]["feed"] == 1
    assert status["last"]["outcome"] == "feed"


def test_another_directory_in_its_place(daemon):
    """It is noticed with the next look, which a reload brings on."""
    daemon.spool.rename(daemon.directory / "moved")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("is another directory now")
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))


def test_crash_of_the_loader(daemon):
    """The daemon outlives it, and tries again."""
    with daemon.loads_held():
        daemon.full(state_of("a.cn", "b.cn"), 2, "f.csv")
        os.kill(daemon.loader(), CRASH)
    daemon.says(f"ended by signal {CRASH:d}")
    daemon.ends_in("done", "f.csv")
    assert daemon.status()["loads"]["full"]["crashed"] == 1


def test_a_feed_that_always_crashes_the_loader(daemon):
    """By all appearance it is the feed: after five times in a row it is rejected."""
    daemon.ctl("pause")
    name = daemon.full(state_of("a.cn", "b.cn"), 2, "f.csv")
    for crashes in range(1, 6):
        # An order, so that nobody waits for another try.
        with daemon.loads_held():
            order = subprocess.Popen([*daemon.ctl_command(), "load", name], stdout=subprocess.DEVNULL,
                                     stderr=subprocess.PIPE, encoding="utf-8")
            os.kill(daemon.loader(), CRASH)
        said = order.communicate(timeout=60)[1]
        assert order.returncode == 4 and f"ended by signal {CRASH:d}" in said, said
        assert daemon.status()["loads"]["full"]["crashed"] == crashes
        assert daemon.is_in("rejected", name) == (crashes == 5)
    assert f"ended by signal {CRASH:d}" in daemon.report("rejected", name)
    assert daemon.sequence() == 1


def test_a_store_that_fails(make_daemon):
    """What is not the feed's fault does not reject it."""
    daemon = make_daemon()
    blocked = daemon.directory / "store"
    blocked.write_text("no directory", encoding="ascii")
    daemon.start()
    daemon.full(state_of("a.cn"), 1, "f.csv")
    daemon.says("f.csv: is tried again in 1 s")
    blocked.unlink()
    daemon.ends_in("done", "f.csv")
    assert daemon.status()["loads"]["full"]["failed"] >= 1


def test_commits_that_come_too_fast(make_daemon, tmp_path):
    """A store that can't be read for all that is written to it is not taken for one that is not there."""
    library = tmp_path / "commit_shim.so"
    source = Path(__file__).with_name("commit_shim.c")
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    commits = tmp_path / "commits"
    daemon = make_daemon()
    daemon.environment = {"LD_PRELOAD": f"{os.environ.get('ICP_PRELOAD', '')} {library}".strip(),
                          "ICP_COMMITS": str(commits)}
    commits.touch()
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    assert daemon.status()["store"] is None
    commits.unlink()
    assert daemon.status()["store"]["sequence"] == 1
    commits.touch()
    assert daemon.status()["store"]["sequence"] == 1
    daemon.delta(upsert("c.cn"), 3)
    daemon.says("delta 3 waits for 2")
    commits.unlink()
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))
    wait_until(lambda: daemon.sequence() == 3, daemon.log)


def test_two_daemons(daemon):
    done = run(ICPGATED, "-c", daemon.conf)
    assert done.returncode == 4 and "another icpgated has it" in done.stderr
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))


def test_a_lock_that_is_held_for_a_moment(daemon):
    """As by a child of a daemon that was killed, which has not begun its program yet."""
    daemon.stop()
    command = ["flock", str(daemon.spool), "sh", "-c", "echo locked; exec sleep 0.3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"locked\n"
        daemon.start()
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))


def test_options(daemon):
    assert run(ICPGATED, "--version").stdout.startswith("icpgated ")
    assert "Usage: icpgated" in run(ICPGATED, "--help").stdout
    for arguments in (["x"], ["--bogus"], ["-c"]):
        assert run(ICPGATED, *arguments).returncode == 2
    done = run(ICPGATED, "-c", "/nonexistent.conf")
    assert done.returncode == 4 and "/nonexistent.conf" in done.stderr
    bad = daemon.outside / "bad.conf"
    bad.write_text("daemon: {keep: 0}\n", encoding="ascii")
    done = run(ICPGATED, "-c", bad)
    assert done.returncode == 2 and "daemon.keep" in done.stderr
