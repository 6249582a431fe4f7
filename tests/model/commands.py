# SPDX-License-Identifier: BSD-3-Clause
"""Runs icpgate and icpgate-load, and writes the files they read."""

import csv
import json
import os
import subprocess
from datetime import datetime, timedelta, timezone

import yaml

CHINA = timezone(timedelta(hours=8))
COLUMNS = [
    "domain",
    "provider",
    "status",
    "number",
    "approved_at",
    "expires_at",
    "rectify_by",
    "licensed_addresses",
]


def write_csv(path, columns, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)


def write_feed(path, rows, columns=None):
    """Writes a full feed; rows are dicts of column to text, missing columns are empty."""
    columns = columns or COLUMNS
    write_csv(path, columns, ([row.get(column, "") for column in columns] for row in rows))


def write_config(path, settings):
    path.write_text(yaml.safe_dump(settings, allow_unicode=True, sort_keys=False), encoding="utf-8")


def rfc3339(seconds):
    return datetime.fromtimestamp(seconds, CHINA).isoformat()


class CommandFailed(AssertionError):
    pass


class Commands:
    """The commands of one build directory."""

    def __init__(self, build):
        self.icpgate = build / "db-tools" / "icpgate"
        self.icpgate_load = build / "loader" / "icpgate-load"

    def run(self, program, *arguments, stdin="", expect=(0,)):
        """Runs one command to its end; an exit status that is not expected fails the test."""
        environment = {k: v for k, v in os.environ.items() if k != "ICPGATE_CONF"}
        done = subprocess.run(
            [program, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            env=environment,
            check=False,
        )
        if done.returncode not in expect:
            raise CommandFailed(
                f"{program.name} {' '.join(map(str, arguments))}: exit {done.returncode}\n"
                f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
            )
        return done

    def compile_ranges(self, directory, entries, name="ranges"):
        """Compiles (prefix, country, provider) entries and returns the path of the MMDB."""
        source = directory / f"{name}.csv"
        target = directory / f"{name}.mmdb"
        write_csv(source, ["prefix", "country", "provider"], entries)
        self.run(self.icpgate, "ranges", source, target)
        return target

    def load_full(self, conf, feed):
        self.run(self.icpgate_load, "-c", conf, "full", "--no-manifest", feed)

    def lookup_lines(self, conf, lines, at=None):
        """One JSON object for each "NAME ADDRESS..." line."""
        when = ["--at", rfc3339(at)] if at is not None else []
        done = self.run(
            self.icpgate,
            *["lookup", "-c", conf, "--json", *when, "-"],
            stdin="".join(line + "\n" for line in lines),
            expect=(0, 1),
        )
        return [json.loads(line) for line in done.stdout.splitlines()]
