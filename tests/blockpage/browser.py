# SPDX-License-Identifier: BSD-3-Clause
"""Headless Chromium, in which pages of any host are those of a server here."""

import base64
import json
import os
import subprocess
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from harness import find_program

ROOT = Path(__file__).resolve().parents[2]
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
SCHEMES = ["light", "dark"]


def axe_source():
    """The text of axe-core; ICP_AXE names its file, else tools/get-axe does."""
    given = os.environ.get("ICP_AXE") or subprocess.run(
        [ROOT / "tools" / "get-axe"], capture_output=True, encoding="utf-8", check=True).stdout.strip()
    return Path(given).read_text(encoding="utf-8")


class Browser:
    """One window. Nothing is asked of any other server than that of the rules."""

    def __init__(self, directory, rules):
        options = Options()
        options.binary_location = str(find_program("ICP_CHROMIUM", "chromium"))
        for argument in (
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--disable-extensions", "--disable-background-networking", "--no-first-run",
                "--disable-component-update", "--disable-sync", "--hide-scrollbars",
                "--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable",
                f"--user-data-dir={directory}/profile", f"--host-resolver-rules={rules}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = Service(str(find_program("ICP_CHROMEDRIVER", "chromedriver")),
                          log_path=str(directory / "chromedriver.log"))
        self.driver = webdriver.Chrome(service=service, options=options)
        self.driver.set_page_load_timeout(30)
        self.axe = axe_source()

    def close(self):
        self.driver.quit()

    def command(self, name, **parameters):
        return self.driver.execute_cdp_cmd(name, parameters)

    def look(self, size, scheme):
        width, height = SIZES[size]
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=2 if size == "phone" else 1, mobile=size == "phone")
        self.command("Emulation.setEmulatedMedia",
                     features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url):
        self.driver.get(url)

    def script(self, text, *arguments):
        return self.driver.execute_script(text, *arguments)

    def console(self):
        """What the console shows, but for the page's own status, which is always 451."""
        return [each for each in self.driver.get_log("browser")
                if "the server responded with a status of 451" not in each["message"]]

    def scrolls_sideways(self):
        """Also what a box cuts off."""
        return self.script(
            "return document.documentElement.scrollWidth > window.innerWidth ||"
            " [...document.body.querySelectorAll('*')]"
            ".some(e => e.getBoundingClientRect().right > window.innerWidth + 1)")

    def violations(self):
        """What axe-core finds, its rules with the elements that break them."""
        if not self.script("return typeof axe !== 'undefined'"):
            self.script(self.axe + "; window.axe = axe")
        found = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            "axe.run().then(r => done({violations: r.violations, passes: r.passes.length}),"
            " e => done({error: String(e)}))")
        assert "error" not in found, found
        assert found["passes"] > 10
        return [(each["id"], each["help"], [node["html"] for node in each["nodes"]])
                for each in found["violations"]]

    def screenshot(self, path):
        got = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(got["data"]))

    def requests(self):
        """What the page has loaded beside itself."""
        return json.loads(self.script(
            "return JSON.stringify(performance.getEntriesByType('resource').map(e => e.name))"))
