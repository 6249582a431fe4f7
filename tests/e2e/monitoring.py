# SPDX-License-Identifier: BSD-3-Clause
"""promtool, Prometheus, and the expressions that the dashboard and the alert rules are made of."""

import json
import os
import re
import shutil
import subprocess
import urllib.parse
import urllib.request
from pathlib import Path

import yaml

from harness import Server, free_port, wait_until

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = ROOT / "conf" / "grafana" / "icpgate.json"
RULES = ROOT / "conf" / "prometheus" / "icpgate.rules.yml"
RULES_TEST = ROOT / "tests" / "tools" / "icpgate.rules.test.yml"
START_SECONDS = 60
# What Grafana puts in place of its variables.
VARIABLES = {"$job": "icpgate", "$instance": ".*", "$__rate_interval": "1m"}


def promtool():
    """ICP_PROMTOOL, or the one in PATH, or else Debian's, unpacked into .deps/."""
    found = os.environ.get("ICP_PROMTOOL") or shutil.which("promtool")
    if found:
        return found
    done = subprocess.run([ROOT / "tools" / "get-promtool"], capture_output=True,
                          encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def run_promtool(*arguments, stdin=""):
    """What it says; it must be content."""
    done = subprocess.run([promtool(), *map(str, arguments)], input=stdin, capture_output=True,
                          encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def dashboard():
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def panels():
    """Those that show something."""
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def filled_in(expression):
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, expression
    return expression


def dashboard_queries():
    """{where it stands: expression}"""
    found = {f"{panel['title']} {target['refId']}": filled_in(target["expr"])
             for panel in panels() for target in panel["targets"]}
    for annotation in dashboard()["annotations"]["list"]:
        if "expr" in annotation:
            found[annotation["name"]] = filled_in(annotation["expr"])
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            series = re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"])[1]
            found[f"variable {variable['name']}"] = filled_in(series)
    return found


def alert_rules():
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def names_in(expression):
    """Names of our metrics in an expression."""
    return set(re.findall(r"\bicpgate_\w+", expression))


def families_of(scrape):
    """{name: type} of a scrape."""
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", scrape, re.M))


def series_of(scrape):
    """Names that can be asked for."""
    return set(re.findall(r"^(icpgate_\w+)", scrape, re.M))


class Prometheus(Server):
    """A real one, that scrapes one port every two seconds, which is what a scrape may take, and knows our
    rules."""

    def __init__(self, directory, target, program):
        self.address = "127.0.0.1"
        self.port = free_port()
        conf = directory / "prometheus.yml"
        conf.write_text(yaml.safe_dump({
            "global": {"scrape_interval": "2s", "evaluation_interval": "1s"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "icpgate",
                                "static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}],
        }))
        super().__init__(directory, "prometheus", [
            program, f"--config.file={conf}", f"--storage.tsdb.path={directory}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"])

    def fetch(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=30) as answer:
            return json.load(answer)["data"] if path.startswith("api/") else answer.read()

    def query(self, expression):
        return self.fetch("api/v1/query", query=expression)["result"]

    def wait_ready(self):
        def is_ready():
            assert self.is_running(), self.log[-3000:]
            try:
                return self.fetch("-/ready")
            except OSError:
                return None

        wait_until(is_ready, START_SECONDS, "prometheus is ready")


def prometheus_program():
    """The server that came with promtool, or None."""
    beside = Path(promtool()).with_name("prometheus")
    return beside if os.access(beside, os.X_OK) else None
