"""The values that users know from other charts reach the objects, and the rest stays as it was."""

import json
from functools import cache
from typing import Any

import pytest

from app.core.name import NAME
from tests.chart.chart import Objects, pod, refusal, rendered, text, variables
from tests.chart.usual_values import POD, SERVER, USUAL, Value
from tests.support.chart import CHART


@cache
def default() -> Objects:
    return rendered()


def at(objects: Any, path: tuple[str | int, ...]) -> Any:
    """The part of the render at this path; None if there is none."""
    for one in path:
        try:
            objects = objects[one]
        except (KeyError, IndexError):
            return None
    return objects


@pytest.mark.parametrize("value", USUAL, ids=lambda one: str(one.values))
def test_each_value_is_in_the_render(value: Value) -> None:
    assert at(rendered(value.values), value.path) == value.expected
    assert at(default(), value.path) != value.expected


def test_an_object_can_be_given_as_text() -> None:
    given = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}-mine}\n"
    assert f"ConfigMap/{NAME}-mine" in rendered({"extraObjects": [given, given.replace("mine", "other")]})


def test_labels_of_the_user_do_not_replace_those_of_the_chart() -> None:
    theirs = {"app.kubernetes.io/name": "no", "helm.sh/chart": "no", "team": "a", "tier": "x"}
    objects = rendered({"commonLabels": theirs, "podLabels": {"tier": "y"}})
    for name, one in default().items():
        labels = objects[name]["metadata"]["labels"]
        assert labels == one["metadata"]["labels"] | {"team": "a", "tier": "x"}, name
    assert pod(objects)["metadata"]["labels"] == pod(default())["metadata"]["labels"] | {
        "team": "a",
        "tier": "y",
    }


@pytest.mark.parametrize(
    ("kind", "value"), [("ServiceMonitor", "serviceMonitor"), ("PodMonitor", "podMonitor")]
)
def test_labels_of_a_monitor_are_merged_as_those_of_pods(kind: str, value: str) -> None:
    chart = rendered({value: {"enabled": True}})[f"{kind}/{NAME}"]["metadata"]["labels"]
    theirs = dict.fromkeys(chart, "no") | {"release": "p", "on": "1", "app.kubernetes.io/component": "no"}
    monitor = {"enabled": True, "additionalLabels": theirs}
    objects = rendered({"commonLabels": {"release": "common", "team": "a"}, value: monitor})
    labels = objects[f"{kind}/{NAME}"]["metadata"]["labels"]
    assert labels == chart | {"release": "p", "on": "1", "team": "a"}


# What the pod of `helm test` has in its own way, and what is of the server alone.
OWN = {"containers", "volumes", "affinity"}
OF_THE_SERVER = {
    "serviceAccountName",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
    "initContainers",
    "priorityClassName",
}


@pytest.mark.parametrize("other", ["of helm test", "of the Job"])
def test_other_pods_have_the_values_of_the_servers_pods(other: str) -> None:
    values: dict[str, Any] = {"database": {"existingSecret": "database"}}
    for one in USUAL:
        if one.path[:-1] == POD:
            values |= one.values
    objects = rendered(values)
    server = pod(objects)["spec"]
    assert {"hostAliases", "dnsConfig", "dnsPolicy", "runtimeClassName", "nodeSelector"} <= set(server)
    if other == "of the Job":
        [job] = [one for one in objects.values() if one["kind"] == "Job"]
        found = job["spec"]["template"]["spec"]
        assert set(server) - set(found) == OF_THE_SERVER - {"priorityClassName"}
    else:
        found = objects[f"Pod/{NAME}-test"]["spec"]
        assert set(server) - set(found) == OF_THE_SERVER
    for name in server.keys() - OF_THE_SERVER - OWN:
        assert found[name] == server[name], name
    # Affinity to pods would keep it away from the nodes of the server's pods.
    assert found["affinity"] == {"nodeAffinity": values["affinity"]["nodeAffinity"]}


@pytest.mark.parametrize("name", ["runAsUser", "runAsGroup", "fsGroup", "seccompProfile"])
def test_each_key_of_the_security_context_can_be_removed(name: str) -> None:
    objects = rendered({"podSecurityContext": {name: None}})
    expected = {key: one for key, one in at(default(), (*POD, "securityContext")).items() if key != name}
    for spec in (pod(objects)["spec"], objects[f"Pod/{NAME}-test"]["spec"]):
        assert spec["securityContext"] == expected


def test_all_security_contexts_can_be_left_to_the_cluster() -> None:
    names = at(default(), (*POD, "securityContext")), at(default(), (*SERVER, "securityContext"))
    emptied = [dict.fromkeys(one) for one in names]
    objects = rendered({"podSecurityContext": emptied[0], "securityContext": emptied[1]})
    assert "securityContext" not in str(objects)


def test_outside_of_the_cluster_the_service_has_no_metrics() -> None:
    ports = {"containerPorts": {"grpc": 8443, "metrics": 8080}}
    values = ports | {
        "service": {"type": "LoadBalancer", "grpcPort": 443},
        "serviceMonitor": {"enabled": True},
    }
    objects = rendered(values)
    assert [one["name"] for one in objects[f"Service/{NAME}"]["spec"]["ports"]] == ["grpc"]
    selected = objects[f"ServiceMonitor/{NAME}"]["spec"]["selector"]["matchLabels"]
    headless = objects[f"Service/{NAME}-headless"]
    assert selected.items() <= headless["metadata"]["labels"].items()
    assert {one["name"]: one["port"] for one in headless["spec"]["ports"]} == {"grpc": 8443, "metrics": 8080}
    [script] = objects[f"Pod/{NAME}-test"]["spec"]["containers"][0]["args"]
    assert f"http://{NAME}-headless:8080/readyz" in script
    assert f"server={NAME}:443\n" in script


def test_a_port_is_in_one_value_and_everything_follows_it() -> None:
    route = {"enabled": True, "parentRefs": [{"name": "gateway"}]}
    before = {"grpcRoute": route, "tls": {"enabled": False}}
    numbers = text(before | {"containerPorts": {"grpc": 8443, "metrics": 8080}})
    assert "50051" not in numbers
    assert "9464" not in numbers
    assert text(before).count("50051") == numbers.count("8443")
    assert text(before).count("9464") == numbers.count("8080")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("APP_LISTEN", "containerPorts.grpc"),
        ("APP_METRICS_LISTEN", "containerPorts.metrics"),
        ("APP_SERVICES", "services"),
        ("APP_AUTH_TOKENS_FILE", "auth.existingSecret"),
        ("APP_TLS_CERT_FILE", "tls.existingSecret"),
        ("OTEL_RESOURCE_ATTRIBUTES", "otel.resourceAttributes"),
    ],
)
def test_a_variable_of_a_value_cannot_be_set_beside_it(name: str, value: str) -> None:
    error = refusal({"extraEnv": [{"name": name, "value": "x"}]})
    assert f"extraEnv cannot set {name}, which follows from the chart's values: set {value}\n" in error


def test_the_values_say_that_variables_of_a_secret_are_not_checked() -> None:
    assert "envFrom" in text({"extraEnvFrom": [{"secretRef": {"name": "with-APP_TLS_CERT_FILE"}}]})
    words = json.loads((CHART / "values.schema.json").read_text())["properties"]["extraEnvFrom"][
        "description"
    ]
    assert "does not check them" in words
    assert "APP_TLS_CERT_FILE, by that value (tls.existingSecret), not here" in words


def test_a_variable_that_no_value_sets_is_left_to_extra_env() -> None:
    given = [
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://x"},
        {"name": "SSL_CERT_FILE", "value": "/ca"},
    ]
    found = variables(rendered({"extraEnv": given}))
    assert (found["OTEL_EXPORTER_OTLP_ENDPOINT"], found["SSL_CERT_FILE"]) == ("http://x", "/ca")
