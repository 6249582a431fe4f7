# SPDX-License-Identifier: BSD-3-Clause
"""`api: local` at the addresses of the default `listen`: in a network of the server's own, where they
are its machine's."""

import os
import subprocess
import sys

import pytest

PAGE, OTHER = ("203.0.113.80", "2001:db8::80"), ("198.51.100.7", "2001:db8::7")
NETWORK = """\
ip link set lo up
for address in %s; do ip address add $address dev lo; done
# Usable at once, without a look for others that have them.
for address in %s; do ip address add $address dev lo nodad; done
exec "$@"
""" % tuple(map(" ".join, zip(PAGE, OTHER)))
ASK = """\
import http.client, sys
host, source, path = sys.argv[1:]
client = http.client.HTTPConnection(host, 80, timeout=20, source_address=(source, 0) if source else None)
client.request("GET", path, headers={"Host": "www.nobody.cn"})
print(client.getresponse().status)
"""
IS_ROOT = os.geteuid() == 0
MAKE = ["unshare", *([] if IS_ROOT else ["--user", "--map-root-user"]), "--net"]
ENTER = ["nsenter", *([] if IS_ROOT else ["--user", "--preserve-credentials"]), "--net"]
API = "/api/v1/verdict?name=filed.cn"

pytestmark = pytest.mark.skipif(
    subprocess.run([*MAKE, "ip", "link", "set", "lo", "up"], capture_output=True,
                   check=False).returncode != 0, reason="no network of its own can be made")


@pytest.fixture(name="ask")
def start_server(make_page):
    page = make_page(api="local", listen=None, policy={
        "block": {"ipv4": PAGE[0], "ipv6": PAGE[1], "ttl": 45}},
        prefix=[*MAKE, "sh", "-ec", NETWORK, "sh"])

    def ask(host, source=None, path=API):
        done = subprocess.run([*ENTER, f"--target={page.process.pid}", sys.executable, "-c", ASK,
                               host, source or "", path], capture_output=True, encoding="utf-8",
                              timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    return ask


@pytest.mark.parametrize("family", [0, 1])
def test_who_asks_an_address_of_the_machine_is_local(ask, family):
    # The system takes the very address for the client's, too.
    assert ask(PAGE[family]) == 200
    assert ask(PAGE[family], ["127.0.0.2", "::1"][family]) == 200
    assert ask(PAGE[family], path="/") == 451
    # As any other address may be a stranger's.
    assert ask(PAGE[family], OTHER[family]) == 451
