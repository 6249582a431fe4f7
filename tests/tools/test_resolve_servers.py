# SPDX-License-Identifier: BSD-3-Clause
"""icpgate lookup --resolve with servers behind the gate, and with servers that do wrong."""

import socket
import time

import dns.edns
import dns.flags
import dns.message
import dns.rrset
import pytest

from operator_tool import ABROAD, OURS, OURS_TOO, assert_quiet_failure, icpgate
from resolving import BLOCK, a_record, answers, cause, judged, puppet, reply, resolve, run, text

GIVE_UP_SECONDS = 6


@pytest.mark.parametrize("ede, reason", [
    (None, None),
    ((16, "unfiled ours.cn; https://beian.example.cn"), "unfiled"),
    ((18, "filed-elsewhere cn"), "filed-elsewhere"),
    # Not the gate's: another word, or another domain.
    ((16, "Censored by somebody"), None),
    ((16, "unfiled other.cn; x"), None),
    ((16, "unfiled"), None),
])
def test_the_block_page(conf, ede, reason):
    def make(query):
        records = [f"ours.cn A {BLOCK}"] if query.question[0].rdtype == 1 else []
        return reply(query, *records, ede=ede)

    with puppet(make) as server:
        status, answer = resolve(conf, server.name, "ours.cn")
        shown = text(conf, server.name, "ours.cn")
    resolved = answer["resolved"]
    assert (status, answer["cause"]) == (1, "gate")
    assert (resolved["behind_gate"], resolved["gate_reason"]) == (True, reason)
    assert resolved["answers"][0]["ede"] == \
        (None if ede is None else {"code": ede[0], "text": ede[1]})
    # Judged as without addresses.
    assert judged(answer) == [None]
    told = f" ({reason})" if reason else ""
    assert (f"Cause: the gate blocks it. {server.name} is behind the gate and answered the block "
            f"page{told}; the real addresses can't be seen through it.\n") in shown
    assert f"  ours.cn A: {BLOCK}, the block page" in shown
    assert "\nno address seen, so any: block (unfiled); mainland, qcloud, gated\n" in shown
    assert "read here it passes" not in shown


def test_beside_the_block_page_nothing_is_judged(conf):
    def make(query):
        rdtype = int(query.question[0].rdtype)
        records = {1: [f"ours.cn A {BLOCK}"], 65: [f"ours.cn HTTPS 1 . ipv4hint={ABROAD}"]}
        return reply(query, *records.get(rdtype, []))

    with puppet(make) as server:
        _, answer = resolve(conf, server.name, "ours.cn")
    assert (judged(answer), answer["cause"]) == ([None], "gate")


def test_the_gates_ede_without_an_address(conf):
    def make(query):
        return reply(query, ede=(15, "unfiled ours.cn"))

    with puppet(make) as server:
        _, answer = resolve(conf, server.name, "ours.cn")
    assert (answer["cause"], answer["resolved"]["gate_reason"]) == ("gate", "unfiled")


@pytest.mark.parametrize("tells", [1, 28])
def test_one_answer_tells_the_reason(conf, tells):
    def make(query):
        made = a_record(BLOCK)(query)
        if query.question[0].rdtype == tells:
            made.use_edns(0, options=[dns.edns.EDEOption(16, "unfiled ours.cn")])
        return made

    with puppet(make) as server:
        _, answer = resolve(conf, server.name, "ours.cn")
    assert answer["resolved"]["gate_reason"] == "unfiled"


def test_the_ipv6_block_page(place):
    def make(query):
        is_aaaa = query.question[0].rdtype == 28
        return reply(query, *(["ours.cn AAAA 2001:db8::80"] if is_aaaa else []))

    with puppet(make) as server:
        conf = place.config(block={"ipv4": BLOCK, "ipv6": "2001:db8::80", "ttl": 30})
        assert resolve(conf, server.name, "ours.cn")[1]["resolved"]["behind_gate"] is True
        assert resolve(place.config(), server.name, "ours.cn")[1]["cause"] == "out-of-scope"


def test_a_gate_that_decides_otherwise(conf):
    with puppet(a_record(BLOCK)) as server:
        status, answer = resolve(conf, server.name, "filed.cn")
        shown = text(conf, server.name, "filed.cn")
    assert (status, cause(answer)) == (0, ("pass", "filed", "gate"))
    assert "By the store and the configuration read here it passes" in shown


def test_a_target_that_the_gate_hides(conf):
    """The name's own addresses are real; those of its target can't be seen."""

    def make(query):
        name = query.question[0].name.to_text(omit_final_dot=True)
        records = {("filed.cn", 1): [f"filed.cn A {OURS}"],
                   ("filed.cn", 65): ["filed.cn HTTPS 1 ours.cn."],
                   ("ours.cn", 1): [f"ours.cn A {BLOCK}"]}
        return reply(query, *records.get((name, int(query.question[0].rdtype)), []))

    with puppet(make) as server:
        _, answer = resolve(conf, server.name, "filed.cn")
        shown = text(conf, server.name, "filed.cn")
    assert (judged(answer), answer["cause"]) == ([OURS], "none")
    assert answer["resolved"]["behind_gate"] is False
    assert f"  ours.cn A: {BLOCK}, the block page\n" in shown


# What servers do wrong


def test_other_questions_may_be_refused(conf):
    def make(query):
        if query.question[0].rdtype == 65:
            return reply(query, rcode="NOTIMP")
        return a_record(OURS)(query)

    with puppet(make) as server:
        status, answer = resolve(conf, server.name, "ours.cn")
    assert (status, answer["cause"]) == (1, "gate")
    assert answers(answer)["ours.cn", "HTTPS"] == ("NOTIMPL", [])


def test_one_family_may_fail(conf):
    def make(query):
        if query.question[0].rdtype == 28:
            return reply(query, rcode="SERVFAIL", ede=(22, "no reachable authority\x1b[2J\u009b2J"))
        return a_record(OURS)(query)

    with puppet(make) as server:
        status, answer = resolve(conf, server.name, "ours.cn")
        shown = text(conf, server.name, "ours.cn")
    assert (status, answer["cause"]) == (1, "gate")
    assert ("  ours.cn AAAA: SERVFAIL (extended error 22: no reachable authority"
            r"\x1b[2J\xc2\x9b2J)" "\n") in shown


@pytest.mark.parametrize("octets, shown", [
    ("例子\0é".encode(), r"例子\x00é"),
    (b"caf\xe9 \xff", r"caf\xe9 \xff"),
    (b"", ""),
    # As many octets as are kept, and one more.
    (b"x" * 511, "x" * 511),
    (b"x" * 600, "x" * 511),
], ids=["UTF-8", "no UTF-8", "empty", "long", "too long"])
def test_texts_of_extended_errors(conf, octets, shown):
    def make(query):
        made = a_record(OURS)(query)
        option = dns.edns.GenericOption(15, b"\x00\x16" + octets)
        made.use_edns(0, options=[dns.edns.GenericOption(15, b"\x01"), option])
        return made

    with puppet(make) as server:
        _, answer = resolve(conf, server.name, "ours.cn")
        ending = f"(extended error 22{': ' * bool(shown)}{shown})\n"
        assert f"  ours.cn A: {OURS} {ending}" in text(conf, server.name, "ours.cn")
    assert answer["resolved"]["answers"][0]["ede"] == {"code": 22, "text": shown}


def test_malformed_hints_do_no_harm(conf):
    def make(query):
        made = a_record(OURS)(query)
        if query.question[0].rdtype == 65:
            # SvcPriority 1, ".", ipv4hint of 7 octets, then a parameter that is cut.
            rdata = bytes.fromhex("0001 00 0004 0007 c0000214 c00002 00")
            made.answer.append(dns.rrset.from_text(
                "ours.cn.", 60, "IN", "TYPE65280", f"\\# {len(rdata)} {rdata.hex()}"))
            wire = made.to_wire()
            return wire.replace(b"\xff\x00\x00\x01", b"\x00\x41\x00\x01")
        return made

    with puppet(make) as server:
        _, answer = resolve(conf, server.name, "ours.cn")
    assert judged(answer) == [OURS, OURS_TOO]


def wrong_id(query):
    wire = a_record(OURS)(query).to_wire()
    return bytes([wire[0] ^ 1]) + wire[1:]


def wrong_name(query):
    other = dns.message.make_query("other.cn", query.question[0].rdtype)
    other.id = query.id
    return reply(other, f"other.cn A {OURS}")


def wrong_type(query):
    other = dns.message.make_query("ours.cn", "MX")
    other.id = query.id
    return reply(other)


def no_question(query):
    made = reply(query, f"ours.cn A {OURS}")
    made.question = []
    return made


@pytest.mark.parametrize("make, message", [
    (wrong_id, "what came in does not answer what was asked: ours.cn A"),
    (wrong_name, "what came in does not answer what was asked: ours.cn A"),
    (wrong_type, "what came in does not answer what was asked: ours.cn A"),
    (no_question, "what came in does not answer what was asked: ours.cn A"),
    (lambda query: query, "what came in does not answer what was asked: ours.cn A"),
    (lambda query: b"\x00", "ours.cn A: "),
    (lambda query: a_record(OURS)(query).to_wire()[:-2], "ours.cn A: "),
    (lambda query: reply(query, rcode="REFUSED"), "REFUSED to ours.cn A: it must be a server"),
    (lambda query: reply(query, rcode="FORMERR"), "FORMERR to ours.cn A: it must be a server"),
    (lambda query: reply(query, rcode="BADVERS"), "RCODE16 to ours.cn A: it must be a server"),
])
def test_answers_that_tell_nothing(conf, make, message):
    with puppet(make) as server:
        for options in ([], ["--json"]):
            done = run(conf, server.name, *options, "ours.cn")
            assert_quiet_failure(done, 4)
            assert done.stdout == ""
            assert done.stderr.startswith(f"{server.name}: {message}")
            assert done.stderr.count("\n") == 1


def test_a_silent_server(conf):
    with puppet(lambda query: None) as server:
        began = time.monotonic()
        done = run(conf, server.name, "ours.cn")
        took = time.monotonic() - began
    assert_quiet_failure(done, 4)
    assert done.stderr.startswith(
        f"{server.name}: no answer to ours.cn A within {GIVE_UP_SECONDS} s: ")
    assert done.stdout == ""
    assert GIVE_UP_SECONDS - 1 < took < 3 * GIVE_UP_SECONDS
    # Sent again once, and nothing else was asked.
    assert len(server.asked) == 2


def test_a_lost_question_is_asked_again(conf):
    lost = []

    def make(query):
        if not lost:
            lost.append(query)
            return None
        return a_record(OURS)(query)

    with puppet(make) as server:
        assert resolve(conf, server.name, "ours.cn")[1]["cause"] == "gate"


def test_truncation_without_tcp(conf):
    def make(query):
        made = reply(query)
        made.flags |= dns.flags.TC
        return made

    with puppet(make) as server:
        done = run(conf, server.name, "ours.cn")
    assert_quiet_failure(done, 4)
    assert "no answer to ours.cn A" in done.stderr


# Arguments


@pytest.mark.parametrize("given", [
    "", "@53", "ns.example.cn", "127.0.0.1@", "127.0.0.1@0", "127.0.0.1@65536", "127.0.0.1@053x",
    "127.0.0.1@99999999999999999999", "127.0.0.1@-1", "127.0.0.1@+53", "127.0.0.1@ 53",
    "127.0.0.1:53", "127.0.0.1#53", "[::1]:53", "[::1]@53", "127.0.0.1@53@53", "127.0.0.1/32",
    "a\x1b[2J"])
def test_servers_that_are_not_valid(conf, given):
    done = run(conf, given, "ours.cn")
    assert_quiet_failure(done, 2)
    assert done.stderr == (f"not a server: {given}; allowed: ADDRESS or ADDRESS@PORT, with a port "
                           "of 1 to 65535\n").replace("\x1b", r"\x1b")
    assert done.stdout == ""


def test_servers_in_other_forms(conf):
    """An address alone means port 53, where nobody needs to listen to see it in the message."""
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as silent:
        silent.bind(("::1", 0))
        port = silent.getsockname()[1]
        done = run(conf, f"0:0:0:0:0:0:0:1@{port}", "ours.cn")
        assert done.stderr.startswith(f"::1@{port}: no answer to ours.cn A")
        assert silent.recv(512)


@pytest.mark.parametrize("arguments, message", [
    (["ours.cn", OURS], "--resolve takes one NAME"),
    (["-"], "--resolve takes one NAME"),
    (["a..b"], "not a name"),
])
def test_other_arguments(conf, arguments, message):
    done = run(conf, "127.0.0.1@1", *arguments)
    assert_quiet_failure(done, 2)
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("command", [["dump"], ["verify"], ["bench"]])
def test_resolve_is_for_lookup(conf, command):
    done = icpgate("-c", conf, "--resolve", "127.0.0.1", *command)
    assert_quiet_failure(done, 2)
    assert f"icpgate: {command[0]}: --resolve is for lookup\n" in done.stderr
