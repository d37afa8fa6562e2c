"""Scaling out and in: no call is lost."""

import pytest

from tests.e2e.calling import Client, Pod, failed, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured


@pytest.mark.timeout(600, func_only=True)
def test_scaling_loses_no_call(
    installed: Namespace, pod: Pod, clients: list[Client], measured: Measured
) -> None:
    with pod.calling(*clients) as calls:
        for replicas in (4, 1, 3):
            old = installed.pod_names(RELEASE)
            installed.upgrade(RELEASE, "--set", f"replicaCount={replicas}")
            if left := old - installed.pod_names(RELEASE):
                installed.gone(left)
    measured(f"scaling 2, 4, 1, 3: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]
