"""How close a server is to its limits."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_THREADS = Path("/proc/self/task")


@dataclass(frozen=True)
class Concurrency:
    """How many calls of a kind run or wait for a worker, and how many may."""

    running: Callable[[], int]
    most: int


def count_concurrency(registry: CollectorRegistry, kinds: Mapping[str, Concurrency]) -> None:
    """Registers `grpc_server_concurrency` and `grpc_server_concurrency_limit`, by kind of calls."""
    registry.register(_Concurrency(kinds))


def count_queue(registry: CollectorRegistry, workers: int, queued: Callable[[], int]) -> None:
    """Registers `grpc_server_workers` and `grpc_server_queued`: unary calls that wait for a worker."""
    size = Gauge("grpc_server_workers", "Threads for unary calls.", registry=registry)
    size.set(workers)
    waiting = Gauge("grpc_server_queued", "Unary calls that wait for a worker.", registry=registry)
    waiting.set_function(queued)


def show_drain(registry: CollectorRegistry, draining: Callable[[], bool]) -> None:
    """Registers `grpc_server_draining`, which is 1 from the signal to end until the process ends."""
    shown = Gauge("grpc_server_draining", "1 while the server drains, otherwise 0.", registry=registry)
    shown.set_function(draining)


def show_readiness(registry: CollectorRegistry, ready: Callable[[], bool]) -> None:
    """Registers `grpc_server_ready`, as `/readyz` answers."""
    shown = Gauge("grpc_server_ready", "1 while the server is ready, otherwise 0.", registry=registry)
    shown.set_function(ready)


def count_threads(registry: CollectorRegistry) -> None:
    """Registers `process_threads`, which the library lacks; like its other metrics, on Linux only."""
    if _THREADS.exists():
        threads = Gauge("process_threads", "Number of OS threads in the process.", registry=registry)
        threads.set_function(lambda: sum(1 for _ in _THREADS.iterdir()))


class _Concurrency(Collector):
    """Reads the numbers when it is scraped, so that a call costs nothing more."""

    def __init__(self, kinds: Mapping[str, Concurrency]) -> None:
        self._kinds = kinds

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = GaugeMetricFamily(
            "grpc_server_concurrency", "Calls that run or wait for a worker, by kind.", labels=["kind"]
        )
        most = GaugeMetricFamily(
            "grpc_server_concurrency_limit", "How many of them the server admits.", labels=["kind"]
        )
        for kind, one in self._kinds.items():
            now.add_metric([kind], one.running())
            most.add_metric([kind], one.most)
        yield now
        yield most
