"""Charts of two forks in one parent chart: named templates are global in helm, and must not clash."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.servers.process import ROOT
from tests.template.forks import done, fork

pytestmark = pytest.mark.timeout(600)
HELM = ROOT / ".venv" / "bin" / "helm"


def test_the_charts_of_two_forks_work_in_one_parent_chart(template: Path, tmp_path: Path) -> None:
    names = ("stock-keeper", "stock")
    charts = [
        fork("copier", template, tmp_path, project=name, examples="all") / "helm" / name for name in names
    ]
    templates = [
        {
            name
            for path in chart.rglob("templates/**/*")
            if path.is_file()
            for name in re.findall(r'define "([^"]+)"', path.read_text())
        }
        for chart in charts
    ]
    assert all(templates)
    assert templates[0] & templates[1] == set()

    parent = tmp_path / "parent"
    parent.mkdir()
    dependencies = [
        {
            "name": chart.name,
            "version": "*",
            "repository": f"file://{chart}",
            "condition": f"{chart.name}.enabled",
        }
        for chart in charts
    ]
    chart = {"apiVersion": "v2", "name": "parent", "version": "1.0.0", "dependencies": dependencies}
    (parent / "Chart.yaml").write_text(yaml.safe_dump(chart))
    (parent / "values.yaml").write_text("stock-keeper: {replicaCount: 3}\nstock: {replicaCount: 4}\n")
    done(HELM, "dependency", "build", "--skip-refresh", parent, folder=tmp_path)
    rendered = done(HELM, "template", "shop", parent, folder=tmp_path)
    replicas = {
        one["metadata"]["name"]: one["spec"]["replicas"]
        for one in yaml.safe_load_all(rendered)
        if one and one["kind"] == "Deployment"
    }
    assert replicas == {"shop-stock-keeper": 3, "shop-stock": 4}
