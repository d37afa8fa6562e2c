"""A metrics port that shows what a test tells it to."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from app.core.address import Address
from app.core.shown_setting import ShownSetting
from app.runtime.metrics_port import metrics_port
from app.runtime.status_page import Details, State, StatusPage
from app.telemetry.metric_names import LABELS

READY = State("ready")


@dataclass(eq=False)  # a registry needs its hash
class Faked(Collector):
    """`handled` are numbers of calls by service, method and code; `errors` the last ones."""

    handled: dict[tuple[str, str, str], float]
    errors: list[dict[str, Any]] = field(default_factory=list)
    settings: Mapping[str, Sequence[ShownSetting]] = field(default_factory=dict)
    state: State = READY
    details: bool = True

    def collect(self) -> Iterator[Metric]:
        started = CounterMetricFamily("grpc_server_started", "Calls.", labels=LABELS)
        family = CounterMetricFamily("grpc_server_handled", "Calls.", labels=(*LABELS, "grpc_code"))
        for (service, method, code), count in self.handled.items():
            started.add_metric(("unary", service, method), count)
            family.add_metric(("unary", service, method, code), count)
        yield started
        yield family


@contextmanager
def faked_port(shown: Faked, port: int = 0) -> Iterator[Address]:
    registry = CollectorRegistry()
    registry.register(shown)
    Gauge("grpc_server_queued", "Calls.", registry=registry)
    details = Details(shown.settings, lambda most: shown.errors[:most]) if shown.details else None
    page = StatusPage(lambda: shown.state, details)
    page.instance = "faked"
    listening = metrics_port(
        [Address("127.0.0.1", port)], registry, ready=bool, max_connections=32, timeout=5, page=page
    )
    with listening as [at]:
        yield at


def error(**fields: Any) -> dict[str, Any]:
    """A failed call, as `/status` has it."""
    usual = {
        "time": 1.0,
        "service": "acme.inventory.v1.InventoryService",
        "method": "GetItem",
        "code": "Internal",
        "message": "internal error",
        "refusal": "",
        "duration": 0.25,
        "peer": "ipv4:10.0.0.1:4711",
        "principal": "ann",
        "request_id": "order-7",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
    return usual | fields
