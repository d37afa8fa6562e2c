"""What deploy/ says of the server's metrics is what the server exports."""

import re
from itertools import product
from typing import Any

import pytest
import yaml

from app.runtime.server_settings import ServerSettings
from tests.support.servers.process import ROOT
from tests.support.servers.server import Server

PROMETHEUS = ROOT / "deploy" / "prometheus"


def loaded(name: str) -> Any:
    return yaml.safe_load((PROMETHEUS / name).read_text())


def test_prometheus_scrapes_the_default_port_and_reads_the_rules_beside_it() -> None:
    config = loaded("prometheus.yml")
    [port] = {address.port for address in ServerSettings().metrics_listen}
    assert config["scrape_configs"][0]["static_configs"] == [{"targets": [f"localhost:{port}"]}]
    for name in config["rule_files"]:
        assert (PROMETHEUS / name).exists()


RULES = [rule for group in loaded("alerts.yml")["groups"] for rule in group["rules"]]
# A metric with its matchers, as in `name{label="value"}`; and one of them.
SELECTOR = re.compile(r"\b(grpc_server_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)(=~|=)\"([^\"]*)\"")


def test_there_are_alerts_for_errors_refusals_and_latency() -> None:
    assert [rule["alert"] for rule in RULES] == ["GrpcServerErrors", "GrpcServerRefuses", "GrpcServerSlow"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_is_evaluated_where_it_fires_and_where_it_stays_quiet(rule: Any) -> None:
    """The cluster tests run `promtool test rules` on this file."""
    cases = [case for test in loaded("alerts_test.yml")["tests"] for case in test["alert_rule_test"]]
    firing = [bool(case.get("exp_alerts")) for case in cases if case["alertname"] == rule["alert"]]
    assert set(firing) == {True, False}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_each_series_that_an_alert_selects_is_exported_before_any_call(server: Server, rule: Any) -> None:
    """A rate has a first value only if the series is there before it rises."""
    selectors = SELECTOR.findall(rule["expr"])
    assert selectors
    for metric, matchers in selectors:
        samples = [labels for labels, _ in server.samples(metric)]
        assert samples, metric
        alternatives = [
            [(label, one) for one in values.split("|")] for label, _, values in MATCHER.findall(matchers)
        ]
        for wanted in product(*alternatives):
            assert [labels for labels in samples if dict(wanted).items() <= labels.items()], (metric, wanted)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_sums_by_labels_that_exist_and_names_no_others(server: Server, rule: Any) -> None:
    kept = {name for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for name in group.split(", ")}
    assert kept
    for metric, _ in SELECTOR.findall(rule["expr"]):
        assert all(kept <= labels.keys() for labels, _ in server.samples(metric))
    assert set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"])) <= kept
