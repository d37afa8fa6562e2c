"""New pods get an even share of the calls."""

from collections import Counter
from datetime import datetime

import pytest

from tests.e2e.calling import HEADLESS, Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured

AFTER, DURING = 20, 10  # seconds: from the last pod's readiness to the measurement, and its length


@pytest.mark.timeout(240, func_only=True)
def test_twenty_seconds_after_the_last_pod_is_ready_the_shares_are_even(
    namespace: Namespace, measured: Measured
) -> None:
    namespace.install(RELEASE)
    pod = Pod(namespace, {"/token": f"{RELEASE}-token"})
    client = own(HEADLESS, "--token-file", "/token/token", unary=100, streams=0, conversations=0)
    with pod.calling(client) as calls:
        namespace.upgrade(RELEASE, "--set", "replicaCount=4")
        names = namespace.pod_names(RELEASE)
        begin = max(ready_since(namespace, name) for name in names) + AFTER
        pod.run("sleep", str(max(0.0, begin + DURING - pod.now())))
    counts = Counter(call.instance for call in calls if begin <= call.began < begin + DURING)
    even = counts.total() / 4
    shares = ", ".join(f"{count / even:.3f}" for count in sorted(counts.values()))
    measured(
        f"scaling 2 to 4: {counts.total()} calls in {DURING} s, shares relative to an even one {shares};"
        f" {summary(calls)}"
    )
    assert counts.keys() == names
    assert all(abs(count / even - 1) <= 0.1 for count in counts.values())
    assert not failed(calls), failed(calls)[:20]


def ready_since(namespace: Namespace, pod: str) -> float:
    """When the pod became ready, in seconds since the epoch, by the cluster's clock."""
    conditions = namespace.get("pod", pod)["status"]["conditions"]
    [ready] = [one for one in conditions if one["type"] == "Ready"]
    assert ready["status"] == "True"
    return datetime.fromisoformat(ready["lastTransitionTime"]).timestamp()
