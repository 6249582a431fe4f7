# SPDX-License-Identifier: BSD-3-Clause
"""Unbound's own replays of the plain chains pass with our module put first. Environment:

ICP_TESTBOUND  the program, linked so that it loads a dynlib (tools/get-unbound --testbound)
ICP_TESTDATA   the directory of its replays, in a source tree (tools/get-unbound --source)

A replay that fails without the module, say for want of IPv6, is skipped.
"""

import os
from pathlib import Path

import pytest

from commands import write_config, write_feed
from replay import Replay, Testbound

PLAIN_CHAINS = ("validator iterator", "iterator")

# The module refuses their configuration, by design, with a line that names the option.
REFUSED = {
    "iter_ns_spoof": "harden-referral-path: yes is not supported",
    "serve_expired_ttl_reset": "serve-expired-ttl-reset: yes is not supported",
}

# They ask for HTTPS or SVCB, for which the module looks up the A and AAAA of the name and of the
# targets; the servers of the replays have no answer to these, and so are given one.
ASKS_FOR_ADDRESSES = {
    "iter_priv_svcb": ["193.0.14.129", "1.2.3.4"],
    "iter_svcb_malformed": ["1.2.3.4"],
}

# The module stores what has no lease with TTL 0, absolute: the time at which replays begin, when
# that has not expired. These store such a message then, and ask for it; they begin later here.
BEGINS_LATER = ("val_keyprefetch_verify",)

# Other data replaces a cached address RRset, to which older messages refer. The module takes the old
# one out of the cache, as these messages were not judged with the new one; the replay, of newer
# versions, expects them to be answered with it.
REPLACES = ("iter_scrub_rr_length",)

# What no replay has an address in; and what all have.
ELSEWHERE = ["240.16.0.0/16", "2001:db8:ffff::/48"]
EVERYWHERE = ["0.0.0.0/0", "::/0"]


def plain_replays():
    directory = os.environ.get("ICP_TESTDATA")
    if not directory or not os.environ.get("ICP_TESTBOUND"):
        reason = "ICP_TESTBOUND or ICP_TESTDATA is not set: no replays of Unbound's own"
        return [pytest.param(None, marks=pytest.mark.skip(reason))]
    paths = sorted(Path(directory).resolve().glob("*.rpl"))
    replays = [replay for replay in map(Replay, paths) if replay.chain in PLAIN_CHAINS]
    if len(replays) < 300:
        raise pytest.UsageError(f"ICP_TESTDATA={directory} has {len(replays)} plain replays only")
    return [pytest.param(replay, id=replay.name) for replay in replays]


REPLAYS = plain_replays()


@pytest.fixture(scope="session")
def testbound():
    program, testdata = os.environ["ICP_TESTBOUND"], os.environ["ICP_TESTDATA"]
    return Testbound(Path(program).resolve(), Path(testdata).resolve())


@pytest.fixture(scope="session")
def module(build):
    return build / "module" / ".libs" / "icpgate.so"


def make_policy(commands, directory, gated, rows):
    """The configuration for a store with these rows, where these prefixes are gated."""
    database = commands.compile_ranges(directory, [(prefix, "CN", "qcloud") for prefix in gated])
    conf = directory / "icpgate.conf"
    write_config(
        conf,
        {
            "store": str(directory / "store"),
            "mode": "enforce",
            "scope": "provider",
            "providers": ["qcloud"],
            "ranges": {
                "database": str(database),
                "mainland": {"path": ["country", "iso_code"], "equals": "CN"},
                "provider": {"path": ["provider"]},
            },
            "block": {"ipv4": "203.0.113.80", "ipv6": "2001:db8::80"},
            "lease": 30,
        },
    )
    write_feed(directory / "feed.csv", rows)
    commands.load_full(conf, directory / "feed.csv")
    return conf


@pytest.fixture(scope="session")
def policies(commands, tmp_path_factory):
    """By name: nothing is gated by rows, other names and addresses are, everything is blocked."""
    number = "京ICP备11018762号-1"
    others = [
        {"domain": "filed.example", "provider": "qcloud", "status": "filed", "number": number},
        {"domain": "gone.example", "provider": "qcloud", "status": "deregistered", "number": number},
        {"domain": "elsewhere.example", "provider": "acloud", "status": "filed", "number": number},
    ]
    make = tmp_path_factory.mktemp
    return {
        "empty": make_policy(commands, make("empty"), ELSEWHERE[:1], []),
        "others": make_policy(commands, make("others"), ELSEWHERE, others),
        "blocking": make_policy(commands, make("blocking"), EVERYWHERE, []),
    }


def run_with_module(testbound, replay, module, conf, directory):
    servers = ASKS_FOR_ADDRESSES.get(replay.name, ())
    changed = replay.with_module(directory / replay.path.name, module, servers)
    return testbound.run(changed, conf)


@pytest.mark.parametrize("replay", REPLAYS)
def test_replay_passes(replay, testbound, module, policies, tmp_path):
    if replay.name in BEGINS_LATER:
        replay = replay.later(tmp_path / replay.path.name)
    without = testbound.run(replay)
    if without is not None:
        pytest.skip(f"{replay.name} fails without the module: {without.splitlines()[-1]}")
    for policy in ("empty", "others"):
        failure = run_with_module(testbound, replay, module, policies[policy], tmp_path)
        if replay.name in REPLACES:
            assert failure is not None and "not matched" in failure
        elif replay.name in REFUSED:
            assert failure is not None and REFUSED[replay.name] in failure
        else:
            assert failure is None, f"store: {policy}; {failure}"


@pytest.mark.skipif(REPLAYS[0].values[0] is None, reason="no replays")
def test_replays_fail_where_all_is_blocked(testbound, module, policies, tmp_path):
    """The same runs find a module that changes answers."""
    sample = [param.values[0] for param in REPLAYS][::8]
    failed = [
        replay.name
        for replay in sample
        if run_with_module(testbound, replay, module, policies["blocking"], tmp_path)
    ]
    print(f"\n{len(failed)} of {len(sample)} replays fail where every address is blocked")
    assert len(failed) > len(sample) / 3
