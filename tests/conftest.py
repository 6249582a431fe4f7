# SPDX-License-Identifier: BSD-3-Clause
"""What the tests with real programs are given, by environment variables:

ICP_BUILD        build directory with db-tools/icpgate, loader/icpgate-load, module/.libs/icpgate.so
ICP_UNBOUND      Unbound daemon with the dynlib module (tests/e2e only)
ICP_NSD          NSD daemon; default: the one in PATH or /usr/sbin (tests/e2e only)
ICP_POSTGRES     directory of a PostgreSQL server's programs; default: the newest one installed by Debian
                 (tests/tools and tests/e2e only)
ICP_PRELOAD      library that Unbound is started with: that of a sanitizer, for a module built with it
ICP_PROMTOOL     promtool; default: the one in PATH, else what tools/get-promtool unpacks (tests/e2e only).
                 If Prometheus itself stands beside it, that is tested with too
ICP_TESTBOUND    and ICP_TESTDATA: see tests/replay/test_replay.py; unset: no replays
ICP_AXE          axe-core's axe.min.js; default: that of tools/get-axe (tests/blockpage only)
ICP_CHROMIUM     and ICP_CHROMEDRIVER; default: those in PATH (tests/blockpage only)
ICP_PORTS        FIRST-LAST, within 20000-29999: where servers of these tests may listen; for runs beside
                 each other
ICP_SHARED_DATA  directory with cn-domains.txt.zst and country.mmdb.zst; unset: those tests skip
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from commands import Commands


def pytest_configure(config):
    build = os.environ.get("ICP_BUILD")
    if not build:
        raise pytest.UsageError("ICP_BUILD is not set: it names the build directory to test")
    for program in ("db-tools/icpgate", "loader/icpgate-load"):
        if not os.access(Path(build) / program, os.X_OK):
            raise pytest.UsageError(f"ICP_BUILD={build} holds no program {program}: build it first")


@pytest.fixture(scope="session")
def build():
    return Path(os.environ["ICP_BUILD"]).resolve()


@pytest.fixture(scope="session")
def commands(build):
    """The project's commands."""
    return Commands(build)


@pytest.fixture(scope="session")
def shared_data(tmp_path_factory):
    """Directory with the real data, decompressed: cn-domains.txt and country.mmdb."""
    given = os.environ.get("ICP_SHARED_DATA")
    if not given:
        pytest.skip("ICP_SHARED_DATA is not set: no real domains, no real range database")
    directory = tmp_path_factory.mktemp("shared")
    for name in ("cn-domains.txt", "country.mmdb"):
        packed = Path(given) / (name + ".zst")
        if not packed.is_file():
            pytest.skip(f"ICP_SHARED_DATA holds no {packed.name}")
        if shutil.which("zstd") is None:
            pytest.fail("zstd is needed to unpack the real data (Debian: zstd)")
        subprocess.run(["zstd", "-dqo", directory / name, packed], check=True)
    return directory
