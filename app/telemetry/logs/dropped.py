"""Lines that were dropped, by reason."""

from collections.abc import Iterator, Mapping
from threading import RLock
from typing import Literal

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

# queue_full: too many lines wait, because the reader of the log is slow or has stopped. rate_limit: standard
# error has too many. write_failed: the disk is full, or the reader is gone.
Reason = Literal["queue_full", "rate_limit", "write_failed"]
REASONS: tuple[Reason, ...] = ("queue_full", "rate_limit", "write_failed")


class Dropped:
    """Counts by reason. A thread may add while it adds: garbage collection runs code that logs."""

    def __init__(self) -> None:
        self._lock = RLock()
        self._counts: dict[Reason, int] = dict.fromkeys(REASONS, 0)
        self._reported: Mapping[Reason, int] = self.counts()

    def add(self, reason: Reason, lines: int = 1) -> None:
        with self._lock:
            self._counts[reason] += lines

    def counts(self) -> dict[Reason, int]:
        with self._lock:
            return dict(self._counts)

    def unreported(self) -> dict[str, int]:
        """Those that no line in the log has reported, reasons without any left out."""
        counts = self.counts()
        new = {reason: count - self._reported[reason] for reason, count in counts.items()}
        return {reason: count for reason, count in new.items() if count}

    def report(self, counts: Mapping[str, int]) -> None:
        """Notes that a line has reported these."""
        self._reported = {reason: count + counts.get(reason, 0) for reason, count in self._reported.items()}


def count_dropped(registry: CollectorRegistry) -> None:
    """Registers `log_lines_dropped_total`, if structlog is configured by `logs`."""
    lines = structlog.get_config()["logger_factory"]()
    dropped = getattr(lines, "dropped", None)
    if isinstance(dropped, Dropped):
        registry.register(_Metric(dropped))


class _Metric(Collector):
    """Reads the counts when it is scraped: a counter of the library has a lock that a thread takes once."""

    def __init__(self, dropped: Dropped) -> None:
        self._dropped = dropped

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily("log_lines_dropped", "Log lines dropped, by reason.", labels=["reason"])
        for reason, count in self._dropped.counts().items():
            family.add_metric([reason], count)
        yield family
