"""The faster drain, for servers that only this project's client calls."""

import time

import pytest

from tests.e2e.calling import HEADLESS, Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured


@pytest.mark.timeout(900, func_only=True)
def test_updates_with_the_faster_drain_lose_no_call_of_this_projects_client(
    namespace: Namespace, times: int, measured: Measured
) -> None:
    namespace.install(RELEASE, "--set", "drain.clientLookupSeconds=1")
    pod = Pod(namespace, {"/token": f"{RELEASE}-token"})
    seconds = []
    with pod.calling(own(HEADLESS, "--token-file", "/token/token")) as calls:
        for number in range(times):
            old, began = namespace.pod_names(RELEASE), time.monotonic()
            namespace.upgrade(RELEASE, "--reuse-values", "--set-string", f"podAnnotations.update={number}")
            namespace.gone(old)
            seconds.append(time.monotonic() - began)
    measured(
        f"{times} updates with drain.clientLookupSeconds=1, {min(seconds):.0f} to {max(seconds):.0f} s each:"
        f" {summary(calls)}"
    )
    assert not failed(calls), failed(calls)[:20]
