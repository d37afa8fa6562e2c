"""A Prometheus in the cluster finds the pods by the chart's annotations, and counts exactly their calls.

The chart's rules and dashboards show these pods.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from app.core.code import CODE_LABELS
from app.core.method import UNKNOWN, Arity
from app.core.name import NAME
from deploy.prometheus.instances import SETTLED
from tests.e2e.calling import HEADLESS, PYTHON, Call, Pod, ghz, own, stock
from tests.e2e.cluster import RELEASE, Namespace
from tests.e2e.plugin import Measured
from tests.e2e.prometheus import Prometheus
from tests.gen.probe_pb2 import DESCRIPTOR
from tests.monitoring.prometheus import prometheus as monitoring_prometheus
from tests.monitoring.test_dashboards import chosen
from tests.support.chart import CHART
from tests.support.servers.echo import INVALID, OUT_OF_RANGE
from tests.support.waiting import until

METHOD = ("grpc_type", "grpc_service", "grpc_method")
SECONDS = 15  # of steady calls, longer than a connection's greatest age
# Kubernetes checks health at times of its own.
OURS = 'grpc_service!="grpc.health.v1.Health"'

Counts = Counter[tuple[str, ...]]

# The labels of the probe's methods, by their names.
LABELS = {
    one.name: (
        Arity.of(request_streaming=one.client_streaming, response_streaming=one.server_streaming).value,
        one.containing_service.full_name,
        one.name,
    )
    for one in DESCRIPTOR.services_by_name["Probe"].methods
}


@pytest.fixture(scope="module")
def installed(namespace: Namespace) -> Iterator[Namespace]:
    """The namespace with the chart, without a drain, which does not matter here."""
    namespace.install(RELEASE, "--set", "drain.delaySeconds=0", "--set", "dashboards.enabled=true")
    yield namespace
    namespace.uninstall(RELEASE)


@pytest.fixture(scope="module")
def pod(installed: Namespace) -> Iterator[Pod]:
    with Pod(installed, {"/token": f"{RELEASE}-token"}) as found:
        yield found


def counted_out(pod: Pod, method: str, request: object, *options: str) -> Counts:
    """The outcomes of calls by `load`. ghz counts some calls as OK that the server rejects at once."""
    command = (
        *(f"/app/.venv/bin/{NAME}", "load", method, json.dumps(request), "--target", HEADLESS, "--json"),
        *("--rps", "60", "--for", "1s", *options),
    )
    figures = json.loads(pod.attempt(*command).stdout)  # it exits with 1 if calls fail
    assert sum(figures["codes"].values()) == 60, figures
    label = LABELS[method.partition("/")[2]]
    return Counter({(*label, code): count for code, count in figures["codes"].items()})


UNSERVED = f"""
import grpc
with grpc.insecure_channel("{HEADLESS}") as channel:
    for _ in range(60):
        try:
            channel.unary_unary("/probe.Probe/Unknown")(b"", timeout=5)
        except grpc.RpcError as error:
            print(error.code().name)
"""


def unserved(pod: Pod) -> Counts:
    """Calls of a method that does not exist."""
    codes = pod.run(PYTHON, "-c", UNSERVED).split()
    label = (UNKNOWN.arity.value, UNKNOWN.service, UNKNOWN.name)
    return Counter((*label, CODE_LABELS[grpc.StatusCode[code]]) for code in codes)


def by_labels(calls: list[Call]) -> Counts:
    return Counter((*LABELS[call.method], CODE_LABELS[grpc.StatusCode[call.code]]) for call in calls)


def table(counts: Counts) -> str:
    return "\n".join(f"{count:8,}  {' '.join(key)}" for key, count in sorted(counts.items()))


def settled(query: Callable[[], Counts], wanted: Counts, seconds: float = 30) -> Counts:
    """The result once it equals `wanted`, or the last one after so many seconds."""
    end = time.monotonic() + seconds
    while (found := query()) != wanted and time.monotonic() < end:
        time.sleep(0.5)
    return found


@pytest.mark.timeout(120, func_only=True)
def test_exactly_the_servers_pods_are_found_by_their_annotations(
    prometheus: Prometheus, installed: Namespace, pod: Pod
) -> None:
    pods = installed.pods(RELEASE)
    wanted: Counts = Counter(
        (one["metadata"]["name"], f"http://{one['status']['podIP']}:9464/metrics", "up") for one in pods
    )
    assert len(wanted) == 2
    assert pod.name not in {name for name, *_ in wanted}

    def scraped() -> Counts:
        targets = prometheus.targets(installed.name)
        return Counter((name, one["scrapeUrl"], one["health"]) for name, one in targets.items())

    found = settled(scraped, wanted)
    assert found == wanted, f"scraped:\n{table(found)}\npods:\n{table(wanted)}"


@pytest.mark.timeout(240, func_only=True)
def test_the_calls_counted_on_all_pods_are_the_calls_made(
    prometheus: Prometheus, installed: Namespace, pod: Pod, measured: Measured
) -> None:
    before = installed.pod_names(RELEASE)
    token = installed.token()
    clients = [
        own(HEADLESS, "--token-file", "/token/token"),
        stock(HEADLESS),
        *ghz(HEADLESS, token, balancing="round_robin"),
    ]
    with pod.calling(*clients) as calls:
        time.sleep(SECONDS)
    token_file = ("--token-file", "/token/token", "--allow-plaintext-token")
    message, invalid = {"text": "counted"}, {"text": INVALID}
    made = (
        by_labels(calls)
        + counted_out(pod, "probe.Probe/ClientStream", [message, message], *token_file)
        + counted_out(pod, "probe.Probe/ClientStream", [message, invalid], *token_file)
        + counted_out(pod, "probe.Probe/ServerStream", invalid | {"count": 1}, *token_file)
        + counted_out(pod, "probe.Probe/Unary", invalid, *token_file)
        + counted_out(pod, "probe.Probe/Unary", {"text": OUT_OF_RANGE}, *token_file)
        + counted_out(pod, "probe.Probe/Unary", message)
        + counted_out(pod, "probe.Probe/BidiStream", [message, message])
        + unserved(pod)
    )
    assert {arity for arity, *_ in made} == set(Arity)
    codes = {code for *_, code in made}
    assert codes == {"OK", "InvalidArgument", "OutOfRange", "Unauthenticated", "Unimplemented"}

    def sums(metric: str, *by: str) -> Counts:
        of = f'{metric}{{namespace="{installed.name}", {OURS}}}'
        return prometheus.counts(f"sum by ({', '.join(by)}) ({of})", *by)

    handled = settled(lambda: sums("grpc_server_handled_total", *METHOD, "grpc_code"), made)
    assert handled == made, f"handled by the servers:\n{table(handled)}\nmade:\n{table(made)}"
    started = Counter[tuple[str, ...]]()
    for (*method, _code), count in handled.items():
        started[tuple(method)] += count
    assert sums("grpc_server_started_total", *METHOD) == started

    assert installed.pod_names(RELEASE) == before
    shares = sums("grpc_server_handled_total", "pod")
    assert {name for (name,) in shares} == before
    listed = ", ".join(
        f"{code} {sum(made[key] for key in made if key[-1] == code):,}" for code in sorted(codes)
    )
    callers = ", ".join(f"{name} {count:,}" for name, count in Counter(call.client for call in calls).items())
    measured(
        f"Prometheus counted {handled.total():,} of {made.total():,} calls, with equal methods and codes"
        f" ({listed}; {callers}), on {len(shares)} pods"
    )


# Panels without data: the pods have no certificates, and refuse none of these calls.
NO_DATA = {"Certificates expire in", "Refusals by reason", "Refused, by reason"}
# The cluster has no operator, whose resources helm would look for.
WITH_OPERATOR = ("--kube-version", "1.29.0", "--api-versions", "monitoring.coreos.com/v1")


@pytest.mark.timeout(120, func_only=True)
def test_the_rules_and_dashboards_of_the_chart_show_the_pods(
    prometheus: Prometheus, installed: Namespace, pod: Pod, tmp_path: Path, measured: Measured
) -> None:
    """By a Prometheus with the chart's rules that follows the cluster's, whose configuration is not ours."""
    values = ("--set", "prometheusRule.enabled=true", "--show-only", "templates/prometheusrule.yaml")
    rendered = installed.helm("template", RELEASE, str(CHART), *values, *WITH_OPERATOR)
    following = {
        "job_name": "cluster",
        "metrics_path": "/federate",
        "honor_labels": True,
        "params": {"match[]": [f'{{namespace="{installed.name}"}}']},
        "static_configs": [{"targets": [prometheus.address.removeprefix("http://")]}],
        # As docs/monitoring.md has it for pods that are found by their annotations.
        "metric_relabel_configs": [{"target_label": "job", "replacement": RELEASE}],
    }
    rules = yaml.safe_dump(yaml.safe_load(rendered)["spec"])
    with (
        pod.calling(own(HEADLESS, "--token-file", "/token/token")),
        monitoring_prometheus(tmp_path, rules, [following]) as at,
    ):
        records = {rule["name"] for rule in at.rules() if rule["type"] == "recording"}
        until(lambda: {name for name in records if not at.values(name)} <= {SETTLED}, seconds=30)
        assert {rule["health"] for rule in at.rules()} == {"ok"}
        assert [rule["name"] for rule in at.rules() if rule.get("state") == "firing"] == []

        selector = f"app.kubernetes.io/instance={RELEASE},grafana_dashboard=1"
        queries = {
            (board["title"], panel["title"]): target["expr"]
            for one in installed.get("configmaps", "--selector", selector)["items"]
            for board in [json.loads(text) for text in one["data"].values()]
            if not board["title"].endswith("clients")
            for panel in flattened(board["panels"])
            for target in panel.get("targets", ())
        }
        assert len({title for title, _ in queries}) == 3
        empty = [name for name, query in queries.items() if not at.values(chosen(query))]
        assert {panel for _, panel in empty} <= NO_DATA, empty
        evaluated = len(at.rules())
    measured(
        f"a Prometheus with the chart's {evaluated} rules evaluated all, none fired, and"
        f" {len(queries) - len(empty)} of {len(queries)} panels of the chart's dashboards had data"
    )


def flattened(panels: list[Any]) -> Iterator[Any]:
    """The panels, and those of collapsed rows."""
    for panel in panels:
        yield panel
        yield from flattened(panel.get("panels", []))
