# SPDX-License-Identifier: BSD-3-Clause
"""icpgate lookup, for people, and for lines from standard input."""

import json
import re
import subprocess
import threading
import time

import pytest

from operator_tool import (
    ICPGATE,
    AT,
    LICENSED,
    NUMBER,
    OURS,
    OURS_TOO,
    THEIRS,
    NOBODYS,
    ABROAD,
    icpgate,
    load,
    write_feed,
    assert_quiet_failure,
    lookup,
)


def text(path, *arguments):
    done = icpgate("-c", path, "lookup", "--at", AT, *arguments)
    assert "Sanitizer" not in done.stderr
    return done.stdout


def test_text_of_a_block_says_what_would_unblock(conf):
    shown = text(conf, "www.example.com", OURS, OURS_TOO, ABROAD)
    assert shown.startswith("www.example.com: block (filed-elsewhere)\n")
    assert f"\n{OURS}: block (filed-elsewhere); mainland, qcloud, gated\n" in shown
    assert f"\n{ABROAD}: pass (not-gated); not mainland, acloud, not gated\n" in shown
    assert f"example.com is filed with acloud ({NUMBER}), not with qcloud.\n" in shown
    # Said once, not for every address.
    assert shown.count("To unblock: a transfer to qcloud is needed.\n") == 1
    assert f"  example.com, acloud: filed ({NUMBER})\n" in shown
    assert re.search(rf"\nGeneration \d+, sequence \d+, at {re.escape(AT)}\n", shown)


@pytest.mark.parametrize("name, at, phrase, remedy", [
    ("pending.cn", AT, "filing of pending.cn with qcloud is still under review", "an approval"),
    ("transfer.cn", "2026-10-01", "counts from 2026-11-01T00:00:00+08:00 on", "wait until then"),
    ("transfer.cn", "2027-01-01", "ended at 2026-12-16T00:00:00+08:00",
     "transfer to qcloud must be finished"),
    ("cancelled.cn", AT, "no longer linked to qcloud", "transfer to qcloud is needed again"),
    ("deregistered.cn", AT, "was deleted", "filed anew with qcloud"),
    ("overdue.cn", AT, "rectified before 2026-11-01T00:00:00+08:00", "inspection must be passed"),
    ("licence.cn", AT, f"bound to {LICENSED}; 192.0.2.99 is none of these", "licensed address"),
    ("example.com", AT, "filed with acloud", "transfer to qcloud is needed"),
    ("a.unfiled.cn", AT, "Neither a.unfiled.cn nor a parent of it has a filing.",
     "filed with qcloud"),
])
def test_text_for_every_blocking_reason(place, name, at, phrase, remedy):
    path = place.config(rectify_overdue="block", licence_addresses="enforce")
    done = icpgate("-c", path, "lookup", "--at", at, name, "192.0.2.99")
    assert done.returncode == 1
    assert phrase in done.stdout
    assert remedy in re.search(r"^  To unblock: (.*)$", done.stdout, re.M).group(1)


@pytest.mark.parametrize("name, phrase", [
    ("filed.cn", f"filed.cn is filed with qcloud ({NUMBER}).\n"),
    ("changing.cn", "an information change is under review"),
    ("rectifying.cn", "to be rectified before 2026-12-02T00:00:00+08:00"),
    ("overdue.cn", "overdue but tolerated"),
    ("transfer.cn", "must be finished before 2026-12-16T00:00:00+08:00"),
    ("licence.cn", "Warning: licence-address-mismatch. The licence of licence.cn"),
])
def test_text_for_every_permitting_reason(conf, name, phrase):
    shown = text(conf, name, "192.0.2.99")
    assert phrase in shown
    assert "To unblock" not in shown


def test_text_names_the_row_that_decides(place, conf):
    # Not the nearest row, which does not permit with anybody.
    assert "moved.cn is filed with bcloud" in text(conf, "www.sub.moved.cn", OURS)
    # Not the row of a licence for other addresses.
    path = place.config(scope="mainland")
    assert "two.cn is filed with bcloud" in text(path, "two.cn", NOBODYS)


def test_text_without_an_address(conf):
    shown = text(conf, "unfiled.cn")
    assert "\nno address given, so any: block (unfiled); mainland, qcloud, gated\n" in shown
    assert "Rows of the name and its parents: none\n" in shown


def test_text_names_the_exempt_suffix(place):
    path = place.config(exempt=["other.example", "internal.example"])
    assert "exempts internal.example." in text(path, "x.internal.example", OURS)


@pytest.mark.parametrize("address, phrase", [(ABROAD, "not in the mainland"),
                                             (THEIRS, "gated here: qcloud.")])
def test_text_says_why_not_gated(conf, address, phrase):
    assert phrase in text(conf, "unfiled.cn", address)


def test_text_tells_mode_and_mixed(place):
    path = place.config(mode="monitor", mixed="strip")
    shown = text(path, "unfiled.cn", OURS, ABROAD)
    assert "mode: monitor" in shown and "mixed: strip" in shown
    shown = text(place.config(), "unfiled.cn", OURS, ABROAD)
    assert "mode: monitor" not in shown and "mixed: block" in shown


def test_text_tells_the_next_change(conf):
    assert "changes next at 2026-12-16T00:00:00+08:00\n" in text(conf, "transfer.cn", OURS)
    assert "changes next" not in text(conf, "filed.cn", OURS)


def test_lines_in_text(conf):
    lines = f"filed.cn {OURS}\n\n  \t\nWWW.example.com\t{ABROAD}  {OURS} \r\nunfiled.cn"
    done = icpgate("-c", conf, "lookup", "-", stdin=lines)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == ("filed.cn pass filed filed.cn\n"
                           "www.example.com block filed-elsewhere example.com\n"
                           "unfiled.cn block unfiled -\n")


def test_lines_pass(conf):
    done = icpgate("-c", conf, "lookup", "-", stdin=f"filed.cn {OURS}\nx.cn {ABROAD}\n")
    assert done.returncode == 0
    done = icpgate("-c", conf, "lookup", "-", stdin="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_lines_in_json_are_single_lookups(conf):
    names = ["www.example.com", "both.cn", "unfiled.cn", "例子.中国"]
    done = icpgate("-c", conf, "lookup", "-", "--json", "--at", AT,
                   stdin="".join(f"{name} {OURS} {ABROAD}\n" for name in names))
    assert done.returncode == 1
    assert [json.loads(line) for line in done.stdout.splitlines()] == \
        [lookup(conf, name, OURS, ABROAD)[1] for name in names]


def test_bad_lines_are_reported_and_the_rest_answered(conf):
    lines = f"filed.cn {OURS}\n\na..b {OURS}\nfiled.cn {OURS} 1.2.3\nunfiled.cn {OURS}\n"
    for options in ([], ["--json"]):
        done = icpgate("-c", conf, "lookup", "-", *options, stdin=lines)
        assert_quiet_failure(done, 2)
        messages = done.stderr.splitlines()
        assert len(messages) == 2
        assert re.fullmatch(r"stdin:3: not a name \(.+\): a\.\.b", messages[0])
        assert messages[1] == "stdin:4: not an address: 1.2.3"
        if options:
            answers = [json.loads(line) for line in done.stdout.splitlines()]
            assert [answer.get("verdict") for answer in answers] == ["pass", None, None, "block"]
            assert answers[1] == {"error": messages[0]}
            assert answers[2] == {"error": messages[1]}
        else:
            assert done.stdout == "filed.cn pass filed filed.cn\nunfiled.cn block unfiled -\n"


@pytest.mark.parametrize("line", [b"a\x00b.cn 192.0.2.1", b"filed.cn 192.0.2.1\x00", b"\xff\xfe.cn",
                                  b"filed.cn \xff", b"\x1b[2J.cn", b"\x00", b"a." * 5000 + b"cn",
                                  b"filed.cn " + b"9" * 5000, "é".encode() * 3000])
def test_bad_octets_in_lines(conf, line):
    done = icpgate("-c", conf, "lookup", "-", "--json", encoding=None,
                   stdin=line + b"\nfiled.cn 192.0.2.1\n")
    assert done.returncode == 2
    assert done.stderr.startswith(b"stdin:1: not a")
    assert done.stderr.count(b"\n") == 1 and b"\x1b" not in done.stderr
    answers = [json.loads(answer) for answer in done.stdout.decode("utf-8").splitlines()]
    assert list(answers[0]) == ["error"]
    assert answers[1]["verdict"] == "pass"


@pytest.mark.parametrize("line, shown", [
    (b"x\xc2\x9b31mred.org", rb"x\xc2\x9b31mred.org"), (b"exa\x00mple.org", rb"exa\x00mple.org"),
    (b"a\x1b\x7f\xff.org", rb"a\x1b\x7f\xff.org"), (b"filed.cn 192.0.2.1\x00\xc2\x9b", rb"192.0.2.1\x00\xc2\x9b"),
    (b"-." * 41, b"-." * 40 + b"...")])
def test_what_a_bad_line_holds_is_shown_and_nothing_of_it_is_a_command(conf, tmp_path, line, shown):
    done = icpgate("-c", conf, "lookup", "-", encoding=None, stdin=line + b"\n")
    assert (done.returncode, done.stdout) == (2, b"")
    assert re.fullmatch(rb"stdin:1: not an? (name \(.+\)|address): " + re.escape(shown) + rb"\n",
                        done.stderr)


def test_a_line_of_any_length(conf):
    addresses = [f"10.{i // 256}.{i % 256}.1" for i in range(20000)] + [OURS]
    done = icpgate("-c", conf, "lookup", "-", "--json",
                   stdin="unfiled.cn " + " ".join(addresses) + "\nfiled.cn\n")
    assert done.returncode == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert [entry["address"] for entry in first["addresses"]] == addresses
    assert [entry["gated"] for entry in first["addresses"]] == [False] * 20000 + [True]
    assert second["verdict"] == "pass"


def test_many_lines(conf):
    count = 100000
    done = icpgate("-c", conf, "lookup", "-", "--json",
                   stdin="".join(f"n{i}.unfiled.cn {OURS}\n" for i in range(count)))
    assert (done.returncode, done.stderr) == (1, "")
    answers = done.stdout.splitlines()
    assert len(answers) == count
    assert json.loads(answers[-1])["name"] == f"n{count - 1}.unfiled.cn"


def test_lines_see_a_new_generation(place, tmp_path):
    store = tmp_path / "store"
    write_feed(tmp_path / "old.csv", [])
    write_feed(tmp_path / "new.csv", [["late.cn", "qcloud", "filed", NUMBER, "", "", "", ""]])
    load(store, tmp_path / "old.csv")
    path = place.config(store=str(store))
    with subprocess.Popen([ICPGATE, "-c", path, "lookup", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, encoding="utf-8") as process:
        answers = []
        reader = threading.Thread(target=lambda: answers.extend(iter(process.stdout.readline, "")))
        reader.start()
        loaded = False
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and "late.cn pass filed late.cn\n" not in answers[-1:]:
            process.stdin.write(f"late.cn {OURS}\n" * 1000)
            process.stdin.flush()
            if answers and not loaded:
                load(store, tmp_path / "new.csv")
                loaded = True
        process.stdin.close()
        reader.join(30)
        assert process.wait(30) == 1
    assert answers[0] == "late.cn block unfiled -\n"
    assert answers[-1] == "late.cn pass filed late.cn\n"
