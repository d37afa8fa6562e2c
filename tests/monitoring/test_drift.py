"""What deploy/ says of the server's metrics is what the server exports."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from app.runtime.server_settings import ServerSettings
from deploy import monitoring
from tests.monitoring.dashboard_linter import expanded
from tests.monitoring.exported import Exported, exported, problems
from tests.support.servers.process import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"

RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(monitoring.rules())["groups"] for rule in group["rules"]
]
RECORDED = {rule["record"]: rule["expr"] for rule in RULES if "record" in rule}


def test_prometheus_scrapes_the_default_port_and_reads_the_rules_beside_it() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    [port] = {address.port for address in ServerSettings().metrics_listen}
    [job] = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"localhost:{port}"]}]
    assert monitoring.defaults()["selector"] == f'job="{job["job_name"]}"'
    for name in config["rule_files"]:
        assert (PROMETHEUS / name).exists()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    with exported(tmp_path_factory.mktemp("exported")) as found:
        yield found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_what_a_rule_selects_is_exported_before_any_call(rule: dict[str, Any], known: Exported) -> None:
    """A rate has a first value only if the series is there before it rises."""
    assert problems(rule["expr"], known, RECORDED) == []


QUERIES = {
    f"{board.name}: {panel.title} ({number})": query.expr
    for board in monitoring.boards()
    for row in board.rows
    for panel in row.panels
    for number, query in enumerate(panel.queries)
}


@pytest.mark.parametrize("name", QUERIES)
def test_what_a_panel_selects_is_exported(name: str, known: Exported) -> None:
    assert problems(expanded(QUERIES[name]), known, RECORDED) == []


def test_the_variables_of_a_dashboard_choose_from_what_is_exported(known: Exported) -> None:
    for board in monitoring.boards():
        samples = known[board.metric]
        assert {"grpc_service", "grpc_method"} <= samples[0].keys()


@pytest.mark.parametrize(
    ("expression", "problem"),
    [
        ("grpc_server_handled", "no metric grpc_server_handled"),
        ('grpc_server_handled_total{code="OK"}', "grpc_server_handled_total has no label code"),
        ('grpc_server_handled_total{grpc_code="NOT_FOUND"}', "has no grpc_code 'NOT_FOUND'"),
        ('grpc_server_handled_total{grpc_code!~"OK|Cancelled"}', "has no grpc_code 'Cancelled'"),
        ("sum by (grpc_methods) (grpc_server_in_flight)", "no label grpc_methods to group by"),
    ],
)
def test_what_is_not_exported_is_found(expression: str, problem: str, known: Exported) -> None:
    assert any(one.endswith(problem) for one in problems(expression, known, RECORDED))
