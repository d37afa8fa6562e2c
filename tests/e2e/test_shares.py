"""A new pod gets its share of the calls."""

from collections import Counter
from datetime import datetime

import pytest

from tests.e2e.calling import HEADLESS, Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.conftest import Measured

UNTIL, FOR = 20, 10  # seconds after the last pod was ready, and for how many from then


@pytest.mark.timeout(240, func_only=True)
def test_twenty_seconds_after_a_pod_is_ready_all_have_even_shares(
    namespace: Namespace, measured: Measured
) -> None:
    namespace.install(RELEASE)
    pod = Pod(namespace, {"/token": "quoter-token"})
    client = own(HEADLESS, "--token-file", "/token/token", unary=100, streams=0, conversations=0)
    with pod.calling(client) as calls:
        namespace.upgrade(RELEASE, "--set", "replicaCount=4")
        names = namespace.pod_names(RELEASE)
        begin = max(ready_since(namespace, name) for name in names) + UNTIL
        pod.run("sleep", str(max(0.0, begin + FOR - pod.now())))
    counts = Counter(call.instance for call in calls if begin <= call.began < begin + FOR)
    even = counts.total() / 4
    shares = ", ".join(f"{count / even:.3f}" for count in sorted(counts.values()))
    measured(
        f"scaling 2 to 4: {counts.total()} calls in {FOR} s, shares ÷ even ones {shares}; {summary(calls)}"
    )
    assert counts.keys() == names
    assert all(abs(count / even - 1) <= 0.1 for count in counts.values())
    assert not failed(calls), failed(calls)[:20]


def ready_since(namespace: Namespace, pod: str) -> float:
    """By the cluster's clock, in seconds since the epoch."""
    conditions = namespace.get("pod", pod)["status"]["conditions"]
    [ready] = [one for one in conditions if one["type"] == "Ready"]
    assert ready["status"] == "True"
    return datetime.fromisoformat(ready["lastTransitionTime"]).timestamp()
