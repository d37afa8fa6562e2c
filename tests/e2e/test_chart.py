"""Renders of the chart on this cluster's helm, and values that it rejects."""

from typing import Any

import pytest
import yaml

from tests.e2e.cluster import RELEASE, Cluster, run, succeed
from tests.support.chart import CHART

pytestmark = pytest.mark.timeout(60, func_only=True)

TEMPLATE = ("helm", "template", RELEASE, str(CHART), "--kube-version", "1.34.0")


def rendered(cluster: Cluster, *values: str) -> dict[str, Any]:
    """The objects by their kind and name, such as `Service/NAME`."""
    text = succeed(*TEMPLATE, *(part for value in values for part in ("--set", value)), env=cluster.env)
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in yaml.safe_load_all(text)}


def pod(objects: dict[str, Any]) -> Any:
    return objects[f"Deployment/{RELEASE}"]["spec"]["template"]["spec"]


def test_helm_lint_finds_nothing(cluster: Cluster) -> None:
    succeed("helm", "lint", "--strict", str(CHART), env=cluster.env)


@pytest.mark.parametrize(("delay", "grace", "total"), [(45, 20, 75), (7, 0, 17)])
def test_kubernetes_waits_ten_seconds_longer_than_a_drain_takes(
    cluster: Cluster, delay: int, grace: int, total: int
) -> None:
    spec = pod(rendered(cluster, f"drain.delaySeconds={delay}", f"drain.graceSeconds={grace}"))
    assert spec["terminationGracePeriodSeconds"] == total
    env = {one["name"]: one.get("value") for one in spec["containers"][0]["env"]}
    assert (env["APP_DRAIN_DELAY"], env["APP_DRAIN_GRACE"]) == (str(delay), str(grace))


def test_the_default_drain_outlasts_the_resolution_of_addresses_and_a_connection(cluster: Cluster) -> None:
    env = {one["name"]: one.get("value") for one in pod(rendered(cluster))["containers"][0]["env"]}
    assert int(env["APP_DRAIN_DELAY"]) > 30 + int(env["APP_MAX_CONNECTION_AGE"])


def test_spans_are_sent_only_with_an_endpoint(cluster: Cluster) -> None:
    def endpoint(*values: str) -> list[str]:
        env = pod(rendered(cluster, *values))["containers"][0]["env"]
        return [one["value"] for one in env if one["name"] == "OTEL_EXPORTER_OTLP_ENDPOINT"]

    assert endpoint() == []
    assert endpoint("otel.endpoint=http://collector:4317") == ["http://collector:4317"]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("replicas=3", "'replicas' not allowed"),
        ("image.name=server", "'name' not allowed"),
        ("drain.delay=3", "'delay' not allowed"),
        ("drain.delaySeconds=soon", "/drain/delaySeconds"),
        ("auth.mode=token", "/auth/mode"),
        ("otel.endpoint=collector:4317", "/otel/endpoint"),
    ],
)
def test_helm_template_rejects_an_unknown_or_invalid_value_by_name(
    cluster: Cluster, value: str, named: str
) -> None:
    done = run(*TEMPLATE, "--set", value, env=cluster.env)
    assert done.returncode != 0
    assert named in done.stderr


def test_global_values_of_a_parent_chart_are_accepted(cluster: Cluster) -> None:
    rendered(cluster, "global.region=here")
