# SPDX-License-Identifier: BSD-3-Clause
"""The loader with PostgreSQL as its source, and what lies in the store then."""

import csv
import json

from feeds import Store
from operator_tool import LOADER, icpgate, run


class Loads:
    """A store and the loader on it."""

    def __init__(self, directory):
        self.directory = directory
        self.store = directory / "store"

    def load(self, *arguments):
        return run(LOADER, "--store", self.store, *arguments)

    def full(self, filings, *arguments):
        return self.load("full", "--from", filings.conninfo(), *arguments)

    def status(self):
        return json.loads(self.load("status", "--json").stdout)

    def dump(self, store=None):
        """The store's rows as the view gives them, sorted."""
        done = icpgate("--store", store or self.store, "dump")
        assert done.returncode == 0, done.stderr
        return sorted(list(csv.reader(done.stdout.splitlines()))[1:])

    def audit(self):
        """The lines of the audit log, without their times."""
        return Store(None, self.store).audit()


def by_file(filings, loads):
    """The rows of the view, loaded from a file into another store."""
    feed = loads.directory / "view.csv"
    with filings.session, filings.session.cursor() as cursor, open(feed, "wb") as file:
        cursor.copy_expert("COPY (SELECT * FROM icpgate_feed) TO STDOUT (FORMAT csv, HEADER)", file)
    other = loads.directory / "by-file"
    done = run(LOADER, "--store", other, "full", "--no-manifest", feed)
    assert done.returncode == 0, done.stderr
    return loads.dump(other)
