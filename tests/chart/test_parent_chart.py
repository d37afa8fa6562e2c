"""The chart as a dependency of another: conditions, tags and global values."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.name import NAME
from tests.chart.chart import helm, refusal
from tests.support.chart import CHART

PARENT = {"apiVersion": "v2", "name": "parent", "version": "1.0.0"}


def parent(folder: Path, **dependency: Any) -> Path:
    """A chart that has this one as its only dependency."""
    chart = folder / "parent"
    shutil.copytree(CHART, chart / "charts" / NAME)
    one = {"name": NAME, "version": "*", **dependency}
    (chart / "Chart.yaml").write_text(json.dumps(PARENT | {"dependencies": [one]}))
    return chart


def kinds(chart: Path, values: dict[str, Any]) -> list[str]:
    """The kinds of the rendered objects."""
    done = helm("template", "umbrella", str(chart), "--kube-version", "1.34.0", values=values)
    assert done.returncode == 0, done.stderr
    return [one["kind"] for one in yaml.safe_load_all(done.stdout) if one]


@pytest.mark.parametrize(
    ("values", "included"),
    [
        ({}, True),
        ({NAME: {"enabled": True}}, True),
        ({NAME: {"enabled": False}}, False),
        ({"tags": {"backend": False}}, False),
        ({"tags": {"backend": False}, NAME: {"enabled": True}}, True),
    ],
)
def test_conditions_and_tags_decide_whether_the_chart_is_included(
    tmp_path: Path, values: dict[str, Any], included: bool
) -> None:
    chart = parent(tmp_path, condition=f"{NAME}.enabled", tags=["backend"])
    assert ("Deployment" in kinds(chart, values)) is included


def test_global_values_reach_the_chart_and_unknown_ones_are_ignored(tmp_path: Path) -> None:
    chart = parent(tmp_path)
    values = {"global": {"imageRegistry": "r.example", "imagePullSecrets": ["pull"], "other": {"a": 1}}}
    done = helm("template", "umbrella", str(chart), "--kube-version", "1.34.0", values=values)
    assert done.stdout.count(f'image: "r.example/{NAME}:') == 2  # the server and `helm test`
    assert done.stdout.count("- name: pull\n") == 2


def test_enabled_false_without_a_condition_is_an_error() -> None:
    assert f"add `condition: {NAME}.enabled`" in refusal({"enabled": False})
