"""The chart's rules are those of deploy/prometheus/, with its values, for one release."""

import json
from typing import Any

import pytest
import yaml

from app.core.name import NAME
from app.telemetry.metric_names import BUCKETS
from deploy import monitoring
from deploy.prometheus.model import Alert
from tests.chart.chart import refusal, rendered
from tests.chart.examples import EXAMPLES
from tests.docs.pages import Page
from tests.support.servers.process import ROOT

SELECTOR = f'namespace="here",job="{NAME}"'


def groups(values: dict[str, Any], release: str = NAME) -> list[dict[str, Any]]:
    rules = {"prometheusRule": {"enabled": True} | values}
    objects = rendered(rules, release=release)
    [found] = [one for one in objects.values() if one["kind"] == "PrometheusRule"]
    spec: list[dict[str, Any]] = found["spec"]["groups"]
    return spec


def written(**parameters: str) -> Any:
    return yaml.safe_load(monitoring.rules(monitoring.defaults() | parameters))["groups"]


def test_the_default_rules_are_those_of_the_file_for_this_release() -> None:
    assert groups({}) == written(selector=SELECTOR)


def test_without_the_value_there_are_none() -> None:
    assert f"PrometheusRule/{NAME}" not in rendered()


def test_the_rules_of_a_release_select_its_own_metrics() -> None:
    assert groups({}, "second") == written(selector=f'namespace="here",job="second-{NAME}"')
    assert groups({"job": "pods"}) == written(selector='namespace="here",job="pods"')


@pytest.mark.parametrize(
    ("value", "given", "parameter", "text"),
    [
        ("availability", 0.9995, "availability", "0.9995"),
        ("latency", 0.95, "latency", "0.95"),
        ("latencySeconds", "1.0", "seconds", "1.0"),
        ("minimumFaults", 20, "faults", "20"),
        ("saturation", 0.5, "saturation", "0.5"),
        ("imbalance", 3, "imbalance", "3"),
        ("certificateDays", 30, "days", "30"),
        ("runbookUrl", "https://docs.example/runbook", "runbook", "https://docs.example/runbook"),
    ],
)
def test_each_value_is_in_the_rules(value: str, given: object, parameter: str, text: str) -> None:
    assert groups({value: given}) == written(selector=SELECTOR, **{parameter: text})
    assert groups({value: given}) != groups({})


@pytest.mark.parametrize("bucket", BUCKETS)
def test_the_objective_of_latency_may_be_any_bucket(bucket: float) -> None:
    assert groups({"latencySeconds": str(float(bucket))})


@pytest.mark.parametrize("seconds", ["0.3", "1", "0.2500", "+Inf"])
def test_the_objective_of_latency_must_be_a_bucket(seconds: str) -> None:
    wrong = {"prometheusRule": {"enabled": True, "latencySeconds": seconds}}
    assert "latencySeconds" in refusal(wrong)


def test_every_parameter_has_a_value_of_the_chart() -> None:
    assert set(monitoring.defaults()) == {"selector", *monitoring.VALUES}


@pytest.mark.parametrize("alert", monitoring.alerts(), ids=lambda alert: alert.name)
def test_an_alert_can_be_left_out(alert: Alert) -> None:
    def names(found: list[dict[str, Any]]) -> set[str]:
        return {rule.get("alert") or rule["record"] for group in found for rule in group["rules"]}

    assert names(groups({})) - names(groups({"disabledAlerts": [alert.name]})) == {alert.name}


def test_the_autoscaler_of_the_example_asks_for_the_metric_of_the_adapter() -> None:
    objects = rendered(EXAMPLES["Autoscaling by calls in flight"])
    metrics = objects[f"HorizontalPodAutoscaler/{NAME}"]["spec"]["metrics"]
    assert [one["type"] for one in metrics] == ["Resource", "Pods"]
    [rule] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "adapter.yml").read_text())["rules"]
    assert metrics[1]["pods"]["metric"]["name"] == rule["name"]["as"]
    records = {one.get("record") for group in groups({}) for one in group["rules"]}
    assert rule["seriesQuery"].partition("{")[0] in records
    documented = next(block for block in Page("docs/monitoring.md").blocks if "autoscaling:" in block.text)
    assert yaml.safe_load(documented.text)["autoscaling"]["metrics"] == metrics


def dashboards(values: dict[str, Any]) -> dict[str, Any]:
    objects = rendered({"dashboards": {"enabled": True} | values})
    return {name: one for name, one in objects.items() if name.startswith("ConfigMap/")}


def test_the_dashboards_are_config_maps_that_the_sidecar_of_grafana_loads() -> None:
    found = dashboards({"annotations": {"grafana_folder": "Services"}})
    boards = {one.name: one for one in monitoring.boards()}
    assert found.keys() == {f"ConfigMap/{NAME}-dashboard-{name}" for name in boards}
    for name, board in boards.items():
        one = found[f"ConfigMap/{NAME}-dashboard-{name}"]
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert one["metadata"]["annotations"] == {"grafana_folder": "Services"}
        assert one["data"].keys() == {f"{NAME}-{name}.json"}
        assert json.loads(one["data"][f"{NAME}-{name}.json"]) == monitoring.loaded(board)


def test_the_sidecar_may_look_for_another_label() -> None:
    for one in dashboards({"labels": {"grafana_dashboard": None, "dashboards": "here"}}).values():
        assert one["metadata"]["labels"]["dashboards"] == "here"
        assert "grafana_dashboard" not in one["metadata"]["labels"]


def test_without_the_value_there_are_no_dashboards() -> None:
    assert not [name for name in rendered() if "dashboard" in name]


@pytest.mark.parametrize("monitor", ["serviceMonitor", "podMonitor"])
@pytest.mark.parametrize("kind", ["ClusterIP", "LoadBalancer"])
def test_scraped_metrics_have_the_label_that_the_rules_select_by(monitor: str, kind: str) -> None:
    values = {monitor: {"enabled": True}, "service": {"type": kind}}
    objects = rendered(values, release="second")
    [found] = [one for one in objects.values() if one["kind"].lower() == monitor.lower()]
    [endpoint] = found["spec"].get("endpoints") or found["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": f"second-{NAME}"}]
