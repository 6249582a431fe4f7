# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the block page's tests."""

import contextlib

import pytest

from harness import start
from pages import Page, World


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A server with all cases in its store."""
    with contextlib.ExitStack() as stack:
        server = Page(World(tmp_path_factory.mktemp("page"), api="local", api_rate=1000))
        start(stack, server)
        yield server


@pytest.fixture
def make_page(tmp_path):
    """Starts servers in a directory of the test's own."""
    with contextlib.ExitStack() as stack:

        def make(*arguments, feed=None, prefix=(), **options):
            world = World(tmp_path, **({"feed": feed} if feed is not None else {}), **options)
            server = Page(world, *arguments, prefix=prefix)
            start(stack, server)
            return server

        yield make
