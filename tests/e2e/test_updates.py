"""Rolling updates with the chart's default values: no client loses a call."""

import pytest

from tests.e2e.calling import Client, Pod, failed, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured


@pytest.mark.timeout(1800, func_only=True)
def test_updates_lose_no_call(
    installed: Namespace, pod: Pod, clients: list[Client], times: int, measured: Measured
) -> None:
    with pod.calling(*clients) as calls:
        for number in range(times):
            old = installed.pod_names(RELEASE)
            installed.upgrade(RELEASE, "--set-string", f"podAnnotations.update={number}")
            installed.gone(old)
    measured(f"{times} rolling updates: {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]
