"""An OpenTelemetry Collector and Jaeger, as processes on this machine."""

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.network.ports import unused_ports
from tests.support.waiting import until

_PROGRAMS = Path(sys.executable).parent
OTELCOL = _PROGRAMS / "otelcol"
WEB = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # they are on this machine


class StoredSpan(NamedTuple):
    service: str
    name: str
    kind: str  # server, client or internal
    trace_id: str
    span_id: str
    parent: str  # empty for the first of a trace
    attributes: Mapping[str, Any]


class _Process:
    """A program that listens on ports of its own, and can be killed and started again on the same ones."""

    def __init__(self, name: str, arguments: list[str], log: Path, ports: list[int]) -> None:
        self._command = [str(_PROGRAMS / name), *arguments]
        self._log = log
        self._ports = ports
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._running = subprocess.Popen(self._command, stdout=output, stderr=output)
        until(lambda: all(map(self._listens, self._ports)), seconds=20)

    def _listens(self, port: int) -> bool:
        assert self._running is not None
        assert self._running.poll() is None, self._log.read_text()
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", port)) == 0

    def send(self, number: signal.Signals) -> None:
        assert self._running is not None
        self._running.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._running is not None:
            self._running.send_signal(number)
            self._running.wait(20)
            self._running = None


class OtelCollector(_Process):
    """It writes all spans to a file, and passes them on to Jaeger if there is one."""

    def __init__(self, folder: Path, forward_to: str | None) -> None:
        grpc, http = unused_ports(2)
        self.endpoints = {"grpc": f"http://127.0.0.1:{grpc}", "http/protobuf": f"http://127.0.0.1:{http}"}
        self._file = folder / "spans.jsonl"
        configuration = folder / "collector.yaml"
        exporters: dict[str, Any] = {
            "file": {"path": str(self._file), "append": True, "flush_interval": "50ms"}
        }
        if forward_to is not None:
            exporters["otlp"] = {"endpoint": forward_to, "tls": {"insecure": True}}
        receiver = {"grpc": {"endpoint": f"127.0.0.1:{grpc}"}, "http": {"endpoint": f"127.0.0.1:{http}"}}
        configuration.write_text(collector_configuration(receiver, exporters))
        super().__init__("otelcol", ["--config", str(configuration)], folder / "collector.log", [grpc, http])

    def spans(self) -> list[StoredSpan]:
        """Those of whole lines in the file."""
        if not self._file.exists():
            return []
        return spans_of(self._file.read_text())


class Jaeger(_Process):
    """It keeps spans in memory."""

    def __init__(self, folder: Path) -> None:
        otlp, self._web, *others = unused_ports(7)
        self.otlp = f"127.0.0.1:{otlp}"
        names = [
            "collector.otlp.grpc",
            "query.http-server",
            "collector.otlp.http",
            "collector.grpc-server",
            "collector.http-server",
            "query.grpc-server",
            "admin.http",
        ]
        ports = [otlp, self._web, *others]
        arguments = [f"--{name}.host-port=127.0.0.1:{port}" for name, port in zip(names, ports, strict=True)]
        super().__init__("jaeger", arguments, folder / "jaeger.log", ports)

    def trace(self, trace_id: str) -> list[StoredSpan]:
        """The spans of that trace; none while it is unknown."""
        try:
            with WEB.open(f"http://127.0.0.1:{self._web}/api/traces/{trace_id}", timeout=5) as answer:
                [found] = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return []
        return [_of_jaeger(span, found["processes"]) for span in found["spans"]]


@contextmanager
def collector(folder: Path, jaeger: Jaeger | None = None) -> Iterator[OtelCollector]:
    """Starts a collector; it does not outlive the context."""
    _require("otelcol")
    made = OtelCollector(folder, jaeger.otlp if jaeger else None)
    with ExitStack() as opened:
        opened.callback(made.end, signal.SIGKILL)
        made.start()
        yield made


@contextmanager
def jaeger(folder: Path) -> Iterator[Jaeger]:
    """Starts Jaeger; it does not outlive the context."""
    _require("jaeger")
    made = Jaeger(folder)
    with ExitStack() as opened:
        opened.callback(made.end, signal.SIGKILL)
        made.start()
        yield made


def collector_command() -> list[str]:
    """Runs a collector, if its options follow."""
    _require("otelcol")
    return [str(_PROGRAMS / "otelcol")]


def _require(program: str) -> None:
    if not (_PROGRAMS / program).exists():
        pytest.skip(f"{program} is required: make tracing builds it")


def collector_configuration(receiver: Mapping[str, Any], exporters: Mapping[str, Any]) -> str:
    """Of a collector that takes spans by these protocols, and passes them to these exporters."""
    return yaml.safe_dump(
        {
            "receivers": {"otlp": {"protocols": dict(receiver)}},
            "exporters": dict(exporters),
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"traces": {"receivers": ["otlp"], "exporters": list(exporters)}},
            },
        }
    )


def spans_of(written: str) -> list[StoredSpan]:
    """The spans of the whole lines in what a collector has written."""
    lines = written.splitlines(keepends=True)
    return [span for line in lines if line.endswith("\n") for span in _spans_of(json.loads(line))]


def _spans_of(line: Any) -> Iterator[StoredSpan]:
    """The spans of a request in OTLP's JSON."""
    kinds = {2: "server", 3: "client"}
    for resource in line["resourceSpans"]:
        service = _values(resource["resource"]["attributes"])["service.name"]
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                yield StoredSpan(
                    service,
                    span["name"],
                    kinds.get(span["kind"], "internal"),
                    span["traceId"],
                    span["spanId"],
                    span.get("parentSpanId", ""),
                    _values(span["attributes"]),
                )


def _values(attributes: list[Any]) -> dict[str, Any]:
    """OTLP's JSON has 64-bit integers as text."""
    found = {}
    for one in attributes:
        [(kind, value)] = one["value"].items()
        found[one["key"]] = int(value) if kind == "intValue" else value
    return found


def _of_jaeger(span: Any, processes: Any) -> StoredSpan:
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    parents = [one["spanID"] for one in span["references"] if one["refType"] == "CHILD_OF"]
    return StoredSpan(
        processes[span["processID"]]["serviceName"],
        span["operationName"],
        tags.get("span.kind", "internal"),
        span["traceID"],
        span["spanID"],
        "".join(parents),
        tags,
    )
