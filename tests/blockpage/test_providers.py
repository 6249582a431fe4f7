# SPDX-License-Identifier: BSD-3-Clause
"""Several providers: nobody knows here with which of them the visitor's server is."""

import pytest

from pages import HEADER, NUMBER

BOTH = ["qcloud", "bcloud"]
FEED = HEADER + f"""\
first.cn,qcloud,filed,{NUMBER},,,,
second.cn,bcloud,filed,{NUMBER},,,,
both.cn,qcloud,filed,{NUMBER},,,,
both.cn,bcloud,filed,{NUMBER},,,,
waits.cn,qcloud,filed,{NUMBER},,,,
waits.cn,bcloud,pending,,,,,
new.cn,bcloud,pending,,,,,
gone.cn,bcloud,deregistered,{NUMBER},,,,
gone.cn,acloud,filed,{NUMBER},,,,
other.cn,acloud,filed,{NUMBER},,,,
"""
# The reason at qcloud, at bcloud, and what the page says.
CASES = {
    "first.cn": ("filed", "filed-elsewhere", "filed-elsewhere"),
    "second.cn": ("filed-elsewhere", "filed", "filed-elsewhere"),
    "both.cn": ("filed", "filed", "filed"),
    "waits.cn": ("filed", "pending", "pending"),
    "new.cn": ("unfiled", "pending", "pending"),
    "gone.cn": ("filed-elsewhere", "deregistered", "deregistered"),
    "other.cn": ("filed-elsewhere", "filed-elsewhere", "filed-elsewhere"),
    "nobody.cn": ("unfiled", "unfiled", "unfiled"),
}
MAINLAND = {"scope": "mainland", "providers": None, "ranges": {"database": "none.mmdb"}}


def code(page, host):
    return page.ask(host).text.split("<code>")[1].split("</code>")[0]


@pytest.mark.parametrize("mixed", ["block", "strip"])
@pytest.mark.parametrize("providers", [BOTH, BOTH[::-1]])
def test_the_refusal_that_tells_most_is_shown(make_page, providers, mixed):
    page = make_page(feed=FEED, api="any", policy={"providers": providers, "mixed": mixed})
    for name, (qcloud, bcloud, reason) in CASES.items():
        assert code(page, "www." + name) == reason, name
        verdict = page.ask(path=f"/api/v1/verdict?name={name}").json()
        assert (verdict["reason"], verdict["verdict"]) == (
            reason, "pass" if reason == "filed" else "block"), name
        at = {each["provider"]: each["reason"] for each in verdict["addresses"]}
        assert at == {"qcloud": qcloud, "bcloud": bcloud}, name
        assert [each["provider"] for each in verdict["addresses"]] == providers
        assert all(each["gated"] for each in verdict["addresses"])


def test_as_many_providers_as_there_may_be(make_page):
    providers = [f"cloud{i}" for i in range(256)]
    feed = HEADER + "".join(f"all.cn,{each},filed,{NUMBER},,,,\n" for each in providers)
    feed += f"last.cn,cloud0,filed,{NUMBER},,,,\nlast.cn,cloud255,pending,,,,,\n"
    page = make_page(feed=feed, policy={"providers": providers})
    assert code(page, "all.cn") == "filed"
    assert code(page, "last.cn") == "pending"


@pytest.mark.parametrize("policy", [
    MAINLAND,
    # Without a path to it no address has a provider, whatever else is said of them.
    MAINLAND | {"providers": BOTH},
])
def test_addresses_without_a_provider(make_page, policy):
    page = make_page(feed=FEED, policy=policy)
    for name, reason in {"first.cn": "filed", "other.cn": "filed", "waits.cn": "filed",
                         "gone.cn": "filed", "new.cn": "pending", "nobody.cn": "unfiled"}.items():
        assert code(page, name) == reason, name


def test_every_provider_of_the_mainland(make_page):
    page = make_page(feed=FEED, policy={"scope": "mainland", "providers": BOTH})
    for name, (_, _, reason) in CASES.items():
        assert code(page, name) == reason, name


def test_a_reload_takes_the_providers(make_page):
    page = make_page(feed=FEED)
    assert code(page, "first.cn") == "filed"
    page.world.policy = {"providers": BOTH}
    page.world.configure()
    page.reload()
    assert code(page, "first.cn") == "filed-elsewhere"
