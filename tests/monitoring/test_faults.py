"""Each fault of docs/faults.md shows on panels, as an alert, in traces and in the log, as the page says."""

import math
import re
import shlex
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import grpc
import pytest

from app.core.name import NAME
from deploy import monitoring
from tests.docs.pages import PAGES
from tests.gen import probe_pb2 as pb
from tests.gen import probe_pb2_grpc
from tests.monitoring.cases import LONG
from tests.monitoring.prometheus import Prometheus, prometheus, scraping
from tests.monitoring.test_dashboards import QUERIES
from tests.support.servers.collector import CollectedSpan, collecting
from tests.support.servers.process import ServerProcess, run, server_process
from tests.support.waiting import until

[PAGE] = [page for page in PAGES if page.name == "docs/faults.md"]
# Each section about a fault, by its heading.
SECTIONS = {
    title: text
    for title, text in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.text, flags=re.MULTILINE | re.DOTALL)
    if title != "Start"
}
# The alerts that the page names.
NAMED = {title: set(re.findall(r"the alert `(\w+)`", text)) for title, text in SECTIONS.items()}
PROGRAM = """
from tests.support.servers.program import add_probe
from deploy.faults.__main__ import add_faults
from app.__main__ import main

add_probe()
add_faults()
main()
"""
pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("faults")]

RATE = 20  # calls a second
SECONDS = 14  # of load with the fault, before anything is asked
DEADLINE = 5.0
MIB = 1024**2


def command(section: str) -> list[str]:
    """The options of `faults` in the first block of the section."""
    [line] = re.findall(r"^python -m deploy\.faults faults (.+)$", SECTIONS[section], flags=re.MULTILINE)
    return shlex.split(line)


def rows(section: str) -> list[str]:
    """What the section says to look at."""
    return re.findall(r"^\| (.+?) \| .+ \|$", SECTIONS[section], flags=re.MULTILINE)[1:]


# Of each row of a table: whether what it says can be seen.
Expected = dict[str, Callable[[], object]]


@dataclass
class Broken:
    """A server with one fault, under load, and what was seen of it."""

    namespace: str
    server: ServerProcess
    prometheus: Prometheus
    spans: list[CollectedSpan]

    def values(self, panel: str) -> list[float]:
        """Those of the panel's first query, for this server and the method that is called."""
        [query] = [one.expr for name, one in QUERIES.items() if name == f"{panel} (0)"]
        chosen = {
            "namespace": self.namespace,
            "job": ".+",
            "instance": ".+",
            "service": ".+",
            "method": "Unary",
        }
        query = query.replace("$__rate_interval", "8s")
        return self.prometheus.values(re.sub(r"\$(\w+)", lambda found: chosen[found[1]], query))

    @property
    def firing(self) -> set[str]:
        alerts = self.prometheus.get("alerts")["alerts"]
        return {
            one["labels"]["alertname"]
            for one in alerts
            if one["state"] == "firing" and one["labels"].get("namespace") == self.namespace
        }

    def exemplars(self) -> set[str]:
        """The traces of those on the heatmap of durations."""
        now = time.time()
        expression = f'grpc_server_handling_seconds_bucket{{namespace="{self.namespace}"}}'
        series = self.prometheus.get("query_exemplars", query=expression, start=str(now - 60), end=str(now))
        return {one["labels"]["trace_id"] for each in series for one in each["exemplars"]}

    def lines(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.server.logged() if line["event"] == event]

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [line for line in self.lines("call") if line["method"] == "Unary"]

    @property
    def late(self) -> list[dict[str, Any]]:
        """The calls that have taken longer than their clients waited."""
        return [line for line in self.calls if line["duration_ms"] > DEADLINE * 1000]

    @property
    def probed(self) -> list[CollectedSpan]:
        return [span for span in self.spans if span.name == "/probe.Probe/Unary"]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Broken]]:
    """A server for each section, all at the same time, each with its fault for a while."""
    # The alerts of the page wait minutes, so that a short trouble pages nobody.
    named = "|".join(name for names in NAMED.values() for name in names)
    rules = re.sub(rf"(alert: (?:{named})\n(?:(?!- ).*\n)*?\s+for: )\w+", r"\g<1>0s", monitoring.rules())
    with ExitStack() as opened:
        servers: dict[str, tuple[ServerProcess, list[CollectedSpan]]] = {}
        for title in SECTIONS:
            collector, endpoint = opened.enter_context(collecting())
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "500"}
            server = opened.enter_context(server_process(("-c", PROGRAM, "serve"), **variables))
            servers[title] = server, collector.spans
        for title, (server, _) in servers.items():
            done = run("faults", "--target", server.target, *command(title), module="deploy.faults")
            assert done.returncode == 0, done.stderr
        ended = threading.Event()
        for server, _ in servers.values():
            caller = threading.Thread(target=load, args=(server.target, ended))
            caller.start()
            opened.callback(caller.join)
        opened.callback(ended.set)
        # Last: what it has seen without load would count in averages.
        targets = {
            NAME: [(server.metrics, {"namespace": _slug(title)}) for title, (server, _) in servers.items()]
        }
        at = opened.enter_context(prometheus(tmp_path_factory.mktemp("faults"), rules, scraping(targets)))
        time.sleep(SECONDS)
        yield {title: Broken(_slug(title), server, at, spans) for title, (server, spans) in servers.items()}


def least(values: Iterable[float]) -> float:
    """The least of the values; not a number if there are none."""
    return min(values, default=math.nan)


def _slug(title: str) -> str:
    return title.lower().replace(" ", "-")


def load(target: str, ended: threading.Event) -> None:
    """Calls at a steady rate, whether or not earlier ones have ended."""
    with grpc.insecure_channel(target) as channel:
        stub: Any = probe_pb2_grpc.ProbeStub(channel)
        calls = []
        while not ended.wait(1 / RATE):
            calls.append(stub.Unary.future(pb.ProbeRequest(text="a"), timeout=DEADLINE))
        for call in calls:
            call.cancel()


def slow(one: Broken) -> Expected:
    duration = "overview: Duration of unary calls"
    return {
        f"*{duration}*": lambda: least(one.values(duration)) > 0.5,
        "*instances: Saturation*": lambda: 0.15 < least(one.values("instances: Saturation")) < 0.6,
        "*methods: Durations*": lambda: one.exemplars() & {span.trace_id for span in one.probed},
        "the alert `GrpcLatencyBudgetBurnsFast`": lambda: "GrpcLatencyBudgetBurnsFast" in one.firing,
        "the trace": lambda: least(span.seconds for span in one.probed) > 0.5,
        "the log line `call`": lambda: least(line["duration_ms"] for line in one.calls) > 500,
    }


def failing(one: Broken) -> Expected:
    by_code, failed = "overview: Rate by code", "overview: Failed by the server's fault"
    alert = "GrpcAvailabilityBudgetBurnsFast"
    return {
        f"*{by_code}*": lambda: len([rate for rate in one.values(by_code) if rate]) == 2,
        f"*{failed}*": lambda: 0.15 < least(one.values(failed)) < 0.25,
        f"the alert `{alert}`": lambda: alert in one.firing,
        "the trace": lambda: {(span.failed, span.code) for span in one.probed} == {(False, 0), (True, 13)},
        "the log line `call`": lambda: {line["code"] for line in one.calls} == {"OK", "Internal"},
    }


def stuck(one: Broken) -> Expected:
    return {
        "*instances: Saturation*": lambda: least(one.values("instances: Saturation")) > 0.9,
        "*overview: In flight*": lambda: least(one.values("overview: In flight")) >= 30,
        "the alert `GrpcServerSaturated`": lambda: "GrpcServerSaturated" in one.firing,
        "the trace": lambda: one.probed and max(span.seconds for span in one.probed) < DEADLINE,
        "the log line `call`": lambda: (
            one.calls and max(line["duration_ms"] for line in one.calls) < 1000 * DEADLINE
        ),
    }


def not_ready(one: Broken) -> Expected:
    event, service = "service_not_ready", "faults.v1.FaultsService"
    return {
        "*instances: Ready*": lambda: one.values("instances: Ready") == [0],
        "the alert `GrpcServerNotReady`": lambda: "GrpcServerNotReady" in one.firing,
        f"the log line `{event}`": lambda: [line["service"] for line in one.lines(event)] == [service],
    }


def growing(one: Broken) -> Expected:
    return {"*instances: Memory*": lambda: least(one.values("instances: Memory")) > 300 * MIB}


EXPECTED: dict[str, Callable[[Broken], Expected]] = {
    "Slow calls": slow,
    "Calls that fail": failing,
    "Calls that never end": stuck,
    "Not ready": not_ready,
    "Memory that grows": growing,
}


def test_every_fault_of_the_page_is_tried() -> None:
    assert list(SECTIONS) == list(EXPECTED)


@pytest.mark.parametrize("section", EXPECTED)
def test_a_fault_shows_where_the_page_says(section: str, broken: dict[str, Broken]) -> None:
    expected = EXPECTED[section](broken[section])
    assert list(expected) == rows(section)
    for row, holds in expected.items():
        end = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < end, f"{section}: {row}"
            time.sleep(0.5)


def test_each_fault_fires_the_alerts_that_the_page_names_and_no_others(broken: dict[str, Broken]) -> None:
    until(lambda: all(NAMED[title] <= one.firing for title, one in broken.items()), seconds=60)
    # What is down for a moment, because this machine is busy, is not firing: these wait for minutes.
    assert {title: one.firing - LONG for title, one in broken.items()} == NAMED


def test_stuck_calls_are_logged_and_traced_once_the_fault_is_off(broken: dict[str, Broken]) -> None:
    one = broken["Calls that never end"]
    until(lambda: one.values("overview: In flight") == [30], seconds=60)
    done = run("faults", "--target", one.server.target, "--off", module="deploy.faults")
    assert done.stdout == "all off\n"
    until(
        lambda: len([line for line in one.calls if line["duration_ms"] > DEADLINE * 1000]) == 30, seconds=60
    )
    until(lambda: len([span for span in one.probed if span.seconds > DEADLINE]) == 30, seconds=60)
