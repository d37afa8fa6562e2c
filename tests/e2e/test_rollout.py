"""A rolling restart under load."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cluster import RELEASE, Namespace
from tests.support import DRAIN_STEPS

pytestmark = pytest.mark.timeout(300, func_only=True)

LOAD = Path(__file__).with_name("load.py")
SECONDS = 240  # the load ends by itself after this


def load_pod(image: str) -> str:
    container = {
        "name": "load",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/app/.venv/bin/python", "/load/load.py"],
        "args": ["dns:///quoter-headless:50051", "/token/token", str(SECONDS)],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "load", "mountPath": "/load", "readOnly": True},
            {"name": "token", "mountPath": "/token", "readOnly": True},
        ],
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "load", "configMap": {"name": "load"}},
            {
                "name": "token",
                "secret": {"secretName": "quoter-token", "items": [{"key": "token", "path": "token"}]},
            },
        ],
    }
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load"}, "spec": spec})


@pytest.fixture
def load(quoter: Namespace) -> Iterator["subprocess.Popen[str]"]:
    """The log of a pod that calls the service, from when its calls are answered."""
    quoter.kubectl("create", "configmap", "load", f"--from-file={LOAD}")
    try:
        quoter.kubectl("apply", "--filename", "-", stdin=load_pod(quoter.cluster.image))
        quoter.kubectl("wait", "pod/load", "--for=condition=Ready", "--timeout=60s")
        with logs(quoter, "load") as log:
            assert log.stdout is not None
            assert log.stdout.readline() == "calling\n"
            yield log
            log.terminate()
    finally:
        quoter.kubectl("delete", "pod/load", "configmap/load", "--ignore-not-found", "--grace-period=5")


def logs(namespace: Namespace, pod: str) -> "subprocess.Popen[str]":
    """The log of a pod as it is written, to the pod's end."""
    return subprocess.Popen(
        ["kubectl", "--namespace", namespace.name, "logs", "--follow", pod],
        env=namespace.cluster.env,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_rolling_restart_under_load_loses_no_call(quoter: Namespace, load: "subprocess.Popen[str]") -> None:
    old = [pod["metadata"]["name"] for pod in quoter.pods(RELEASE)]
    with logs(quoter, old[0]) as log:
        quoter.kubectl("rollout", "restart", "deployment/quoter")
        quoter.kubectl("rollout", "status", "deployment/quoter", "--timeout=120s", seconds=150)
        gone = ("wait", "--for=delete", *(f"pod/{name}" for name in old), "--timeout=120s")
        quoter.kubectl(*gone, seconds=150)
        assert log.stdout is not None
        lines = [json.loads(line) for line in log.stdout if line.startswith("{")]

    quoter.kubectl("exec", "load", "--", "sh", "-c", "kill -TERM 1")
    assert load.stdout is not None
    made = json.loads(load.stdout.readline())
    total = sum(sum(codes.values()) for codes in made["codes"].values())
    failed = total - sum(codes.get("OK", 0) for codes in made["codes"].values())
    print(f"rolling restart: {total} calls in {made['seconds']} s, {failed} failed: {made['codes']}")  # noqa: T201 - what was measured
    assert failed == 0, made["failures"]
    assert made["seconds"] > 45
    for client in ("own", "stock"):
        assert sum(made["codes"][f"{client} unary"].values()) > 40 * made["seconds"]
        assert sum(made["codes"][f"{client} stream"].values()) > 1.5 * made["seconds"]
        assert sum(made["codes"][f"{client} conversation"].values()) >= 6

    steps = [line["event"] for line in lines if line["event"] != "call"]
    assert steps[-len(DRAIN_STEPS) :] == DRAIN_STEPS
    (ended,) = [line for line in lines if line["event"] == "drain_calls_ended"]
    assert ended["all_finished"] is True
