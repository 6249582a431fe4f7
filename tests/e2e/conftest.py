# SPDX-License-Identifier: BSD-3-Clause
import pytest

from clock import ResolverClock
from filing_fixtures import make_filings, make_server  # noqa: F401 pylint: disable=unused-import
from leaks import Tally
from world import running_world

TALLY = pytest.StashKey()


@pytest.fixture(scope="session")
def module(build):
    """The module that the resolver loads."""
    path = build / "module" / ".libs" / "icpgate.so"
    if not path.is_file():
        pytest.fail(f"{path} is missing: configure with --with-unbound-source=DIR and build")
    return path


@pytest.fixture(scope="module")
def start_world(tmp_path_factory, commands, module):
    """running_world with what every test gives it."""

    def start(**options):
        return running_world(tmp_path_factory.mktemp("world"), commands, module, **options)

    return start


@pytest.fixture(scope="module")
def compiled_clock(tmp_path_factory):
    return ResolverClock(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def clock(compiled_clock, monkeypatch):
    compiled_clock.write(0)
    compiled_clock.install(monkeypatch)
    return compiled_clock


@pytest.fixture
def start_clocked(clock, tmp_path, commands, module):
    """Starts a world whose resolver goes by the clock."""

    def start_it(**options):
        return running_world(tmp_path, commands, module, **options)

    return start_it


@pytest.fixture(scope="session")
def tally(pytestconfig):
    """What the leak tests find; the table at the end is printed from it."""
    return pytestconfig.stash.setdefault(TALLY, Tally())


def pytest_terminal_summary(terminalreporter, config):
    found = config.stash.get(TALLY, None)
    if found is not None:
        found.print(terminalreporter)
