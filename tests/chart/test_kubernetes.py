"""The chart's objects match Kubernetes' schemas, from the oldest supported version to the newest."""

import importlib.resources
import json
from functools import cache
from typing import Any

import pytest
import yaml

from app.core.name import NAME
from tests.chart.chart import rendered
from tests.chart.combinations import COMBINATIONS
from tests.chart.examples import EXAMPLES
from tests.chart.usual_values import USUAL
from tests.support.chart import CHART

kubernetes_validate = pytest.importorskip("kubernetes_validate", reason="make chart installs it")

VERSIONS = ["1.29", "1.34", "1.37"]
# Custom resources, which test_custom_resources.py checks.
CUSTOM = {"Certificate", "GRPCRoute", "PodMonitor", "PrometheusRule", "ServiceMonitor"}


@cache
def schema(version: str, name: str) -> Any:
    """The strict schema, which rejects unknown fields."""
    folder = importlib.resources.files(kubernetes_validate) / "kubernetes-json-schema"
    return json.loads((folder / f"v{version}.0-local-strict" / f"{name}.json").read_text())


@cache
def validator(version: str, kind: str, group: str) -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - a dependency of kubernetes-validate
    from referencing import Registry, Resource  # noqa: PLC0415 - the same

    definitions = ("_definitions.json", Resource.from_contents(schema(version, "_definitions")))
    registry: Any = Registry().with_resources([definitions])
    return Draft202012Validator(schema(version, f"{kind.lower()}-{group}"), registry=registry)


CASES = dict(enumerate(COMBINATIONS)) | EXAMPLES


def check(values: dict[str, Any], version: str) -> None:
    checked = 0
    for name, one in rendered(values, kubernetes=f"{version}.0").items():
        if one["kind"] not in CUSTOM:
            group, _, api = one["apiVersion"].rpartition("/")
            found = f"{group.split('.')[0]}-{api}" if group else api
            problems = [error.message for error in validator(version, one["kind"], found).iter_errors(one)]
            assert not problems, name
            checked += 1
    assert checked >= 4


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", CASES.values(), ids=map(str, CASES))
def test_every_object_matches_its_schema(values: dict[str, Any], version: str) -> None:
    check(values, version)


@pytest.mark.parametrize("values", [one.values for one in USUAL], ids=str)
def test_every_usual_value_matches_the_schema_of_the_oldest_version(values: dict[str, Any]) -> None:
    check(values, VERSIONS[0])


def test_the_oldest_version_is_the_one_that_the_chart_requires() -> None:
    needed = yaml.safe_load((CHART / "Chart.yaml").read_text())["kubeVersion"]
    assert needed == f">={VERSIONS[0]}.0-0"


def test_an_unknown_field_of_a_deployment_is_found() -> None:
    deployment = rendered()[f"Deployment/{NAME}"]
    deployment["spec"]["template"]["spec"]["containers"][0]["ports"][0]["port"] = 1
    [error] = validator("1.34", "Deployment", "apps-v1").iter_errors(deployment)
    assert "'port' was unexpected" in error.message
