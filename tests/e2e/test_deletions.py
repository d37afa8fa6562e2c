"""Deleted pods drain: no call is lost."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.calling import Client, Pod, failed, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured
from tests.support.servers.server import DRAIN_STEPS


@contextmanager
def following(namespace: Namespace, pod: str) -> Iterator[Iterable[str]]:
    """The lines of a pod's log until the pod ends."""
    command = ["kubectl", "--namespace", namespace.name, "logs", "--follow", pod]
    with subprocess.Popen(command, env=namespace.cluster.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout


@pytest.mark.timeout(1800, func_only=True)
def test_deleting_pods_loses_no_call(
    installed: Namespace, pod: Pod, clients: list[Client], times: int, measured: Measured
) -> None:
    with pod.calling(*clients) as calls:
        for _ in range(times):
            deleted = min(installed.pod_names(RELEASE))
            with following(installed, deleted) as log:
                installed.kubectl("delete", "pod", deleted, "--wait=false")
                installed.gone([deleted])
                lines = [json.loads(line) for line in log if line.startswith("{")]
            installed.kubectl("rollout", "status", f"deployment/{RELEASE}", "--timeout=60s")
            steps = {line["event"]: line for line in lines if line["event"] != "call"}
            assert list(steps)[-len(DRAIN_STEPS) :] == DRAIN_STEPS
            assert steps["drain_calls_ended"]["all_finished"] is True
    measured(f"{times} deletions: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]
