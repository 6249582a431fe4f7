# SPDX-License-Identifier: BSD-3-Clause
"""Every case in both languages over HTTP: what it says, and under which headers."""

import base64
import hashlib
import html.parser
import json
import re
from urllib.parse import quote

import pytest

from pages import (BLOCKED, BLOCKED_BY, CONTACT_URL, FILE_URL, HEADINGS, HOSTS, ICPGATE, NUMBER,
                   TRANSFER_URL, heading, run)

LANGUAGES = ["zh", "en"]
TAGS = {"zh": "zh-CN", "en": "en"}
LINKS = {"unfiled": FILE_URL, "deregistered": FILE_URL, "filed-elsewhere": TRANSFER_URL,
         "transfer-expired": TRANSFER_URL, "transfer-cancelled": TRANSFER_URL}


class Reader(html.parser.HTMLParser):
    """What a browser makes of a page: its text, and the attributes of its elements."""

    def __init__(self, page):
        super().__init__()
        self.words = []
        self.elements = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag, attribute):
        return [found[attribute] for name, found in self.elements
                if name == tag and attribute in found]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reason", HOSTS)
def test_each_case_in_each_language(page, reason, language):
    answer = page.ask(HOSTS[reason], f"/any/path?x=1&lang={language}")
    reader = Reader(answer.text)
    assert answer.status == 451
    assert answer.reason == "Unavailable For Legal Reasons"
    assert HEADINGS[reason][LANGUAGES.index(language)] in heading(answer.text)
    assert reader.all("html", "lang") == [TAGS[language]]
    assert HOSTS[reason] in reader.text
    assert f"<code>{reason}</code>" in answer.text
    covering = HOSTS[reason].removeprefix("www.")
    assert (f"<dd><bdi>{covering}</bdi></dd>" in answer.text) == (reason != "unfiled")
    assert {"zh": "示例云", "en": "Example Cloud"}[language] in reader.text
    links = [link for link in reader.all("a", "href") if not link.startswith("?")]
    assert links == ([LINKS[reason]] if reason in LINKS else []) + [CONTACT_URL]
    assert "{{" not in answer.text and "}}" not in answer.text


def test_a_term_of_its_own(page):
    """A transfer's row may bear another one than the 45 days that are the rule."""
    host = HOSTS["transfer-expired"]
    assert "within the time allowed (45 days as a rule)" in page.ask(host, "/?lang=en").text
    assert "规定期限（一般为 45 天）" in page.ask(host, "/?lang=zh").text


def test_headers(page):
    answer = page.ask("www.nobody.cn")
    assert answer.headers.pop("date")
    policy = answer.headers.pop("content-security-policy")
    style = re.search(r"<style>(.*?)</style>", answer.text, re.S)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
                      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
    assert answer.headers == {
        "content-type": "text/html; charset=utf-8",
        "content-length": str(len(answer.octets)),
        "content-language": "zh-CN",
        "vary": "Accept-Language",
        "link": f'<{BLOCKED_BY}>; rel="blocked-by"',
        "cache-control": "max-age=45",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }


@pytest.mark.parametrize("options, link", [
    ({"blocked_by": None}, FILE_URL),
    ({"blocked_by": None, "file_url": None}, TRANSFER_URL),
    ({"blocked_by": None, "file_url": None, "transfer_url": None}, "http://203.0.113.80/"),
])
def test_who_blocks_is_always_said(make_page, options, link):
    assert make_page(**options).ask().headers["link"] == f'<{link}>; rel="blocked-by"'


def test_without_links_and_names(make_page):
    none = dict.fromkeys(
        ["provider_name", "file_url", "transfer_url", "contact_url", "blocked_by"])
    server = make_page(**none)
    for reason in HOSTS:
        for language in LANGUAGES:
            text = server.ask(HOSTS[reason], f"/?lang={language}").text
            assert Reader(text).all("a", "href") == ["?lang=" + ("en" if language == "zh" else "zh")]
            assert "<p class=\"links\">" not in text


def test_what_is_permitted_is_not_cached(page):
    answer = page.ask(HOSTS["filed"], "/?lang=en")
    assert answer.headers["cache-control"] == "no-store"
    assert "up to 45 seconds" in answer.text
    assert "<code>filed</code>" in answer.text


def test_the_page_is_self_contained(page):
    for language in LANGUAGES:
        answer = page.ask(HOSTS["unfiled"], f"/?lang={language}")
        reader = Reader(answer.text)
        tags = {tag for tag, _ in reader.elements}
        assert not tags & {"script", "img", "iframe", "object", "form", "embed", "base"}
        assert reader.all("link", "href") == ["data:,"]
        assert "url(" not in answer.text and "@import" not in answer.text
        assert not any(name.startswith("on") for _, found in reader.elements for name in found)
        assert {"header", "main", "footer", "nav", "h1", "h2"} <= tags
        assert 'name="viewport" content="width=device-width' in answer.text


@pytest.mark.parametrize("accept, language", [
    (None, "zh"), ("en-GB,en;q=0.9,zh;q=0.8", "en"), ("zh-TW,zh;q=0.9,en;q=0.8", "zh"),
    ("fr", "zh"), ("*", "zh"), ("en;q=0.1", "en"), ("zh;q=0, *", "en"), ("\xff;q=\xfe", "zh"),
])
def test_the_language_is_negotiated(page, accept, language):
    answer = page.ask(**({} if accept is None else {"Accept_Language": accept.encode("latin-1")}))
    assert answer.headers["content-language"] == TAGS[language]
    assert answer.headers["vary"] == "Accept-Language"
    # The switch goes before it, without a cookie or a script.
    other = "en" if language == "zh" else "zh"
    assert f'<a href="?lang={other}"' in answer.text
    switched = page.ask(path=f"/?lang={other}", Accept_Language=language)
    assert switched.headers["content-language"] == TAGS[other]


@pytest.mark.parametrize("host, heading_zh, code", [
    ("203.0.113.80", "提示页面的地址", "address"),
    ("[2001:db8::80]:80", "提示页面的地址", "address"),
    ("", "没有指明", "no-name"),
    (None, "没有指明", "no-name"),
    ("a..b", "域名无效", "bad-name"),
    ("x" * 70 + ".cn", "域名无效", "bad-name"),
    ("<script>alert(1)</script>", "域名无效", "bad-name"),
    ("\"><img src=x onerror=alert(1)>", "域名无效", "bad-name"),
    ("{{host}}.cn", "域名无效", "bad-name"),
    ("%s%n.cn", "域名无效", "bad-name"),
    (b"\xff\xfe\xfd", "域名无效", "bad-name"),
    ("‮.cn", "域名无效", "bad-name"),
    ("../../etc/passwd", "域名无效", "bad-name"),
])
def test_hosts_that_are_no_names(page, host, heading_zh, code):
    answer = page.ask(host)
    assert answer.status == 451
    assert heading_zh in heading(answer.text)
    assert f"<code>{code}</code>" in answer.text
    # What was sent is not shown.
    tags = {tag for tag, _ in Reader(answer.text).elements}
    assert not tags & {"script", "img"}
    for piece in ("alert(1)", "passwd", "{{", "%n", "xxxxxxxxxx", "‮"):
        assert piece not in answer.text


def test_names_of_every_form(page):
    for host in ("WWW.Elsewhere.CN", "www.elsewhere.cn.", "www.elsewhere.cn:8080",
                 "www.elsewhere.cn:", "a.b.c.d.elsewhere.cn", "www.elsewhere.cn:80 "):
        answer = page.ask(host)
        assert "<code>filed-elsewhere</code>" in answer.text, host
        assert "<dd><bdi>elsewhere.cn</bdi></dd>" in answer.text, host


def test_international_names_are_shown_as_people_write_them(page):
    for host in ("www.例子.中国", "www.xn--fsqu00a.xn--fiqs8s", "WWW.例子。中国"):
        text = page.ask(host).text
        assert '<p class="host"><bdi>www.例子.中国</bdi></p>' in text
        assert "<dd><bdi>www.xn--fsqu00a.xn--fiqs8s</bdi></dd>" in text
        assert "<code>pending</code>" in text
    # One that is no A-label is shown as it is.
    assert "<bdi>xn--0.cn</bdi>" in page.ask("xn--0.cn").text


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_any_method_gets_the_page(page, method):
    answer = page.ask(HOSTS["pending"], method=method)
    assert answer.status == 451
    assert "<code>pending</code>" in answer.text
    assert answer.headers["connection"] == "close"


def test_head_has_the_length_of_the_page(page):
    whole = page.ask(HOSTS["pending"])
    head = page.ask(HOSTS["pending"], method="HEAD")
    assert head.status == 451
    assert head.octets == b""
    assert head.headers.pop("date") and whole.headers.pop("date")
    assert head.headers == whole.headers


def test_no_client_address_is_told_or_logged(page):
    for path in ("/", "/api/v1/verdict?name=a.cn"):
        answer = page.ask("a.cn", path, X_Forwarded_For="198.51.100.7", Forwarded="for=198.51.100.7")
        assert "127.0.0.1" not in answer.text and "198.51.100.7" not in answer.text
        assert "127.0.0.1" not in str(answer.headers)
    assert "127.0.0.1" not in page.log and "198.51.100.7" not in page.log


def verdict(page, name):
    answer = page.ask("any.cn", f"/api/v1/verdict?name={name}")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def test_the_api_gives_the_object_of_icpgate_lookup(page):
    # The command needs a range database, even where no address is given.
    ranges = page.world.directory / "ranges.csv"
    ranges.write_text("prefix,country,provider\n192.0.2.0/24,CN,qcloud\n", encoding="utf-8")
    assert run(ICPGATE, "ranges", ranges, page.world.directory / "none.mmdb").returncode == 0
    for name in [*HOSTS.values(), "例子.中国", "cn", "x.y.z.filed.cn"]:
        got = verdict(page, quote(name))
        want = json.loads(run(ICPGATE, "-c", page.world.conf, "lookup", "--json", "--at",
                              got["at"], name).stdout)
        assert got == want and list(got) == list(want)
    (page.world.directory / "none.mmdb").unlink()


@pytest.mark.parametrize("reason", HOSTS)
def test_page_and_api_agree(page, reason):
    got = verdict(page, HOSTS[reason])
    assert got["reason"] == reason
    assert got["verdict"] == ("pass" if reason not in BLOCKED else "block")


def test_the_api_refuses_what_is_no_name(page):
    for query in ("", "?name=", "?name=a..b", "?name=%00", "?name=%ff", "?name=" + "a" * 5000, "?n=a"):
        answer = page.ask(path="/api/v1/verdict" + query)
        assert answer.status == 400
        assert answer.json() == {"error": "name: not a domain name"}


def test_the_api_has_one_path(page):
    for path in ("/api/v1/verdict/", "/api/v1/verdicts?name=a.cn", "/api/v1", "//api/v1/verdict"):
        assert page.ask(path=path).status == 451
    assert page.ask(path="/api/v1/verdict?name=a.cn", method="POST").status == 451


def test_the_api_is_closed_unless_it_is_opened(make_page):
    server = make_page()
    answer = server.ask("www.nobody.cn", "/api/v1/verdict?name=filed.cn")
    assert answer.status == 451 and "<h1>" in answer.text


def test_the_api_has_a_rate(make_page):
    server = make_page(api="any", api_rate=3)
    # At once, so that no second passes.
    request = b"GET /api/v1/verdict?name=a.cn HTTP/1.1\r\nHost: a.cn\r\n"
    octets = server.raw((request + b"\r\n") * 11 + request + b"Connection: close\r\n\r\n")
    first, *answers = octets.split(b"HTTP/1.1 ")[1:]
    busy = [each for each in answers if each.startswith(b"429 ")]
    assert len(answers) == 11 and len(busy) >= 3, octets
    assert first.startswith(b"200 ")
    assert b"\r\nretry-after: 1\r\n" in busy[0].lower()
    assert json.loads(busy[0].partition(b"\r\n\r\n")[2]) == {"error": "too many requests"}
    # The page has none.
    assert server.ask().status == 451


def test_rows_hold_their_numbers(page):
    rows = verdict(page, "elsewhere.cn")["rows"]
    assert rows == [{"domain": "elsewhere.cn", "provider": "acloud", "status": "filed",
                     "number": NUMBER}]
