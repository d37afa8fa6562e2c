"""The figures of servers: rates between two scrapes, as Prometheus' `rate()` has them, and gauges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeVar

import grpc

from app.core.code import CODE_LABELS
from app.core.method import UNKNOWN
from app.tools.top import names
from app.tools.top.quantile import histogram_quantile
from app.tools.top.samples import Samples, Values

Key = TypeVar("Key", str, float)

_OK = CODE_LABELS[grpc.StatusCode.OK]


class State(StrEnum):
    """`gone`: it answered before, and does no longer; `no answer`: it has never answered."""

    READY = "ready"
    NOT_READY = "not ready"
    DRAINING = "draining"
    GONE = "gone"
    NO_ANSWER = "no answer"


class MethodName(NamedTuple):
    service: str
    name: str
    kind: str  # `grpc_type`

    @property
    def counts(self) -> bool:
        """Whether its calls count: not those of probes and reflection, and of methods that do not exist."""
        return not self.service.startswith(names.GRPCS_OWN) and self.service != UNKNOWN.service


@dataclass(frozen=True)
class MethodFigures:
    """Rates per second. `codes` are of calls that ended, `buckets` of their durations by upper bound.

    `used` is whether there has ever been a call, which rates do not tell.
    """

    codes: Mapping[str, float] = field(default_factory=dict)
    refused: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[float, float] = field(default_factory=dict)
    in_flight: float = 0.0
    used: bool = False

    @property
    def rate(self) -> float:
        return sum(self.codes.values())

    @property
    def errors(self) -> Mapping[str, float]:
        """The codes other than OK with calls, the most frequent first."""
        return _falling({code: rate for code, rate in self.codes.items() if code != _OK})

    @property
    def refusals(self) -> Mapping[str, float]:
        """The reasons with refused calls, the most frequent first."""
        return _falling(self.refused)

    def latency(self, percent: float) -> float | None:
        """Returns the percentile of the durations, in seconds; None if no call ended."""
        return histogram_quantile(percent / 100, self.buckets)

    def __add__(self, other: "MethodFigures") -> "MethodFigures":
        return MethodFigures(
            _sum(self.codes, other.codes),
            _sum(self.refused, other.refused),
            _sum(self.buckets, other.buckets),
            self.in_flight + other.in_flight,
            self.used or other.used,
        )


Methods = Mapping[MethodName, MethodFigures]


@dataclass(frozen=True)
class Usage:
    """How many calls of a kind there are, and how many the server admits."""

    running: float
    most: float

    @property
    def part(self) -> float:
        return self.running / self.most if self.most else 0.0


@dataclass(frozen=True, kw_only=True)
class ServerFigures:
    """What is known of one server. `rated` is whether there were two scrapes, so that there are rates.

    Figures of a server that does not answer are empty; `problem` says why it does not.
    """

    label: str
    state: State
    problem: str = ""
    version: str = ""
    uptime: float | None = None  # in seconds
    memory: float | None = None  # in bytes
    rated: bool = False
    methods: Methods = field(default_factory=dict)
    limits: Mapping[str, Usage] = field(default_factory=dict)
    queued: float = 0.0
    workers: float = 0.0

    @property
    def answers(self) -> bool:
        return self.state not in {State.GONE, State.NO_ANSWER}

    @property
    def rate(self) -> float:
        """The calls that ended per second, without probes and reflection."""
        return sum(method.rate for name, method in self.methods.items() if name.counts)


@dataclass(frozen=True)
class Figures:
    """The figures of all servers, in the order in which they were given."""

    servers: tuple[ServerFigures, ...]

    @property
    def rated(self) -> bool:
        return any(server.rated for server in self.servers)

    @property
    def rate(self) -> float:
        return sum(server.rate for server in self.servers)

    @property
    def methods(self) -> Methods:
        found: dict[MethodName, MethodFigures] = {}
        for server in self.servers:
            for name, method in server.methods.items():
                found[name] = found.get(name, MethodFigures()) + method
        return dict(sorted(found.items()))

    @property
    def error_part(self) -> float:
        """Which part of the calls did not end with OK."""
        methods = [method for name, method in self.methods.items() if name.counts]
        failed = sum(sum(method.errors.values()) for method in methods)
        return failed / self.rate if self.rate else 0.0

    def share(self, server: ServerFigures) -> float | None:
        """Returns the server's part of the calls; None without any."""
        return server.rate / self.rate if self.rate and server.rated else None


@dataclass(frozen=True)
class Reading:
    """The samples of one scrape. `at` is in seconds of a clock that only goes forward."""

    at: float
    clock: float  # the server's time
    samples: Samples


def figures_of(label: str, now: Reading, before: Reading | None) -> ServerFigures:
    """Returns the figures of a server that answers; without rates if there was no scrape before."""
    samples = now.samples
    seconds = now.at - before.at if before else 0.0
    started = samples.single(names.STARTED)
    limits = {
        kind: Usage(running, samples.of(names.LIMIT).get((kind,), 0.0))
        for (kind,), running in samples.of(names.CONCURRENCY).items()
    }
    return ServerFigures(
        label=label,
        state=_state(now),
        version=next((version for (version,) in samples.of(names.BUILD)), ""),
        uptime=None if started is None else max(0.0, now.clock - started),
        memory=samples.single(names.MEMORY),
        rated=seconds > 0,
        methods=_methods(samples, before.samples if before and seconds > 0 else None, seconds),
        limits=limits,
        queued=samples.single(names.QUEUED) or 0.0,
        workers=samples.single(names.WORKERS) or 0.0,
    )


def _state(reading: Reading) -> State:
    if reading.samples.single(names.DRAINING):
        return State.DRAINING
    return State.READY if reading.samples.single(names.READY) else State.NOT_READY


def _methods(now: Samples, before: Samples | None, seconds: float) -> Methods:
    codes = _rates(names.HANDLED, now, before, seconds)
    refused = _rates(names.REFUSED, now, before, seconds)
    buckets = _rates(names.BUCKET, now, before, seconds)
    in_flight = _by_method(now.of(names.IN_FLIGHT))
    handled = _by_method(now.of(names.HANDLED))
    return {
        method: MethodFigures(
            codes.get(method, {}),
            refused.get(method, {}),
            {float(bound): rate for bound, rate in buckets.get(method, {}).items()},
            sum(in_flight.get(method, {}).values()),
            any(counts.values()) or any(in_flight.get(method, {}).values()),
        )
        for method, counts in handled.items()
    }


def _rates(
    metric: str, now: Samples, before: Samples | None, seconds: float
) -> dict[MethodName, dict[str, float]]:
    """The increase per second of each series that both scrapes have, by method and by the last label.

    A counter that is less than before has started again at 0: its server was restarted.
    """
    if before is None:
        return {}
    then = before.of(metric)
    rates = {
        labels: (value - then[labels] if value >= then[labels] else value) / seconds
        for labels, value in now.of(metric).items()
        if labels in then
    }
    return _by_method(rates)


def _by_method(values: Mapping[Values, float]) -> dict[MethodName, dict[str, float]]:
    """Groups values by the labels of methods, which come first; what is left is the last label, or none."""
    found: dict[MethodName, dict[str, float]] = {}
    for (kind, service, name, *rest), value in values.items():
        found.setdefault(MethodName(service, name, kind), {})["".join(rest)] = value
    return found


def _sum(one: Mapping[Key, float], other: Mapping[Key, float]) -> dict[Key, float]:
    return {key: one.get(key, 0.0) + other.get(key, 0.0) for key in {**one, **other}}


def _falling(rates: Mapping[str, float]) -> Mapping[str, float]:
    return dict(
        sorted(((key, rate) for key, rate in rates.items() if rate), key=lambda one: (-one[1], one[0]))
    )


def without_figures(label: str, problem: str, *, answered: bool) -> ServerFigures:
    """Returns what is known of a server that does not answer."""
    return ServerFigures(label=label, state=State.GONE if answered else State.NO_ANSWER, problem=problem)
