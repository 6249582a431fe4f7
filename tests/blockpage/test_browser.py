# SPDX-License-Identifier: BSD-3-Clause
"""The pages as people see them: in Chromium, on a phone and on a desk, in light and dark. The
screenshots stay in "screenshots" under pytest's directory for temporary files."""

import contextlib

import pytest

from harness import start, wait_until
from pages import FEED, HOSTS, Page, World

pytest.importorskip("selenium", reason="python3-selenium is not installed")

from browser import SCHEMES, SIZES, Browser  # pylint: disable=wrong-import-position

LONG = ".".join(["a-name-that-is-as-long-as-a-label-may-be-" + "0123456789" * 2] * 3) + ".cn"
CASES = {
    **HOSTS,
    "international": "www.例子.中国",
    "long": LONG,
    "address": "198.51.100.80",
    "unreadable": "unreadable.test",
}


@pytest.fixture(scope="module")
def shots(tmp_path_factory):
    directory = tmp_path_factory.getbasetemp() / "screenshots"
    directory.mkdir(exist_ok=True)
    return directory


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        full = Page(World(tmp_path_factory.mktemp("full"), feed=FEED))
        start(stack, full)
        empty = Page(World(tmp_path_factory.mktemp("empty"), feed=None))
        start(stack, empty)
        rules = f"MAP *.test 127.0.0.1:{empty.port}, MAP * 127.0.0.1:{full.port}"
        made = Browser(tmp_path_factory.mktemp("browser"), rules)
        stack.callback(made.close)
        yield made


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("case", CASES)
def test_each_page(browser, shots, case, language, size):
    browser.look(size, "light")
    browser.open(f"http://{CASES[case]}/some/path?lang={language}")
    for scheme in SCHEMES:
        browser.look(size, scheme)
        assert browser.script("return document.documentElement.lang.slice(0, 2)") == language
        assert browser.script("return document.querySelectorAll('h1').length") == 1
        browser.screenshot(shots / f"{case}-{language}-{size}-{scheme}.png")
        assert not browser.scrolls_sideways()
        assert browser.violations() == []
    assert browser.requests() == []
    assert browser.console() == []


def test_the_switch_works_without_scripts(browser):
    browser.look("desktop", "light")
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(f"http://{HOSTS['pending']}/deep/path?lang=zh&a=b")
        for title in ("under review", "正在审核", "under review"):
            browser.driver.find_element("css selector", "nav a").click()
            wait_until(lambda: title in browser.driver.title, 20, title)  # pylint: disable=cell-var-from-loop
            assert browser.driver.current_url.startswith(f"http://{HOSTS['pending']}/deep/path?lang=")
    finally:
        browser.command("Emulation.setScriptExecutionDisabled", value=False)


LINES = """
const lines = [];
let top = null;
for (const walk = document.createTreeWalker(document.querySelector('h1'), NodeFilter.SHOW_TEXT);
     walk.nextNode();) {
  for (let i = 0; i < walk.currentNode.length; i++) {
    const range = document.createRange();
    range.setStart(walk.currentNode, i);
    range.setEnd(walk.currentNode, i + 1);
    const at = range.getBoundingClientRect().top;
    if (top === null || at > top + 8) lines.push('');
    top = at;
    lines[lines.length - 1] += range.toString();
  }
}
return lines"""


@pytest.mark.parametrize("case, lines", [
    ("filed-elsewhere", ["该网站尚未完成接入备案，", "暂时无法访问"]),
    ("transfer-expired", ["该网站的接入备案", "未在规定期限内完成"]),
    ("rectify-overdue", ["该网站的备案信息", "逾期未整改"]),
    ("licence-address-mismatch", ["该网站的地址", "与许可证登记的不一致"]),
    ("unreadable", ["目前无法查询", "该网站的备案状态"]),
])
def test_chinese_headings_break_between_phrases(browser, case, lines):
    browser.look("phone", "light")
    browser.open(f"http://{CASES[case]}/?lang=zh")
    assert browser.script(LINES) == lines


@pytest.mark.parametrize("size", SIZES)
def test_the_switch_ends_where_the_card_does(browser, size):
    browser.look(size, "light")
    browser.open(f"http://{HOSTS['pending']}/")
    assert browser.script(
        "const range = document.createRange();"
        "range.selectNodeContents(document.querySelector('nav a'));"
        "return range.getBoundingClientRect().right"
        " - document.querySelector('.card').getBoundingClientRect().right") == pytest.approx(0, abs=1)


def test_the_colours_follow_the_scheme(browser):
    browser.open(f"http://{HOSTS['pending']}/")
    grounds = []
    for scheme in SCHEMES:
        browser.look("desktop", scheme)
        grounds.append(browser.script("return getComputedStyle(document.body).backgroundColor"))
    assert grounds[0] != grounds[1]


def test_axe_and_the_policy_do_find_something(browser):
    """That the checks above can fail: contrast, sideways scrolling, a style that the policy forbids."""
    browser.look("phone", "light")
    browser.open(f"http://{HOSTS['pending']}/")
    browser.script("document.querySelector('h1').style.color = '#ddd';"
                   "document.querySelector('h1').style.minWidth = '2000px'")
    assert "color-contrast" in [rule for rule, _, _ in browser.violations()]
    assert browser.scrolls_sideways()
    browser.script("document.body.insertAdjacentHTML('beforeend', '<p style=\"color: red\">x</p>')")
    assert any("Content Security Policy" in each["message"] for each in browser.console())
