# SPDX-License-Identifier: BSD-3-Clause
"""icpgate history: the audit log's lines of a name."""

import json
import subprocess

import pytest

from operator_tool import assert_quiet_failure, icpgate

HEADER = "time,domain,provider,from,to,generation,sequence,source\n"


def line(domain, time="2026-11-23T12:00:00+08:00", provider="qcloud", change=("none", "filed"),
         generation=1, sequence=7, source="f.csv"):
    return (f"{time},{domain},{provider},{change[0]},{change[1]},{generation},{sequence},"
            f"{source}\n")


def compress(text, *options):
    return subprocess.run(["zstd", "-q", "-c", *options], input=text.encode(), check=True,
                          capture_output=True, timeout=60).stdout


class Log:
    """A store with an audit log made by hand."""

    def __init__(self, directory):
        self.store = directory
        self.audit = directory / "audit"
        self.audit.mkdir()

    def day(self, day, *frames):
        """Writes a day's file. Returns its frames."""
        packed = [compress(frame) for frame in frames]
        (self.audit / f"{day}.csv.zst").write_bytes(b"".join(packed))
        return packed

    def history(self, name, status=0):
        done = icpgate("--store", self.store, "history", "--json", name)
        assert done.returncode == status, done.stderr
        assert "Sanitizer" not in done.stderr
        answer = json.loads(done.stdout)
        assert list(answer) == ["name", "changes", "complete"]
        assert answer["complete"] == (status == 0)
        return answer["changes"], done.stderr

    def sequences(self, name, status=0):
        return [change["sequence"] for change in self.history(name, status)[0]]


@pytest.fixture(name="log")
def make_log(tmp_path):
    return Log(tmp_path)


def test_oldest_first_from_all_days(log):
    log.day("2026-11-24", HEADER + line("a.cn", sequence=4) + line("b.cn", sequence=5),
            line("a.cn", sequence=6))
    log.day("2025-12-31", HEADER + line("a.cn", sequence=1))
    log.day("2026-01-01", HEADER + line("b.cn", sequence=2) + line("a.cn", sequence=3))
    assert log.sequences("a.cn") == [1, 3, 4, 6]
    assert log.sequences("b.cn") == [2, 5]
    assert log.sequences("c.cn") == []


def test_the_name_and_its_parents(log):
    domains = ["www.a.cn", "a.cn", "x.www.a.cn", "ba.cn", "ww.a.cn", "cn", "n", "w.a.cn", "w"]
    log.day("2026-11-23", HEADER + "".join(map(line, domains)))
    changes, _ = log.history("www.a.cn")
    assert [change["domain"] for change in changes] == ["www.a.cn", "a.cn", "cn"]


def test_names_as_people_write_them(log):
    log.day("2026-11-23", HEADER + line("xn--fsqu00a.xn--fiqs8s"))
    assert log.sequences("WWW.例子.中国.") == [7]


def test_all_of_a_line(log):
    log.day("2026-11-23", HEADER + line("a.cn", provider="acloud", change=("filed", "deregistered"),
                                        generation=12, sequence=18446744073709551615 // 2,
                                        source='"say ""x"", y.csv"'))
    changes, _ = log.history("a.cn")
    assert changes == [{
        "time": "2026-11-23T12:00:00+08:00", "domain": "a.cn", "provider": "acloud",
        "from": "filed", "to": "deregistered", "generation": 12,
        "sequence": 9223372036854775807, "source": 'say "x", y.csv'}]
    done = icpgate("--store", log.store, "history", "a.cn")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("2026-11-23T12:00:00+08:00  a.cn  acloud  filed -> deregistered  "
                           'generation 12  sequence 9223372036854775807  say "x", y.csv\n')


def test_large_files(log):
    """Lines and frames that lie across all pieces in which the file is read."""
    frames = [HEADER] + ["".join(line(f"n{i * 7919}.cn", sequence=i, source="s" * (i % 50))
                                 for i in range(start, start + 3000))
                         for start in range(0, 30000, 3000)]
    log.day("2026-11-23", *frames, line("last.cn"))
    for number in (0, 1, 2999, 3000, 12345, 29999):
        assert log.sequences(f"n{number * 7919}.cn") == [number]
    assert log.sequences("last.cn") == [7]
    assert len(log.sequences("cn")) == 0


@pytest.mark.parametrize("size", [4 << 17, (4 << 17) - 40, (4 << 17) + 1, 3 << 20])
def test_text_that_is_far_larger_than_its_file(log, size):
    """The last block of a frame (they are of 128 KiB) is then given in two pieces, or in one."""
    text = HEADER + line("b.cn") * ((size - 500) // len(line("b.cn")))
    text += line("a.cn", source="s" * (size - len(text) - len(line("a.cn", source=""))))
    assert len(text) == size
    (log.audit / "2026-11-23.csv.zst").write_bytes(compress(text, "--no-check", "-1"))
    assert log.sequences("a.cn") == [7]


def test_other_files_are_passed_over(log):
    log.day("2026-11-23", HEADER + line("a.cn"))
    for name in ("pending", "notes.txt", "2026-11-2.csv.zst", "x2026-11-24.csv.zst",
                 "2026-11-24.csv", "pending.damaged.1"):
        (log.audit / name).write_text("no log", encoding="utf-8")
    assert log.sequences("a.cn") == [7]


def test_an_empty_file_is_no_damage(log):
    log.day("2026-11-22")
    log.day("2026-11-23", HEADER + line("a.cn"))
    assert log.sequences("a.cn") == [7]


def test_a_store_without_a_log(tmp_path):
    done = icpgate("--store", tmp_path, "history", "a.cn")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_no_store_exits_4(tmp_path):
    done = icpgate("--store", tmp_path / "nowhere", "history", "a.cn")
    assert_quiet_failure(done, 4)
    assert "nowhere" in done.stderr


def damaged(log, broken):
    """A day between two others; what is told of the whole."""
    log.day("2026-11-21", HEADER + line("a.cn", sequence=1))
    log.day("2026-11-23", HEADER + line("a.cn", sequence=3))
    path = log.audit / "2026-11-22.csv.zst"
    path.write_bytes(broken)
    changes, error = log.history("a.cn", status=4)
    assert error.startswith(f"{path}: damaged after line ") and error.count("\n") == 1
    sequences = [change["sequence"] for change in changes]
    assert sequences[0] == 1 and sequences[-1] == 3
    return sequences[1:-1]


def test_every_way_to_cut_a_file_short(log):
    first, second = log.day("2026-11-22", HEADER + line("a.cn", sequence=2),
                            line("a.cn", sequence=9))
    for length in range(1, len(first)):
        assert damaged(log, first[:length]) in ([], [2])
    for length in range(1, len(second)):
        assert damaged(log, first + second[:length]) in ([2], [2, 9])


def test_changed_octets_are_found(log):
    first, second = log.day("2026-11-22", HEADER + line("a.cn", sequence=2),
                            line("a.cn", sequence=9))
    whole = first + second
    harmless = []
    for at in range(len(whole)):
        broken = bytearray(whole)
        broken[at] ^= 0x01
        (log.audit / "2026-11-22.csv.zst").write_bytes(broken)
        done = icpgate("--store", log.store, "history", "--json", "a.cn")
        if done.returncode == 0:
            harmless.append(at)
            assert [o["sequence"] for o in json.loads(done.stdout)["changes"]] == [2, 9]
        else:
            assert_quiet_failure(done, 4)
    # The window's size stands in each frame's sixth octet; a larger one does no harm.
    assert set(harmless) <= {5, len(first) + 5}


@pytest.mark.parametrize("text", [
    "no line at all\n", "time,domain\n", HEADER + line("b.cn").replace(",7,", ",x,"),
    line("b.cn", source='"x'), line("b.cn", source='"x"y'), line("b.cn", source="x\ty"),
    HEADER + line("b.cn").rstrip("\n"), "\n"])
def test_what_is_no_audit_log(log, text):
    assert damaged(log, compress(text)) == []


def test_a_line_without_an_end(log):
    assert damaged(log, compress("x" * 300000)) == []


def test_not_compressed(log):
    assert damaged(log, HEADER.encode()) == []


def test_a_file_that_can_t_be_opened(log):
    log.day("2026-11-21", HEADER + line("a.cn", sequence=1))
    (log.audit / "2026-11-22.csv.zst").symlink_to(log.audit / "2026-11-21.csv.zst")
    assert log.sequences("a.cn", status=4) == [1]


def test_a_frame_that_is_just_being_appended(log):
    """A loader that appends has a pending file beside; what is there of the frame may be shown."""
    first, second = log.day("2026-11-22", HEADER + line("a.cn", sequence=2),
                            line("a.cn", sequence=9))
    (log.audit / "pending").write_bytes(b"head and frame")
    for length in range(len(second) + 1):
        (log.audit / "2026-11-22.csv.zst").write_bytes(first + second[:length])
        assert log.sequences("a.cn") in ([2], [2, 9])


@pytest.mark.parametrize("arguments", [["history"], ["history", "a.cn", "b.cn"],
                                       ["history", "--at", "2026-11-23", "a.cn"],
                                       ["history", "a..cn"]])
def test_usage_errors_exit_2(log, arguments):
    assert_quiet_failure(icpgate("--store", log.store, *arguments), 2)


def test_configuration(log, place):
    log.day("2026-11-23", HEADER + line("a.cn"))
    done = icpgate("-c", place.config(store=str(log.store)), "history", "a.cn")
    assert done.returncode == 0 and done.stdout.count("\n") == 1
