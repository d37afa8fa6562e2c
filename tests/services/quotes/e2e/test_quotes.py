"""Quotes in the chart's values."""

import time
from pathlib import Path

import pytest

from app.core.name import NAME
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured

SECONDS = 120  # for Kubernetes to update a ConfigMap in a pod


@pytest.mark.timeout(240, func_only=True)
def test_a_change_of_the_quotes_reaches_running_pods(
    namespace: Namespace, tmp_path: Path, measured: Measured
) -> None:
    values = tmp_path / "values.yaml"

    def with_quotes(text: str) -> tuple[str, ...]:
        values.write_text(f"quotes:\n  text: |\n    {text}\n")
        return "--set", "auth.mode=none", "--values", str(values)

    def served(pod: str) -> str:
        return namespace.kubectl("exec", pod, "--", NAME, "list").strip()

    namespace.install(RELEASE, *with_quotes("Well begun is half done. ~ Aristotle"))
    pods = namespace.pod_names(RELEASE)
    assert {served(pod) for pod in pods} == {"Well begun is half done. ~ Aristotle"}

    began = time.monotonic()
    namespace.upgrade(RELEASE, *with_quotes("Know thyself. ~ Thales"))
    while {served(pod) for pod in pods} != {"Know thyself. ~ Thales"}:
        assert time.monotonic() < began + SECONDS, f"the pods still serve the old quotes after {SECONDS} s"
        time.sleep(1)
    measured(f"changed quotes: served by both pods {time.monotonic() - began:.0f} s after the upgrade began")
    assert namespace.pod_names(RELEASE) == pods
