# SPDX-License-Identifier: BSD-3-Clause
"""Ways of wildcards, signed and not; the resolver makes names of them that it never asked for."""

from leak_checks import expect_any_blocked, expect_nodata
from leak_world import Own
from leaks import way
from world import ABROAD, OURS

WILD = {
    "cn": [
        *["*.wild A {secret}", "*.wild AAAA {secret6}", "*.wild HTTPS 1 . ipv4hint={secret}"],
        *["*.wild MX 10 mail", "mail A {secret}", "*.ok A {real}", "*.far A {abroad}"],
        *["*.alias CNAME x.wild", "*.out CNAME x.wild.{com}.", "in.wild A {abroad}"],
        *["*.okalias CNAME x.wild", "*.w.wild A {secret}"],
    ],
    "com": ["*.wild A {secret}", "*.wild AAAA {secret6}"],
    "org": ["*.wild A {secret}"],
    "filed": ["ok"],
}


def ask_for_wildcards(probe):
    for name in ("a.wild", "b.wild", "c.d.wild", "b.w.wild", "b.w.wild", "x.alias", "y.alias"):
        probe.expect_blocked(name)
        probe.expect_blocked(name, "AAAA" if "w.wild" not in name else "A")
        probe.expect_blocked(name, cd=True, do=True)
    for name in ("x.out", "y.out", "a.wild.{com}.", "b.wild.{com}.", "a.wild.{org}."):
        probe.expect_blocked(name)
        probe.ask(name, via="snoop", rd=False)
    for name in ("e.wild", "f.wild"):
        expect_nodata(probe, name)
        expect_any_blocked(probe, name)
        assert probe.ask(name, "MX", do=True).answer
    for number in range(5):
        probe.expect_blocked(f"fresh{number}.wild")
        probe.expect_real(f"fresh{number}.ok", addresses=[OURS])
        probe.expect_real(f"fresh{number}.far", addresses=[ABROAD])
    probe.expect_real("in.wild", addresses=[ABROAD])


@way("DNSSEC", "wildcards", **WILD)
def wildcards(probe):
    ask_for_wildcards(probe)


@way(
    "DNSSEC",
    "wildcards, with aggressive-nsec and NSEC in every answer",
    own=Own(server=["aggressive-nsec: yes", "minimal-responses: no", "prefetch-key: yes"]),
    validation=True,
    **WILD,
)
def wildcards_aggressive(probe):
    ask_for_wildcards(probe)
