"""The queries of the dashboards find data in a Prometheus that scrapes servers under load."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import grpc
import prometheus_client
import pytest
import trustme
import yaml
from prometheus_client import CollectorRegistry

from app.client.channel import channel
from app.client.tls import Tls
from app.core.name import NAME
from deploy import monitoring
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.monitoring.prometheus import Prometheus, prometheus, scraping
from tests.support.certificates import NAMES, issued
from tests.support.servers.process import ROOT, server_process
from tests.support.waiting import until

pytestmark = pytest.mark.xdist_group("dashboards")

SECONDS = 12  # of load, before anything is asked
QUERIES = {
    f"{board.name}: {panel.title} ({number})": query
    for board in monitoring.boards()
    for row in board.rows
    for panel in row.panels
    for number, query in enumerate(panel.queries)
}
VARIABLES = {
    f"{board.name}: {one['name']}": one["query"]
    for board in monitoring.boards()
    for one in monitoring.loaded(board)["templating"]["list"]
    if one["type"] == "query"
}
EVERYTHING = {"namespace": ".*", "job": ".+", "instance": ".+", "service": ".+", "method": ".+"}


def chosen(text: str) -> str:
    """A text of a dashboard where `All` is chosen for each variable."""
    text = text.replace("$__rate_interval", "8s")
    return re.sub(r"\$(\w+)", lambda found: EVERYTHING[found[1]], text)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped two servers with TLS, and their client, for a while."""
    folder = tmp_path_factory.mktemp("scraped")
    ca = trustme.CA()
    pair = issued(ca, *NAMES)
    (folder / "cert").write_bytes(pair.certificate)
    (folder / "key").write_bytes(pair.key)
    ca.cert_pem.write_to_path(str(folder / "ca"))
    files = {"APP_TLS_CERT_FILE": str(folder / "cert"), "APP_TLS_KEY_FILE": str(folder / "key")}
    with ExitStack() as started:
        servers = [started.enter_context(server_process(APP_AUTH_MODE="none", **files)) for _ in range(2)]
        registry = CollectorRegistry()
        port, thread = prometheus_client.start_http_server(0, "127.0.0.1", registry)
        started.callback(thread.join)
        started.callback(port.server_close)
        started.callback(port.shutdown)
        jobs = {
            NAME: [
                (one.metrics, {"namespace": "here", "pod": f"pod-{number}"})
                for number, one in enumerate(servers)
            ],
            "client": [(f"127.0.0.1:{port.server_port}", {"namespace": "here", "pod": "client-0"})],
        }
        at = started.enter_context(prometheus(folder, monitoring.rules(), scraping(jobs)))
        ended = threading.Event()
        callers = [
            threading.Thread(target=load, args=(one.target, Tls(folder / "ca"), registry, ended))
            for one in servers
        ]
        for caller in callers:
            caller.start()
        time.sleep(SECONDS)
        yield at
        ended.set()
        for caller in callers:
            caller.join()


def load(target: str, tls: Tls, registry: CollectorRegistry, ended: threading.Event) -> None:
    """Calls of each arity, good and bad ones, until the end."""
    address = f"localhost:{target.rpartition(':')[2]}"
    with channel(address, tls=tls, metrics=registry) as opened:
        stub: Any = probe_pb2_grpc.ProbeStub(opened)
        calls: list[Callable[[], object]] = [
            lambda: stub.Unary(pb.ProbeRequest(text="a"), timeout=5),
            lambda: list(stub.ServerStream(pb.ProbeRequest(text="a", count=3), timeout=5)),
            lambda: stub.ClientStream(iter([pb.ProbeRequest(text="a")] * 3), timeout=5),
            lambda: list(stub.BidiStream(iter([pb.ProbeRequest(text="a")] * 3), timeout=5)),
            lambda: stub.Unary(pb.ProbeRequest(text="wrong"), timeout=5),
        ]
        while not ended.is_set():
            for call in calls:
                try:
                    call()
                except grpc.RpcError as error:
                    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT  # noqa: PT017 - others succeed
            ended.wait(0.1)


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_of_a_panel_finds_data(name: str, scraped: Prometheus) -> None:
    expression = chosen(QUERIES[name].expr)
    until(lambda: scraped.values(expression), seconds=10)


@pytest.mark.parametrize("name", VARIABLES)
def test_a_variable_of_a_dashboard_has_values(name: str, scraped: Prometheus) -> None:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", chosen(VARIABLES[name]))
    assert found is not None
    assert scraped.get(f"label/{found[2]}/values", **{"match[]": found[1]})


def test_the_heatmap_of_durations_has_exemplars_with_the_traces_of_calls(scraped: Prometheus) -> None:
    [query] = [one for name, one in QUERIES.items() if name.startswith("methods: Durations")]
    assert query.exemplars
    now = time.time()
    found = scraped.get("query_exemplars", query=chosen(query.expr), start=str(now - 60), end=str(now))
    traces = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}
    assert traces
    assert all(re.fullmatch("[0-9a-f]{32}", trace) for trace in traces)


def test_the_autoscalers_metric_is_there_for_each_pod(scraped: Prometheus) -> None:
    """By the queries that prometheus-adapter makes of its configuration."""
    [rule] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "adapter.yml").read_text())["rules"]
    series, _, conditions = rule["seriesQuery"].rstrip("}").partition("{")
    found = scraped.get("series", **{"match[]": f"{series}{{{conditions}}}"})
    assert {one["pod"] for one in found} == {"pod-0", "pod-1"}
    query = rule["metricsQuery"]
    for name, value in {"Series": series, "LabelMatchers": 'namespace="here"', "GroupBy": "pod"}.items():
        query = query.replace(f"<<.{name}>>", value)
    assert len(scraped.values(query)) == 2


def test_prometheus_evaluates_every_rule_and_nothing_alerts(scraped: Prometheus) -> None:
    rules = scraped.rules()
    assert {rule["health"] for rule in rules} == {"ok"}, [rule.get("lastError") for rule in rules]
    assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []
