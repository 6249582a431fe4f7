# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the operator's tool and of the loader."""

import pytest

from operator_tool import ROWS, Place, load, write_feed


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("icpgate"))
    # Not in the order of the dump: the order must be the dump's work.
    write_feed(made.feed, ROWS[::-1])
    load(made.store, made.feed)
    return made


@pytest.fixture(scope="module")
def conf(place):
    return place.config()


@pytest.fixture(scope="session")
def server():
    """A PostgreSQL server."""
    # Here, as other tests do without what it needs.
    from postgres import Postgres  # pylint: disable=import-outside-toplevel

    made = Postgres()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
def filings(server):
    """An empty filing database, but for two providers."""
    made = server.database()
    made.provider("qcloud", "acloud")
    yield made
    made.close()
