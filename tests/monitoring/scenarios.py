"""Servers as Prometheus would see them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.core.name import NAME
from tests.monitoring.promtool import HOUR, SELECTED, SERVICE, Series

Phase = tuple[float, float]  # for how many seconds, and calls per second, or another value
Phases = Sequence[Phase]


def counter(phases: Phases, interval: int) -> str:
    """A counter that grows by so many per second, phase by phase, in promtool's notation."""
    parts, value = ["0"], 0.0
    for seconds, rate in phases:
        step, times = rate * interval, round(seconds / interval)
        parts.append(f"{value + step:.12g}+{step:.12g}x{times - 1}")
        value += step * times
    return " ".join(parts)


def gauge(phases: Phases, interval: int) -> str:
    """A gauge with the value of each phase, and that of the last one once more, as counters have one more."""
    end = (interval, phases[-1][1])
    return " ".join(f"{value:.12g}x{round(seconds / interval) - 1}" for seconds, value in (*phases, end))


@dataclass(frozen=True)
class Pod:
    """A pod with its calls per second by code; all phases of a pod take the same time."""

    codes: Mapping[str, Phases]
    name: str = "pod-1"
    fast: Phases = ()  # unary calls within the objective; if empty, all
    refused: Phases = ()
    gauges: Mapping[str, Phases] = field(default_factory=dict)
    concurrency: Mapping[str, Phases] = field(default_factory=dict)
    job: str = NAME
    service: str = "probe.Probe"
    started: float = -HOUR
    absent: float = 0  # seconds until it is there
    interval: int = 15

    @property
    def seconds(self) -> float:
        return sum(seconds for seconds, _ in next(iter(self.codes.values())))

    def series(self) -> Iterator[Series]:
        idle = ((self.seconds, 0.0),)
        service = SERVICE | {"grpc_service": self.service}
        for code, phases in ({"OK": idle, "Internal": idle, "Unavailable": idle} | dict(self.codes)).items():
            yield self._counter("grpc_server_handled_total", phases, service | {"grpc_code": code})
        every = [(same[0][0], sum(rate for _, rate in same)) for same in self._aligned()]
        bucket = "grpc_server_handling_seconds_bucket"
        yield self._counter("grpc_server_handling_seconds_count", every, service)
        yield self._counter(bucket, self.fast or every, service | {"le": "0.25"})
        yield self._counter(bucket, every, service | {"le": "+Inf"})
        for reason, phases in {"limit": self.refused or idle, "share": idle}.items():
            yield self._counter("grpc_server_refused_total", phases, service | {"reason": reason})
        gauges = {
            "up": 1.0,
            "grpc_server_ready": 1,
            "grpc_server_draining": 0,
            "process_start_time_seconds": self.started,
            "grpc_server_workers": 32,
        }
        for metric, value in gauges.items():
            yield self._gauge(metric, self.gauges.get(metric, ((self.seconds, value),)), {})
        for kind, limit in {"calls": 1000, "streams": 100, "health_watches": 1000}.items():
            used = self.concurrency.get(kind, ((self.seconds, 1.0),))
            yield self._gauge("grpc_server_concurrency", used, {"kind": kind})
            yield self._gauge("grpc_server_concurrency_limit", ((self.seconds, limit),), {"kind": kind})

    def _aligned(self) -> list[tuple[Phase, ...]]:
        return list(zip(*self.codes.values(), strict=True))

    def _counter(self, metric: str, phases: Phases, labels: Mapping[str, str]) -> Series:
        return self._one(metric, counter(phases, self.interval), labels)

    def _gauge(self, metric: str, phases: Phases, labels: Mapping[str, str]) -> Series:
        return self._one(metric, gauge(phases, self.interval), labels)

    def _one(self, metric: str, values: str, labels: Mapping[str, str]) -> Series:
        target = SELECTED | {"job": self.job, "instance": f"{self.name}:9464", "pod": self.name}
        before = f"_x{round(self.absent / self.interval)} " if self.absent else ""
        return Series(metric, {**target, **labels}, before + values)


def of(*pods: Pod) -> list[Series]:
    return [series for pod in pods for series in pod.series()]
