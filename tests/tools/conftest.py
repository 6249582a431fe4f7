# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the operator's tool and of the loader."""

from contextlib import ExitStack

import pytest

from filing_fixtures import make_filings, make_server  # noqa: F401 pylint: disable=unused-import
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


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    """What makes calls of the loader fail."""
    from shim import Shim  # pylint: disable=import-outside-toplevel

    return Shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def http_for_all(tmp_path_factory):
    """An HTTP server for all tests of a file, which must bear what they do."""
    from http_alone import Server  # pylint: disable=import-outside-toplevel

    with ExitStack() as stack:
        made = Server(stack, tmp_path_factory.mktemp("http"))
        yield made
        assert made.fetch()[0] == 200


@pytest.fixture
def make_daemon(commands):
    """A function that makes daemons; they must end well."""
    from gate_daemon import Daemon  # pylint: disable=import-outside-toplevel

    made = []

    def make(**options):
        made.append(Daemon(commands, **options))
        return made[-1]

    yield make
    for daemon in made:
        daemon.close()


@pytest.fixture
def daemon(make_daemon):
    """A daemon that runs, with a first generation of sequence 1 that holds a.cn."""
    from gate_daemon import state_of  # pylint: disable=import-outside-toplevel

    made = make_daemon()
    made.start()
    made.ends_in("done", made.full(state_of("a.cn"), 1, "first.csv"))
    return made
