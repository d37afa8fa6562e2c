"""The API server admits every render of the chart, by server-side dry runs."""

import json
import re
from typing import Any

import pytest
import yaml

from tests.chart.combinations import COMBINATIONS
from tests.chart.examples import EXAMPLES
from tests.e2e.cluster import Namespace, run, succeed
from tests.support.chart import CHART

pytestmark = pytest.mark.timeout(120, func_only=True)

CASES = dict(enumerate(COMBINATIONS)) | EXAMPLES
# Custom resources, which a cluster may lack. `make chart` checks them against their projects' types.
CUSTOM = {"Certificate", "GRPCRoute", "PodMonitor", "PrometheusRule", "ServiceMonitor"}


@pytest.fixture(scope="module")
def absent(namespace: Namespace) -> set[str]:
    """The kinds that this cluster lacks."""
    namespace.kubectl("wait", "--for=create", "serviceaccount/default", "--timeout=30s")
    listed = succeed("kubectl", "api-resources", "--no-headers", env=namespace.cluster.env).splitlines()
    unknown = CUSTOM - {line.split()[-1] for line in listed}
    print(f"admission: this cluster has no {', '.join(sorted(unknown)) or 'unknown kind'}")  # noqa: T201 - not tested
    return unknown


def rendered(values: dict[str, Any], namespace: Namespace) -> list[Any]:
    """The objects, and the Deployment's pod as an object of its own: Pod Security rejects only pods."""
    done = run(
        "helm",
        "template",
        "admitted",
        str(CHART),
        "--namespace",
        namespace.name,
        "--values",
        "-",
        "--kube-version",
        "1.34.0",
        env=namespace.cluster.env,
        stdin=json.dumps(values),
    )
    assert done.returncode == 0, done.stderr
    objects = [one for one in yaml.safe_load_all(done.stdout) if one]
    [template] = [one["spec"]["template"] for one in objects if one["kind"] == "Deployment"]
    pod = {"apiVersion": "v1", "kind": "Pod"} | template
    pod["metadata"] = template["metadata"] | {"name": "admitted-as-a-pod"}
    # A pod is admitted only if these exist.
    pod["spec"] = {key: value for key, value in pod["spec"].items() if key != "priorityClassName"}
    pod["spec"]["serviceAccountName"] = "default"
    return [*objects, pod]


def admit(namespace: Namespace, objects: list[Any]) -> str:
    """The output of kubectl for the objects: a line for each, or errors."""
    # Not as a List: for that, kubectl asks for the schema of OpenAPI 2, which some API servers fail to give.
    documents = "\n---\n".join(map(json.dumps, objects))
    done = run(
        "kubectl",
        "--namespace",
        namespace.name,
        "apply",
        "--dry-run=server",
        "--validate=strict",
        "--filename",
        "-",
        env=namespace.cluster.env,
        stdin=documents,
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_combination_and_example_is_admitted_into_a_restricted_namespace(
    namespace: Namespace, absent: set[str], case: int | str
) -> None:
    objects = [one for one in rendered(CASES[case], namespace) if one["kind"] not in absent]
    output = admit(namespace, objects).splitlines()
    assert len(output) == len(objects), "\n".join(output)
    assert all(line.endswith("created (server dry run)") for line in output), "\n".join(output)


def test_a_pod_that_violates_the_restricted_level_is_rejected(namespace: Namespace) -> None:
    *_, pod = rendered({}, namespace)
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    assert 'violates PodSecurity "restricted' in admit(namespace, [pod])


def test_an_unknown_field_is_rejected(namespace: Namespace) -> None:
    [deployment] = [one for one in rendered({}, namespace) if one["kind"] == "Deployment"]
    deployment["spec"]["template"]["spec"]["containers"][0]["prots"] = []
    # The error is kubectl's, or the server's, which has the whole path.
    assert re.search(r'unknown field "(spec.*\.)?prots"', admit(namespace, [deployment]))
