"""A Prometheus in the cluster finds the pods by the chart's annotations, and has exactly the calls made."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from app.core.code import CODE_LABELS
from app.core.method import UNKNOWN, Arity
from app.services import SERVICES
from tests.e2e.calling import PROTO, Call, Ghz, Pod, ghz, own, stock
from tests.e2e.cluster import RELEASE, ROOT, Cluster, Namespace, succeed
from tests.e2e.prometheus import Prometheus

HEADLESS = "dns:///quoter-headless:50051"
METHOD = ("grpc_type", "grpc_service", "grpc_method")
SECONDS = 15  # of steady calls, in which every connection comes of age
EACH = 60  # calls of those that are counted out
# Kubernetes asks for health whenever it likes.
OURS = 'grpc_service!="grpc.health.v1.Health"'

Measured = Callable[[str], None]
Counts = Counter[tuple[str, ...]]


@pytest.fixture(scope="module")
def installed(namespace: Namespace) -> Iterator[Namespace]:
    """The chart's default values but for the drain, which is not looked at here."""
    namespace.install(RELEASE, "--set", "drain.delaySeconds=0")
    yield namespace
    namespace.uninstall(RELEASE)


@pytest.fixture(scope="module")
def pod(installed: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Pod:
    found = Pod(installed, {"/token": "quoter-token"})
    found.put(ROOT / "protos" / "Calc.proto")
    found.put(forgetful(tmp_path_factory.mktemp("protos")))
    return found


def forgetful(directory: Path) -> Path:
    """A proto of the Quoter with a method that the server does not have."""
    file = directory / "forgetful.proto"
    file.write_text(
        PROTO.read_text().replace(
            "service Quoter {", "service Quoter { rpc Forget(QuoteRequest) returns (QuoteReply);"
        )
    )
    return file


def counted_out(pod: Pod, proto: str, path: str, data: object, token: str = "") -> list[Call]:
    """What became of so many calls by a stock client in Go. Without a token it sends none."""
    metadata = {"authorization": f"Bearer {token}"} if token else {}
    command = (
        *("/work/ghz", "--insecure", "--proto", f"/work/{proto}", "--call", path, "--data", json.dumps(data)),
        *("--metadata", json.dumps(metadata), "--format", "json", "--lb-strategy", "round_robin"),
        *("--total", str(EACH), "--concurrency", "4", "--rps", "60", HEADLESS),
    )
    client = Ghz("Go, counted out", command, {path.rpartition("/")[2]: EACH})
    return client.parsed(pod.run(*client.command))


def labels() -> dict[str, tuple[str, ...]]:
    """By its name, how each method is labelled; there are no two of one name."""
    served = [method for service in SERVICES for method in service.descriptor.methods]
    arities = [
        Arity.of(request_streaming=one.client_streaming, response_streaming=one.server_streaming)
        for one in served
    ]
    found = {
        one.name: (arity.value, one.containing_service.full_name, one.name)
        for one, arity in zip(served, arities, strict=True)
    }
    assert len(found) == len(served)
    return found | {"Forget": (UNKNOWN.arity.value, UNKNOWN.service, UNKNOWN.name)}


def by_labels(calls: list[Call]) -> Counts:
    methods = labels()
    return Counter((*methods[call.method], CODE_LABELS[grpc.StatusCode[call.code]]) for call in calls)


def table(counts: Counts) -> str:
    return "\n".join(f"{count:8,}  {' '.join(key)}" for key, count in sorted(counts.items()))


def settled(ask: Callable[[], Counts], wanted: Counts, seconds: float = 30) -> Counts:
    """What is found once it is what is wanted, or after so long."""
    end = time.monotonic() + seconds
    while (found := ask()) != wanted and time.monotonic() < end:
        time.sleep(0.5)
    return found


@pytest.mark.timeout(120, func_only=True)
def test_every_pod_is_found_by_its_annotations_and_no_other_is(
    prometheus: Prometheus, installed: Namespace, pod: Pod
) -> None:
    pods = installed.pods(RELEASE)
    wanted = Counter(
        (one["metadata"]["name"], f"http://{one['status']['podIP']}:9464/metrics", "up") for one in pods
    )
    assert len(wanted) == 2
    assert pod.name not in {name for name, *_ in wanted}

    def scraped() -> Counts:
        targets = prometheus.targets(installed.name)
        return Counter((name, one["scrapeUrl"], one["health"]) for name, one in targets.items())

    found = settled(scraped, wanted)
    assert found == wanted, f"scraped:\n{table(found)}\nthe pods:\n{table(wanted)}"


@pytest.mark.timeout(240, func_only=True)
def test_the_calls_counted_over_all_pods_are_those_that_were_made(
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
    quote = {"quote": "What is counted counts.", "author": "Nobody"}
    calls += counted_out(pod, PROTO.name, "quotes.Quoter/AddQuotes", [quote, quote], token)
    calls += counted_out(pod, PROTO.name, "quotes.Quoter/AddQuotes", [quote, {}], token)
    calls += counted_out(pod, PROTO.name, "quotes.Quoter/ListQuotes", {"limit": -1}, token)
    calls += counted_out(pod, PROTO.name, "quotes.Quoter/Converse", [{}, {}])
    calls += counted_out(pod, PROTO.name, "quotes.Quoter/GetQuote", {})
    calls += counted_out(pod, "Calc.proto", "calc.Calculator/Divide", {"n1": 1}, token)
    calls += counted_out(pod, "Calc.proto", "calc.Calculator/Add", {"n1": 2**31 - 1, "n2": 1}, token)
    calls += counted_out(pod, "forgetful.proto", "quotes.Quoter/Forget", {}, token)

    made = by_labels(calls)
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
        f"Prometheus counted {handled.total():,} of {made.total():,} calls, the same by methods and codes"
        f" ({listed}; {callers}), on {len(shares)} pods"
    )


@pytest.mark.timeout(60, func_only=True)
def test_prometheus_takes_the_configuration_and_the_alert_rules_of_deploy(
    prometheus: Prometheus, cluster: Cluster
) -> None:
    del prometheus  # promtool comes with it
    if shutil.which("promtool", path=cluster.env["PATH"]) is None:
        pytest.skip("not on the PATH: promtool")
    checked = succeed("promtool", "check", "config", "deploy/prometheus/prometheus.yml", env=cluster.env)
    assert "SUCCESS: 3 rules found" in checked
