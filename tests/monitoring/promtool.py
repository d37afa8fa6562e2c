"""Scenarios for rules: series as they would be scraped, and which alerts fire at which time."""

import json
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from app.core.name import NAME
from tests.support.servers.process import ROOT

PROMTOOL = Path(sys.executable).with_name("promtool")

MINUTE, HOUR, DAY = 60, 3600, 86400

SELECTED = {"namespace": "here", "job": NAME}
SERVICE = {"grpc_service": "probe.Probe", "grpc_method": "Unary", "grpc_type": "unary"}


@dataclass(frozen=True)
class Series:
    """A series, and its samples in promtool's notation."""

    metric: str
    labels: Mapping[str, str]
    values: str

    @property
    def input(self) -> dict[str, str]:
        labels = ", ".join(f"{key}={json.dumps(value)}" for key, value in self.labels.items())
        return {"series": f"{self.metric}{{{labels}}}", "values": self.values}


@dataclass(frozen=True)
class Scenario:
    """What happens, and which alerts fire at a number of seconds after it begins: these and no others.

    `among` are the alerts that are looked at, if not all. `values` are expressions with their value at
    `until`, by default the last of the times.
    """

    name: str
    series: Sequence[Series]
    firing: Mapping[int, Collection[str]] | Mapping[float, Collection[str]]
    among: Collection[str] = ()
    values: Mapping[str, float] = field(default_factory=dict)
    interval: int = 15  # seconds between samples
    until: float = 0

    def case(self) -> dict[str, object]:
        among = "|".join(self.among) or ".+"
        firing = f'count by (alertname) (ALERTS{{alertstate="firing",alertname=~"{among}"}})'
        return {
            "name": self.name,
            "interval": f"{self.interval}s",
            "input_series": [one.input for one in self.series],
            "promql_expr_test": [
                *(
                    {
                        "expr": firing,
                        "eval_time": f"{round(time)}s",
                        "exp_samples": [
                            {"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(names)
                        ],
                    }
                    for time, names in self.firing.items()
                ),
                *(
                    {
                        # The last digits of a mean are noise.
                        "expr": f"abs(sum({expr}) - {value}) < bool 0.000001",
                        "eval_time": f"{round(self.until or max(self.firing))}s",
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    }
                    for expr, value in self.values.items()
                ),
            ],
        }


def evaluate(
    folder: Path, rules: str, scenarios: Iterable[Scenario | dict[str, object]], interval: int
) -> subprocess.CompletedProcess[str]:
    """Runs `promtool test rules`; its exit status is 0 if every scenario is as it says."""
    (folder / "rules.yml").write_text(rules)
    test = {
        "rule_files": ["rules.yml"],
        # Prometheus evaluates them side by side; what is recorded is at most an interval old then.
        "group_eval_order": [group["name"] for group in yaml.safe_load(rules)["groups"]],
        "evaluation_interval": f"{interval}s",
        "tests": [one.case() if isinstance(one, Scenario) else one for one in scenarios],
    }
    (folder / "test.yml").write_text(json.dumps(test))
    return _promtool("test", "rules", "test.yml", cwd=folder)


def check(kind: str, file: str) -> subprocess.CompletedProcess[str]:
    """Runs `promtool check` on a file of the repository."""
    return _promtool("check", kind, file, cwd=ROOT)


def _promtool(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    if not PROMTOOL.exists():
        pytest.skip("promtool is required: make monitoring builds it")
    return subprocess.run(
        [PROMTOOL, *arguments], cwd=cwd, capture_output=True, text=True, timeout=150, check=False
    )
