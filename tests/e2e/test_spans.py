"""A rolling update loses no span: pods export what they have before they end."""

from collections import Counter

import pytest

from tests.e2e.calling import HEADLESS, Pod, failed, own, summary
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured
from tests.tracing.programs import OTELCOL, collector_configuration, spans_of

# Pods export nothing before they drain: the second variable, after the probe's.
RARELY = "extraEnv[1].name=OTEL_BSP_SCHEDULE_DELAY,extraEnv[1].value=600000"


@pytest.mark.timeout(900, func_only=True)
def test_the_collector_has_a_span_of_every_call_after_an_update(
    namespace: Namespace, measured: Measured
) -> None:
    collector = Pod(namespace, {}, name="collector")
    endpoint = start(collector, namespace)
    values = ("--set", f"drain.clientLookupSeconds=1,otel.endpoint={endpoint}", "--set-string", RARELY)
    namespace.install(RELEASE, *values)
    pod = Pod(namespace, {"/token": f"{RELEASE}-token"})
    with pod.calling(own(HEADLESS, "--token-file", "/token/token")) as calls:
        old = namespace.pod_names(RELEASE)
        namespace.upgrade(RELEASE, *values, "--set-string", "podAnnotations.update=1")
        namespace.gone(old)
    namespace.uninstall(RELEASE)  # the new pods drain, too
    spans = [span for span in spans_of(collector.run("cat", "/clients/spans.jsonl")) if span.kind == "server"]
    measured(f"an update with a collector: {len(spans):,} spans; {summary(calls)}")
    assert not failed(calls), failed(calls)[:20]
    assert Counter(span.attributes["rpc.method"] for span in spans) == Counter(call.method for call in calls)
    assert len({span.attributes.get("rpc.grpc.status_code") for span in spans}) == 1


def start(collector: Pod, namespace: Namespace) -> str:
    """Starts a collector in the pod, and returns its endpoint. It writes spans to a file."""
    collector.put(OTELCOL)
    configuration = collector_configuration(
        {"grpc": {"endpoint": "[::]:4317"}},
        {"file": {"path": "/clients/spans.jsonl", "flush_interval": "50ms"}},
    )
    script = """
      printf '%s' "$1" >/clients/collector.yaml
      /clients/otelcol --config /clients/collector.yaml >/clients/log 2>&1 </dev/null &
      for _ in $(seq 100); do
        grep -q 'Everything is ready' /clients/log && exit 0
        sleep 0.1
      done
      cat /clients/log
      exit 1
    """
    collector.run("sh", "-c", script, "sh", configuration)
    address = namespace.get("pod", collector.name)["status"]["podIP"]
    return f"http://[{address}]:4317" if ":" in address else f"http://{address}:4317"
