"""Rules of Prometheus do what their alerts are for, by `promtool test rules`."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.name import NAME
from deploy import monitoring
from tests.monitoring import cases
from tests.monitoring.promql import selectors
from tests.monitoring.promtool import Scenario, check, evaluate

# The scenarios, with the seconds between evaluations: those of days are evaluated less often.
SCENARIOS = {
    "outages": (cases.outages(), 30),
    "instances": (cases.instances(), 30),
    "quiet": (cases.quiet(), 30),
    "long": (cases.long(), 900),
    "week": (cases.week(), 600),
}
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(monitoring.rules())["groups"] for rule in group["rules"]
]
AS_THEY_SAY: set[str] = set()  # scenarios that were evaluated with the rules that they require
NAMES = [rule.get("alert") or rule["record"] for rule in RULES]


@pytest.mark.parametrize("kind", SCENARIOS)
@pytest.mark.timeout(180)
def test_exactly_the_right_alerts_fire_and_in_time(kind: str, tmp_path: Path) -> None:
    scenarios, interval = SCENARIOS[kind]
    done = evaluate(tmp_path, monitoring.rules(), scenarios, interval)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_the_rules_and_the_configuration() -> None:
    done = check("rules", "deploy/prometheus/rules.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout
    done = check("config", "deploy/prometheus/prometheus.yml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", NAMES)
def test_without_the_rule_a_scenario_is_not_as_it_says(name: str, tmp_path: Path) -> None:
    """The scenario is as it says with the rules that it requires, as long as all of them are there."""
    scenario, interval = next(needing(name))
    needed = requirements(scenario)
    if scenario.name not in AS_THEY_SAY:
        assert evaluate(tmp_path, only(needed), [scenario], interval).returncode == 0
        AS_THEY_SAY.add(scenario.name)
    assert evaluate(tmp_path, only(needed - {name}), [scenario], interval).returncode != 0


def needing(name: str) -> Iterator[tuple[Scenario, int]]:
    """The scenarios that the rule matters to, the shortest first."""
    every = [(one, interval) for scenarios, interval in SCENARIOS.values() for one in scenarios]
    every.sort(key=lambda found: max(found[0].firing) / found[1])
    return ((one, interval) for one, interval in every if name in requirements(one))


def requirements(scenario: Scenario) -> set[str]:
    """The rules by which a scenario's alerts fire, and its values are recorded."""
    wanted = {alert for alerts in scenario.firing.values() for alert in alerts}
    wanted |= {one.metric for expr in scenario.values for one in selectors(expr)}
    found: set[str] = set()
    while wanted:
        name = wanted.pop()
        found.add(name)
        expr = RULES[NAMES.index(name)]["expr"]
        wanted |= {one.metric for one in selectors(expr) if one.metric in NAMES} - found
    return found


def only(names: Collection[str]) -> str:
    kept = [rule for rule, name in zip(RULES, NAMES, strict=True) if name in names]
    return yaml.safe_dump({"groups": [{"name": "only", "rules": kept}]})


def test_annotations_name_what_alerts(tmp_path: Path) -> None:
    """One alert with its text, as a receiver gets it."""
    alert = next(one for one in RULES if one.get("alert") == "GrpcServerRefuses")
    scenario = next(one for one in cases.instances() if one.name == "calls over the limit are refused")
    labels = {"namespace": "here", "job": NAME, "grpc_service": "probe.Probe"}
    case = scenario.case() | {
        "promql_expr_test": [],
        "alert_rule_test": [
            {
                "eval_time": f"{max(scenario.firing)}s",
                "alertname": alert["alert"],
                "exp_alerts": [
                    {
                        "exp_labels": labels | {"severity": "warning"},
                        "exp_annotations": {
                            "summary": "2% of the calls of probe.Probe are refused.",
                            "description": f"here/{NAME} has as many calls as its limits admit.",
                            "runbook_url": "docs/monitoring.md#grpcserverrefuses",
                        },
                    }
                ],
            }
        ],
    }
    done = evaluate(tmp_path, monitoring.rules(), [case], 30)
    assert done.returncode == 0, done.stdout + done.stderr
