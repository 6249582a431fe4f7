# SPDX-License-Identifier: BSD-3-Clause
import pytest

from world import running_world


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
