# SPDX-License-Identifier: BSD-3-Clause
"""Metrics of a real resolver, as promtool and Prometheus see them; dashboard and alert rules."""

import json
import re
from contextlib import ExitStack

import pytest
import yaml

import monitoring
from harness import free_port, start, wait_until
from feeds import Row
from gate_daemon import state_of, upsert
from http_alone import HttpAlone, fetch, samples
from site_daemon import SiteDaemon
from world import ABROAD, BLOCK4, OURS, THEIRS, Site, addresses, row

CN = [
    f"filed A {OURS}",
    f"unfiled A {OURS}",
    f"abroad A {ABROAD}",
    f"pending A {OURS}",
    "mail MX 10 unfiled",
    f"theirs A {THEIRS}",
]
PENDING = Row("pending.cn", "qcloud", "pending", "")
ROWS = {**state_of("filed.cn", "first.cn"), PENDING.key: PENDING}
DEADLINE = 60
QUERIES = 200


class Scraped:
    """A resolver that answered, and a daemon that loaded what it goes by."""

    def __init__(self, gate, port):
        self.gate = gate
        self.world = gate.world
        self.port = port

    def text(self):
        status, _, body = fetch(self.port)
        assert status == 200
        return body

    def samples(self):
        return samples(self.text())


@pytest.fixture(name="scraped", scope="module")
def a_scraped_world(start_world):
    port = free_port()
    lines = ["minimal-responses: no", "prefetch: no"]
    with ExitStack() as stack:
        # The resolver counts in a file of the store, which has to be there.
        world = stack.enter_context(start_world(cn=CN, rows=[row("old.cn")], server_lines=lines))
        gate = SiteDaemon(world.site)
        gate.world = world
        stack.callback(gate.close)
        gate.configure(http=f"127.0.0.1:{port}")
        gate.start()
        gate.ends_in("done", gate.full(ROWS, 1))
        gate.ends_in("done", gate.delta(upsert("second.cn"), 2))
        made = Scraped(gate, port)
        assert addresses(world.ask("filed.cn")) == [OURS]
        # The first judgement of a thread is timed.
        assert made.samples()["icpgate_judgement_duration_seconds_count"] == 1
        assert addresses(world.ask("abroad.cn")) == [ABROAD]
        for _ in range(QUERIES):
            assert addresses(world.ask("unfiled.cn")) == [BLOCK4]
        assert addresses(world.ask("pending.cn")) == [BLOCK4]
        assert not world.ask("mail.cn", "MX").additional
        yield made


def test_what_the_resolver_did_is_told(scraped):
    found = scraped.samples()
    assert found['icpgate_judgements_total{verdict="pass",reason="filed"}'] >= 1
    assert found['icpgate_judgements_total{verdict="pass",reason="not-gated"}'] >= 1
    assert found['icpgate_judgements_total{verdict="block",reason="unfiled"}'] == QUERIES
    assert found['icpgate_judgements_total{verdict="block",reason="pending"}'] == 1
    assert found['icpgate_answers_total{result="blocked"}'] == QUERIES + 1
    assert found["icpgate_additional_records_removed_total"] == 1
    assert found["icpgate_resolver_counting"] == 1
    assert found['icpgate_resolver_info{mode="enforce"}'] == 1
    assert found["icpgate_resolver_generation"] == found["icpgate_store_generation"] == 2
    assert found["icpgate_store_rows"] == len(ROWS) + 1
    # The resolver's threads.
    assert found["icpgate_store_readers"] >= 1


def test_what_the_daemon_did_is_told(scraped):
    found = scraped.samples()
    loads = {name: value for name, value in found.items() if "loads_total" in name and value}
    assert loads == {'icpgate_loads_total{kind="full",outcome="done"}': 1,
                     'icpgate_loads_total{kind="delta",outcome="done"}': 1}
    assert found['icpgate_last_load_info{kind="delta",outcome="done"}'] == 1
    assert found["icpgate_last_load_sequence"] == 2
    assert 0 < found["icpgate_last_load_duration_seconds"] < 60
    assert found["icpgate_last_load_start_time_seconds"] > found["icpgate_daemon_start_time_seconds"] - 1
    assert found["icpgate_store_sequence"] == 2 and found["icpgate_store_full_sequence"] == 1
    assert found["icpgate_spool_feeds"] == 0
    name = scraped.gate.delta(upsert("fourth.cn"), 4)
    wait_until(lambda: scraped.samples()["icpgate_spool_feeds_waiting"] == 1, DEADLINE,
               "a delta waits")
    assert fetch(scraped.port, "/healthz")[0] == 200
    scraped.gate.delta(upsert("third.cn"), 3)
    scraped.gate.ends_in("done", name)
    assert scraped.samples()["icpgate_store_sequence"] == 4
    assert scraped.samples()["icpgate_spool_feeds_waiting"] == 0


def test_the_two_statuses_of_the_daemon_agree(scraped):
    over_http = json.loads(fetch(scraped.port, "/status")[2])
    over_socket = scraped.gate.status()
    for key in ("version", "started", "loads", "last", "follow"):
        assert over_http["daemon"][key] == over_socket[key], key
    for key in ("generation", "sequence", "base", "rows", "as_of"):
        assert over_http["store"][key] == over_socket["store"][key], key


def test_judgements_are_timed(scraped):
    """One in 61 of all that are counted, in the module, with a real clock."""
    found = scraped.samples()
    judged = sum(value for name, value in found.items()
                 if name.startswith("icpgate_judgements_total"))
    timed = found["icpgate_judgement_duration_seconds_count"]
    # One thread, whose first judgement is timed.
    assert timed == -(-judged // 61)
    assert found['icpgate_judgement_duration_seconds_bucket{le="+Inf"}'] == timed
    # What a judgement takes lies between a few instructions and what a test waits for.
    assert 1e-8 * timed < found["icpgate_judgement_duration_seconds_sum"] < 5 * timed
    buckets = [value for name, value in found.items() if "_bucket" in name]
    assert len(buckets) == 17 and buckets == sorted(buckets)
    site = scraped.world.site
    told = json.loads(site.commands.run(site.commands.icpgate, "-c", site.conf, "stat",
                                        "--json").stdout)["judgement_nanoseconds"]
    assert told["timed"] == timed
    assert told["sum"] / 1e9 == pytest.approx(
        found["icpgate_judgement_duration_seconds_sum"])


def test_lease_renewals(scraped):
    def renewed():
        assert addresses(scraped.world.ask("filed.cn")) == [OURS]
        return scraped.samples()["icpgate_lease_renewals_total"] >= 1

    wait_until(renewed, DEADLINE, "a lease is renewed")


def test_no_client_and_no_name_is_told(scraped):
    text = scraped.text()
    assert "unfiled.cn" not in text and "filed.cn" not in text and "127.0.0" not in text
    # Labels that may hold no more than what is known beforehand.
    assert set(re.findall(r'(\w+)="', text)) == {
        "verdict", "reason", "result", "kind", "outcome", "state", "mode", "version", "problem",
        "le"}


def test_each_metric_is_in_the_manual(scraped):
    manual = (monitoring.ROOT / "doc" / "icpgate-metrics.7").read_text(encoding="utf-8")
    told = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b|\bproblem\b",
                          "\n".join(re.findall(r"^\.It Cm (.*)$", manual.replace("\\\n", ""),
                                               re.M))))
    there = {name.removeprefix("icpgate_") for name in monitoring.families_of(scraped.text())}
    assert there - told == set() and told - there == set()


def test_promtool_is_content_with_the_metrics(scraped):
    assert monitoring.run_promtool("check", "metrics", stdin=scraped.text()) == ""


def test_promtool_is_content_with_the_metrics_of_nothing(tmp_path, commands):
    """No store, no resolver, no load."""
    port = free_port()
    site = Site(commands, tmp_path, [], {"daemon": {"http": f"127.0.0.1:{port}"}})
    with HttpAlone(site.conf):
        _, _, text = fetch(port)
        assert monitoring.run_promtool("check", "metrics", stdin=text) == ""


# The rules.


def test_promtool_is_content_with_the_rules():
    said = monitoring.run_promtool("check", "rules", monitoring.RULES)
    assert f"{len(monitoring.alert_rules())} rules found" in said


def test_rules_raise_what_they_should():
    monitoring.run_promtool("test", "rules", monitoring.RULES_TEST)


def test_each_rule_is_tested():
    tests = monitoring.RULES_TEST.read_text(encoding="utf-8")
    for rule in monitoring.alert_rules():
        assert f'"{rule["alert"]}"' in tests or f"alertname: {rule['alert']}\n" in tests, rule


def test_rules_say_what_to_do():
    for rule in monitoring.alert_rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description"}
        assert "{{ $labels.instance }}" in rule["annotations"]["summary"]
        assert len(rule["annotations"]["description"]) > 50


# The dashboard.


def test_dashboard_queries_are_queries(tmp_path):
    """promtool reads them as rules that record them."""
    queries = monitoring.dashboard_queries()
    rules = [{"record": f"dashboard:query:{number}", "expr": expression}
             for number, expression in enumerate(queries.values())]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    said = monitoring.run_promtool("check", "rules", path)
    assert f"{len(queries)} rules found" in said and len(queries) > 30
    path.write_text(path.read_text().replace("sum by (instance)", "sum by (instance", 1))
    with pytest.raises(AssertionError):
        monitoring.run_promtool("check", "rules", path)


def test_each_metric_asked_for_is_there(scraped):
    there = monitoring.series_of(scraped.text())
    expressions = {**monitoring.dashboard_queries(),
                   **{rule["alert"]: rule["expr"] for rule in monitoring.alert_rules()}}
    for where, expression in expressions.items():
        names = monitoring.names_in(expression)
        assert names or expression.startswith("up{"), where
        assert names <= there, (where, names - there)


def test_labels_asked_for_are_there(scraped):
    """A misspelt value of a label would match nothing."""
    text = scraped.text()
    expressions = [*monitoring.dashboard_queries().values(),
                   *(rule["expr"] for rule in monitoring.alert_rules())]
    for expression in expressions:
        pairs = re.findall(r'(\w+)(?:=~|!~|=)"([^"]*)"', expression)
        for label, values in pairs:
            if label not in ("job", "instance"):
                for value in values.split("|"):
                    assert f'{label}="{value}"' in text, (expression, label, value)


def test_dashboard_is_one_that_people_understand():
    board = monitoring.dashboard()
    assert board["uid"] == "icpgate-gate" and board["schemaVersion"] >= 36 and "id" not in board
    kinds = {variable["name"]: variable["type"] for variable in board["templating"]["list"]}
    assert kinds == {"datasource": "datasource", "job": "query", "instance": "query"}
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    titles = [panel["title"] for panel in board["panels"]]
    assert len(set(titles)) == len(titles)
    taken = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    for panel in monitoring.panels():
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        for part in (panel, *panel["targets"]):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


# Prometheus itself.

# They show something only when there is something to show.
MAY_BE_EMPTY = {"Loads A", "New generation"}


def test_prometheus_scrapes_it_and_each_panel_shows_something(scraped, tmp_path):
    program = monitoring.prometheus_program()
    if program is None:
        pytest.skip("no prometheus beside promtool")
    with ExitStack() as stack:
        prometheus = start(stack, monitoring.Prometheus(tmp_path, scraped.port, program))
        wait_until(lambda: prometheus.query('up{job="icpgate"} == 1'), 60, "a scrape")
        queries = monitoring.dashboard_queries()
        missing = {}

        def all_show():
            missing.clear()
            scraped.world.ask("unfiled.cn")
            missing.update({where: expression for where, expression in queries.items()
                            if where not in MAY_BE_EMPTY and not prometheus.query(expression)})
            return not missing

        try:
            wait_until(all_show, 60, "each query gives something")
        except AssertionError as error:
            raise AssertionError(f"nothing for {missing}") from error
        for where in MAY_BE_EMPTY:
            prometheus.query(queries[where])
        groups = prometheus.fetch("api/v1/rules")["groups"]
        states = {rule["name"]: (rule["health"], rule["state"]) for group in groups
                  for rule in group["rules"]}
        assert set(states) == {rule["alert"] for rule in monitoring.alert_rules()}

        def evaluated():
            groups = prometheus.fetch("api/v1/rules")["groups"]
            return all(rule["health"] == "ok" for group in groups for rule in group["rules"])

        def raised():
            return {(alert["labels"]["alertname"], alert["state"])
                    for alert in prometheus.fetch("api/v1/alerts")["alerts"]}

        wait_until(evaluated, 60, "each rule is evaluated")
        # A scrape that took too long raises one, too.
        wait_until(lambda: not raised(), 60, "no alert")
        scraped.gate.ctl("pause")
        wait_until(lambda: ("IcpgatePaused", "pending") in raised(), 60, "an alert")
        scraped.gate.ctl("resume")
