"""Pods come and go by the chart's default values, and no call is lost: with our client, nor with others'."""

import json
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.calling import Client, Pod, failed, ghz, own, stock, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.conftest import Measured
from tests.support import DRAIN_STEPS

HEADLESS = "dns:///quoter-headless:50051"


@pytest.fixture(scope="module")
def pod(quoter: Namespace) -> Iterator[Pod]:
    with Pod(quoter, {"/token": "quoter-token"}) as pod:
        yield pod


@pytest.fixture(scope="module")
def clients(quoter: Namespace) -> list[Client]:
    token = quoter.token()
    return [
        own(HEADLESS, "--token-file", "/token/token"),
        stock(HEADLESS),
        *ghz(HEADLESS, token, balancing="round_robin"),
        *ghz("quoter:50051", token, balancing="pick_first"),
    ]


@contextmanager
def following(namespace: Namespace, pod: str) -> Iterator[Iterable[str]]:
    """The log of a pod, line by line, to the pod's end."""
    command = ["kubectl", "--namespace", namespace.name, "logs", "--follow", pod]
    with subprocess.Popen(command, env=namespace.cluster.env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout


@pytest.mark.timeout(1800, func_only=True)
def test_updates_lose_no_call(
    quoter: Namespace, pod: Pod, clients: list[Client], times: int, measured: Measured
) -> None:
    with pod.calling(*clients) as calls:
        for number in range(times):
            old = quoter.pod_names(RELEASE)
            quoter.upgrade(RELEASE, "--set-string", f"podAnnotations.update={number}")
            quoter.gone(old)
    measured(f"{times} rolling updates: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]


@pytest.mark.timeout(1800, func_only=True)
def test_deletions_of_pods_lose_no_call(
    quoter: Namespace, pod: Pod, clients: list[Client], times: int, measured: Measured
) -> None:
    with pod.calling(*clients) as calls:
        for _ in range(times):
            deleted = min(quoter.pod_names(RELEASE))
            with following(quoter, deleted) as log:
                quoter.kubectl("delete", "pod", deleted, "--wait=false")
                quoter.gone([deleted])
                lines = [json.loads(line) for line in log if line.startswith("{")]
            quoter.kubectl("rollout", "status", "deployment/quoter", "--timeout=60s")
            steps = {line["event"]: line for line in lines if line["event"] != "call"}
            assert list(steps)[-len(DRAIN_STEPS) :] == DRAIN_STEPS
            assert steps["drain_calls_ended"]["all_finished"] is True
    measured(f"{times} deletions: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]


@pytest.mark.timeout(600, func_only=True)
def test_scaling_loses_no_call(
    quoter: Namespace, pod: Pod, clients: list[Client], measured: Measured
) -> None:
    with pod.calling(*clients) as calls:
        for replicas in (4, 1, 3):
            old = quoter.pod_names(RELEASE)
            quoter.upgrade(RELEASE, "--set", f"replicaCount={replicas}")
            if left := old - quoter.pod_names(RELEASE):
                quoter.gone(left)
    measured(f"scaling 2, 4, 1, 3: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]
