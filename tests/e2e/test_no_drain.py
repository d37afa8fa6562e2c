"""Without a drain, calls are lost: the other tests would notice lost calls."""

import pytest

from tests.e2e.calling import HEADLESS, Pod, failed, ghz, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured

pytestmark = pytest.mark.timeout(300, func_only=True)


def test_without_a_drain_an_update_loses_calls_of_stock_clients(
    namespace: Namespace, measured: Measured
) -> None:
    namespace.install(RELEASE, "--set", "drain.delaySeconds=0,drain.graceSeconds=0")
    pod, token = Pod(namespace, {"/token": f"{RELEASE}-token"}), namespace.token()
    clients = [
        *ghz(HEADLESS, token, balancing="round_robin"),
        *ghz(f"{RELEASE}:50051", token, balancing="pick_first"),
    ]
    with pod.calling(*clients) as calls:
        old = namespace.pod_names(RELEASE)
        namespace.upgrade(RELEASE, "--reuse-values", "--set-string", "podAnnotations.update=1")
        namespace.gone(old)
    measured(f"an update without a drain: {summary(calls)}")
    assert len(failed(calls)) >= len(calls) / 100
    assert {call.client for call in failed(calls)} == {client.name for client in clients}
