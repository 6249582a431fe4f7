# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of tests with a PostgreSQL server; a conftest.py takes them over."""

import pytest


@pytest.fixture(scope="session", name="server")
def make_server():
    """A PostgreSQL server."""
    # Here, as other tests do without what it needs.
    from postgres import Postgres  # pylint: disable=import-outside-toplevel

    made = Postgres()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture(name="filings")
def make_filings(server):
    """An empty filing database, but for two providers."""
    made = server.database()
    made.provider("qcloud", "acloud")
    yield made
    made.close()
