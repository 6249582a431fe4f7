# SPDX-License-Identifier: BSD-3-Clause
"""The programs against the oracle, on random cases.

ICP_SEED repeats a run, ICP_CASES sets the number of cases.
"""

import ipaddress
import os
import random
import shutil
from dataclasses import asdict

from cases import make_group
from commands import rfc3339, write_config, write_csv
from oracle import Ranges, judge, parents

SEED = int(os.environ.get("ICP_SEED", "20261123"))
CASES = int(os.environ.get("ICP_CASES", "100000"))
LINES_PER_GROUP = 250
ROW_FIELDS = ("domain", "provider", "status", "number")
RULING_FIELDS = ("mainland", "provider", "gated", "verdict", "reason", "warnings")


def expected(group, line):
    """What the oracle says of a line, in the form of the command's answer."""
    if line.addresses:
        judgement = judge(
            group.policy, line.name, line.addresses, group.rows, group.ranges, group.now
        )
    else:
        anywhere = ipaddress.ip_address("192.0.2.1")
        entry = (ipaddress.ip_network(anywhere), "CN", group.policy.providers[0])
        judgement = judge(
            group.policy, line.name, [anywhere], group.rows, Ranges([entry]), group.now
        )
    answer = {
        "name": line.name,
        "verdict": judgement.verdict,
        "reason": judgement.reason,
        "covering": judgement.covering,
        "at": rfc3339(group.now),
        "rows": sorted(
            [getattr(row, field) for field in ROW_FIELDS]
            for row in group.rows
            if row.domain in parents(line.name)
        ),
    }
    if line.addresses:
        answer["addresses"] = [
            {"address": str(address), **asdict(ruling)}
            for address, ruling in zip(line.addresses, judgement.addresses)
        ]
    return answer


def comparable(got, line):
    """The part of the command's answer that the oracle speaks of."""
    answer = {
        key: got.get(key, "missing") for key in ("name", "verdict", "reason", "covering", "at")
    }
    answer["rows"] = sorted([row[field] for field in ROW_FIELDS] for row in got["rows"])
    if line.addresses:
        answer["addresses"] = [
            {
                "address": str(ipaddress.ip_address(entry["address"])),
                **{field: entry[field] for field in RULING_FIELDS},
            }
            for entry in got["addresses"]
        ]
    return answer


def report(number, group, line, got, want):
    """All that is needed to see one mismatch, and no more."""
    feed = [
        text for row, text in zip(group.rows, group.feed) if row.domain in parents(line.name)
    ]
    differ = [key for key in want if got.get(key) != want[key]]
    lines = [f"seed {SEED}, group {number}: {line.text}"]
    lines += [f"config {group.settings}"]
    lines += [f"range  {prefix} {who} {owner}" for prefix, who, owner in group.ranges.entries]
    lines += [f"row    {text}" for text in feed]
    for key in differ:
        lines += [f"got    {key}: {got.get(key)}", f"want   {key}: {want[key]}"]
    return "\n".join(lines)


def check_group(commands, directory, number, group):
    directory.mkdir()
    write_csv(directory / "ranges.csv", ["prefix", "country", "provider"], group.ranges.entries)
    commands.run(
        commands.icpgate, "ranges", directory / "ranges.csv", directory / "ranges.mmdb"
    )
    settings = {**group.settings, "store": str(directory / "store")}
    settings["ranges"] = {**settings["ranges"], "database": str(directory / "ranges.mmdb")}
    conf = directory / "icpgate.conf"
    write_config(conf, settings)
    feed = [[row.get(column, "") for column in group.feed_columns] for row in group.feed]
    write_csv(directory / "feed.csv", group.feed_columns, feed)
    commands.load_full(conf, directory / "feed.csv")

    answers = commands.lookup_lines(conf, [line.text for line in group.lines], group.now)
    assert len(answers) == len(group.lines), f"seed {SEED}, group {number}: answers are missing"
    for line, answer in zip(group.lines, answers):
        got, want = comparable(answer, line), expected(group, line)
        assert got == want, report(number, group, line, got, want)
    shutil.rmtree(directory)


def test_programs_agree_with_the_oracle(commands, tmp_path):
    print(f"seed {SEED}, {CASES} cases")
    done = 0
    number = 0
    while done < CASES:
        # Each group has a seed of its own, so that one can be repeated alone.
        group = make_group(random.Random(f"{SEED}/{number}"), LINES_PER_GROUP)
        check_group(commands, tmp_path / f"group{number}", number, group)
        done += len(group.lines)
        number += 1
