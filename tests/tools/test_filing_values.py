# SPDX-License-Identifier: BSD-3-Clause
"""conf/filing.sql: times and addresses are to the database what they are to the loader."""

import json

import pytest

from operator_tool import COLUMNS, LOADER, NUMBER, run, write_feed

CLOCKS = ["00:00:00", "23:59:59", "23:59:60", "24:00:00", "12:60:00", "12:00:61", "25:61:61", "1:00:00",
          "12:00", "12:00:00.5", "12:00:00.123456789012", "12:00:00.", "12:00:00,5"]
ZONES = ["Z", "z", "+08:00", "-23:59", "+24:00", "+08:60", "+0800", "+08", "", " +08:00"]
TIMES = [
    *(f"{year}-{month:02}-{day:02}" for year in (1900, 2000, 2023, 2024)
      for month in range(14) for day in (0, 1, 28, 29, 30, 31, 32)),
    *(f"2026-02-01{letter}{clock}{zone}" for letter in "Tt" for clock in CLOCKS for zone in ZONES),
    "0000-01-01", "0001-01-01", "9999-12-31", "10000-01-01", "-001-01-01", "2026-1-1", "20260101",
    "2026-01-01 ", " 2026-01-01", "2026-01-01 00:00:00Z", "2026-01-01T", "2026-02-30T00:00:00Z", "now",
    "２026-01-01", "infinity",
]
GROUPS = [":".join("1" * count) for count in range(1, 10)]
ADDRESSES = [
    "1.2.3.4", "0.0.0.0", "255.255.255.255", "256.2.3.4", "999.9.9.9/99", "01.2.3.4", "1.2.3.04",
    "1.2.3.00", "1.2.3", "1.2", "1", "1.2.3.4.5", "1.2.3.", ".1.2.3", "1..2.3", "0x1.2.3.4", "-1.2.3.4",
    "99999999999.1.1.1",
    "1.2.3.4/32", "1.2.3.4/33", "1.2.3.4/8", "1.0.0.0/8", "1.2.3.4/", "1.0.0.0/08", "1.0.0.0/+8", "10/8",
    "1.0.0.0/8/8", "0.0.0.0/0", "0.0.0.0/00", "1.0.0.0/255.0.0.0", "/8", "1.0.0.0/99999999999",
    *GROUPS, *(f"{groups}::" for groups in GROUPS), *(f"::{groups}" for groups in GROUPS),
    "1::1", "1::1::1", ":::", "::::", ":", "::", "1:", ":1", "1::1:", "a:b::c:", "ABCD::ef", "12345::",
    "00001::", "0001::", "g::", "::/0", "::/128", "::/129", "2001:db8::/32", "2001:db8::1/32", "1:::/16",
    "::1.2.3.4", "::ffff:1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "::1.2.3", "::1.2",
    "::01.2.3.4", "::1.2.3.04", "::256.2.3.4", "::1.2.3.4:1", "1.2.3.4::", "::ffff:10.0.0.0/104",
    "::ffff:10.0.0.0/103", "::.1.2.3", "::1..3.4", "fe80::1%lo", "[::1]", "1.2.3.4\t", "1.2.3.4,::1",
    "localhost", "\uff11.2.3.4",
]


@pytest.mark.parametrize("column, values", [(4, TIMES), (7, ADDRESSES), (7, [
    f"::1 {address}  10.0.0.0/8 " for address in ADDRESSES])], ids=["times", "addresses", "lists"])
def test_values_are_judged_as_the_loader_judges_them(filings, tmp_path, column, values):
    rows = [[f"d{i}.cn", "q", "filed", NUMBER, "", "", "", ""] for i in range(len(values))]
    for row, value in zip(rows, values):
        row[column] = value
    passed = {domain for domain, in filings.execute(
        "SELECT domain FROM json_populate_recordset(NULL::filing.published, %s) r, filing.fault(r) fault"
        " WHERE fault IS NULL", json.dumps([dict(zip(COLUMNS, row)) for row in rows]))}
    good = [row for row in rows if row[0] in passed]
    bad = [row for row in rows if row[0] not in passed]
    assert len(good) > 20 and len(bad) > 20
    feed = tmp_path / "feed.csv"
    write_feed(feed, good)
    done = run(LOADER, "--store", tmp_path / "store", "full", "--no-manifest", feed)
    assert done.returncode == 0, done.stderr
    write_feed(feed, bad)
    done = run(LOADER, "--store", tmp_path / "store", "full", "--no-manifest", feed)
    assert f"{feed}: {len(bad)} bad rows\n" in done.stderr
