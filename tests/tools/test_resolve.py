# SPDX-License-Identifier: BSD-3-Clause
"""icpgate lookup --resolve: what a server says of a name, and which usual cause that shows."""

import json
from contextlib import ExitStack

import dns.flags
import pytest

from harness import Nsd, Relay, start
from operator_tool import (
    ABROAD,
    NUMBER,
    OURS,
    OURS_TOO,
    THEIRS,
    load,
    lookup,
    write_feed,
)
from resolving import OURS6, a_record, answers, cause, judged, puppet, reply, resolve, run, text
from world import zone

MANY = [f"192.0.2.{i}" for i in range(100)] + [f"203.0.113.{i}" for i in range(100, 200)]
CN = [
    f"ours A {OURS}",
    f"filed A {OURS}",
    f"filed AAAA {OURS6}",
    f"abroad A {ABROAD}",
    f"theirs A {THEIRS}",
    f"mixed A {OURS}",
    f"mixed A {ABROAD}",
    "text TXT none",
    "alias CNAME edge.ours",
    f"edge.ours A {OURS}",
    "gone CNAME nothing.ours",
    "away CNAME www.elsewhere.test.",
    # Its rdata is as long as an address.
    "short CNAME cn.",
    "loop CNAME loop2",
    "loop2 CNAME loop",
    "licence A 192.0.2.5",
    "stray.licence A 192.0.2.99",
    f"abroad.licence A {ABROAD}",
    f"hint HTTPS 1 . ipv4hint={OURS},{OURS_TOO} ipv6hint={OURS6}",
    f"hint A {OURS}",
    "service HTTPS 1 target.ours alpn=h2 ipv4hint=198.51.100.1",
    "service HTTPS 2 target.ours",
    "service HTTPS 3 service",
    "service HTTPS 4 .",
    f"service A {ABROAD}",
    f"target.ours A {OURS_TOO}",
    f"target.ours AAAA {OURS6}",
    "aliasmode HTTPS 0 target.ours",
    "outward HTTPS 1 www.elsewhere.test.",
    f"outward A {OURS}",
    *(f"many A {address}" for address in MANY),
    *(f"targets HTTPS {i} t{i}.targets" for i in range(1, 13)),
    *(f"t{i}.targets A 192.0.2.{i}" for i in range(1, 13)),
]
ZONES = {
    "cn": zone("cn", CN),
    "com": zone("com", [f"www.example A {OURS}"]),
    "xn--fiqs8s": zone("xn--fiqs8s", [f"www.xn--fsqu00a A {OURS}"]),
    "broken.cn": "this is no zone file\n",
}


@pytest.fixture(scope="module")
def nsd(tmp_path_factory):
    with ExitStack() as stack:
        yield start(stack, Nsd(tmp_path_factory.mktemp("nsd"), ZONES))


@pytest.fixture(scope="module")
def server(nsd):
    return f"{nsd.address}@{nsd.port}"


@pytest.mark.parametrize("name, verdict, reason, why", [
    ("ours.cn", "block", "unfiled", "gate"),
    ("www.example.com", "block", "filed-elsewhere", "gate"),
    ("mixed.cn", "block", "unfiled", "gate"),
    ("filed.cn", "pass", "filed", "none"),
    ("licence.cn", "pass", "filed", "none"),
    ("abroad.cn", "pass", "not-gated", "out-of-scope"),
    ("theirs.cn", "pass", "not-gated", "out-of-scope"),
    ("stray.licence.cn", "pass", "filed", "licence-address"),
    ("abroad.licence.cn", "pass", "not-gated", "licence-address"),
    ("nosuch.cn", "pass", "not-gated", "no-address"),
    ("text.cn", "pass", "not-gated", "no-address"),
    ("www.broken.cn", "pass", "not-gated", "no-address"),
    ("www.例子.中国", "pass", "filed", "none"),
])
def test_causes(conf, server, name, verdict, reason, why):
    status, answer = resolve(conf, server, name)
    assert cause(answer) == (verdict, reason, why)
    assert status == (1 if verdict == "block" else 0)


def test_object(conf, server, nsd):
    status, answer = resolve(conf, server, "ours.cn")
    given = lookup(conf, "ours.cn", OURS)[1]
    empty = {"name": "ours.cn", "rcode": "NOERROR", "alias": None, "addresses": [], "ede": None}
    assert status == 1
    # The members of a lookup with addresses, and two more.
    assert answer == {
        **given,
        "cause": "gate",
        "resolved": {
            "server": f"127.0.0.1@{nsd.port}",
            "recursive": False,
            "behind_gate": False,
            "gate_reason": None,
            "answers": [{**empty, "type": "A", "addresses": [OURS]},
                        {**empty, "type": "AAAA"},
                        {**empty, "type": "HTTPS"}],
        },
    }
    assert "cause" not in given


@pytest.mark.parametrize("name, addresses", [
    ("filed.cn", [OURS, OURS6]),
    # Hints that are the A record too are judged once.
    ("hint.cn", [OURS, OURS_TOO, OURS6]),
    ("service.cn", [ABROAD, "198.51.100.1", OURS_TOO, OURS6]),
    ("aliasmode.cn", [OURS_TOO, OURS6]),
    ("alias.cn", [OURS]),
    ("outward.cn", [OURS]),
])
def test_every_address_is_judged(conf, server, name, addresses):
    _, answer = resolve(conf, server, name)
    assert judged(answer) == addresses


def test_hints_alone_block(place, server):
    """The A record is abroad; the target and the hint lie in the mainland."""
    _, answer = resolve(place.config(), server, "service.cn")
    assert cause(answer) == ("block", "unfiled", "gate")
    assert [entry["gated"] for entry in answer["addresses"]] == [False, False, True, True]


def test_only_these_questions_are_asked(conf, nsd):
    with ExitStack() as stack:
        relay = start(stack, Relay(nsd))
        resolve(conf, f"127.0.0.1@{relay.port}", "service.cn")
        assert relay.asked == [(f"{name}.", rdtype) for name, rdtype in [
            ("service.cn", "A"), ("service.cn", "AAAA"), ("service.cn", "HTTPS"),
            ("target.ours.cn", "A"), ("target.ours.cn", "AAAA")]]


def test_questions_ask_for_recursion_and_carry_edns(conf):
    with puppet(a_record(OURS)) as server:
        resolve(conf, server.name, "ours.cn")
    assert len(server.asked) == 3
    for query in server.asked:
        assert query.flags == dns.flags.RD
        assert (query.edns, query.payload, query.options) == (0, 1232, ())
    assert len({query.id for query in server.asked}) > 1


def test_eight_targets_are_followed(conf, server):
    _, answer = resolve(conf, server, "targets.cn")
    asked = [(a["name"], a["type"]) for a in answer["resolved"]["answers"][3:]]
    assert len(asked) == 16
    assert len({name for name, _ in asked}) == 8
    assert len(answer["addresses"]) == 8


def test_truncated_answers(conf, server):
    status, answer = resolve(conf, server, "many.cn")
    assert status == 1
    assert sorted(judged(answer)) == sorted(MANY)


@pytest.mark.parametrize("name, rcode, alias, shown", [
    ("alias.cn", "NOERROR", "edge.ours.cn", f"{OURS}, as an alias of edge.ours.cn"),
    ("gone.cn", "NXDOMAIN", "nothing.ours.cn", "NXDOMAIN, as an alias of nothing.ours.cn"),
    ("away.cn", "NOERROR", "www.elsewhere.test",
     "no address, as an alias of www.elsewhere.test"),
])
def test_aliases(conf, server, name, rcode, alias, shown):
    _, answer = resolve(conf, server, name)
    first = answer["resolved"]["answers"][0]
    assert (first["rcode"], first["alias"]) == (rcode, alias)
    assert f"\n  {name} A: {shown}\n" in text(conf, server, name)


@pytest.mark.parametrize("name", ["loop.cn", "short.cn"])
def test_aliases_without_an_address(conf, server, name):
    _, answer = resolve(conf, server, name)
    assert (judged(answer), answer["cause"]) == ([], "no-address")


@pytest.mark.parametrize("name, phrase", [
    ("ours.cn", "the gate blocks it (unfiled)."),
    ("nosuch.cn", "no address. NXDOMAIN: the name does not exist: it is not registered or not "
                  "delegated, or the registry has put it on hold."),
    ("gone.cn", "no address. NXDOMAIN: nothing.ours.cn does not exist"),
    ("text.cn", "no address. NOERROR: the name exists, but without addresses."),
    ("www.broken.cn", "no address. SERVFAIL: the delegation is broken"),
    ("abroad.cn", "out of scope. No address is gated here"),
    ("stray.licence.cn", "it resolves elsewhere than its licence says, which the gate lets pass "
                         "with a warning."),
    ("abroad.licence.cn", "it resolves elsewhere than its licence says, and at no address that "
                          "is gated here."),
    ("filed.cn", "none found. The name has addresses and passes the gate"),
])
def test_text_of_every_cause(conf, server, name, phrase):
    lines = text(conf, server, name).splitlines()
    assert lines[0].startswith(f"{name}: ")
    assert [line for line in lines if line.startswith("Cause: ")] == \
        [line for line in lines if line.startswith("Cause: " + phrase)] != []


def test_text_says_what_would_unblock_and_what_was_answered(conf, server):
    shown = text(conf, server, "ours.cn")
    assert shown.startswith(
        "ours.cn: block (unfiled)\n"
        "Cause: the gate blocks it (unfiled).\n"
        "\n"
        f"Answers of {server}:\n"
        f"  ours.cn A: {OURS}\n"
        "  ours.cn AAAA: no address\n"
        "  ours.cn HTTPS: no address\n"
        "\n"
        f"{OURS}: block (unfiled); mainland, qcloud, gated\n")
    assert "To unblock: the domain must be filed with qcloud.\n" in shown


def test_text_says_that_the_server_does_not_recurse(conf, server):
    line = f"{server} does not resolve for others (RA is clear): it knows its own zones only.\n"
    assert line in text(conf, server, "nosuch.cn")
    assert line not in text(conf, server, "ours.cn")
    with puppet(lambda query: reply(query, rcode="NXDOMAIN")) as other:
        assert "for others" not in text(conf, other.name, "nosuch.cn")


def test_the_policy_decides_the_cause(place, server):
    def found(name, **changes):
        return resolve(place.config(**changes), server, name)[1]["cause"]

    assert found("stray.licence.cn", licence_addresses="enforce") == "licence-address"
    assert found("stray.licence.cn", licence_addresses="ignore") == "none"
    assert found("abroad.licence.cn", licence_addresses="ignore") == "out-of-scope"
    assert found("ours.cn", mode="monitor") == "none"
    assert found("mixed.cn", mixed="strip") == "none"
    assert found("ours.cn", mixed="strip") == "gate"
    assert found("ours.cn", exempt=["ours.cn"]) == "none"
    assert found("theirs.cn", scope="mainland") == "gate"


def test_monitor_and_enforced_licence_in_text(place, server):
    assert "Cause: none found. The gate would block it, but mode is monitor.\n" in \
        text(place.config(mode="monitor"), server, "ours.cn")
    assert "licence says, and the gate blocks it for that.\n" in \
        text(place.config(licence_addresses="enforce"), server, "stray.licence.cn")


def test_a_filing_for_any_address_makes_no_stray(place, tmp_path):
    """A licence for other addresses, beside a filing that is bound to none."""
    bound = "192.0.2.200"
    store = tmp_path / "store"
    write_feed(tmp_path / "feed.csv", [
        ["bound.cn", "acloud", "filed", NUMBER, "", "", "", bound],
        ["free.bound.cn", "acloud", "filed", NUMBER, "", "", "", ""],
        ["both.cn", "acloud", "filed", NUMBER, "", "", "", bound],
        ["both.cn", "bcloud", "filed", NUMBER, "", "", "", ""],
        ["lost.cn", "acloud", "filed", NUMBER, "", "", "", bound],
        ["lost.cn", "bcloud", "deregistered", NUMBER, "", "", "", ""],
    ])
    load(store, tmp_path / "feed.csv")
    conf = place.config(store=str(store))
    with puppet(a_record(ABROAD)) as server:
        found = {name: resolve(conf, server.name, name)[1]["cause"]
                 for name in ["bound.cn", "free.bound.cn", "both.cn", "lost.cn"]}
    assert found == {"bound.cn": "licence-address", "free.bound.cn": "out-of-scope",
                     "both.cn": "out-of-scope", "lost.cn": "licence-address"}


@pytest.mark.parametrize("verdict, why", [("pass", None), ("block", "gate")])
def test_no_store(place, server, tmp_path, verdict, why):
    conf = place.config(store=str(tmp_path), on_no_index=verdict)
    done = run(conf, server, "--json", "ours.cn")
    assert done.returncode == 4
    assert json.loads(done.stdout)["cause"] == why
    done = run(conf, server, "ours.cn")
    assert ("Cause: not known, as the store can't be read.\n" in done.stdout) == (why is None)
    done = run(conf, server, "--json", "abroad.cn")
    assert (done.returncode, json.loads(done.stdout)["cause"]) == (0, "out-of-scope")


def test_a_target_may_be_refused(conf, server):
    _, answer = resolve(conf, server, "outward.cn")
    assert answers(answer)["www.elsewhere.test", "A"] == ("REFUSED", [])
    assert "\n  www.elsewhere.test A: REFUSED" in text(conf, server, "outward.cn")
