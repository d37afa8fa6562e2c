"""The figures of a load: counts of calls by code and backend, and percentiles of latencies."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Condition
from typing import Any

import grpc

from app.core.code import CODE_LABELS

UNKNOWN = "unknown"
_OK = CODE_LABELS[grpc.StatusCode.OK]
# Slots per doubling of the time: two times in one slot differ by at most 1.1 %.
_SLOTS = 64
_LEAST = 1e-6  # in seconds; shorter times count as this
_COUNT = math.ceil(math.log2(7 * 86_400 / _LEAST)) * _SLOTS


class Latencies:
    """A histogram of times in seconds, of constant size, whose percentiles are exact to 1 %."""

    def __init__(self, counts: list[int] | None = None, longest: float = 0.0) -> None:
        self.counts = counts or [0] * _COUNT
        self.longest = longest

    def add(self, seconds: float) -> None:
        slot = int(math.log2(seconds / _LEAST) * _SLOTS) if seconds > _LEAST else 0
        self.counts[min(slot, _COUNT - 1)] += 1
        self.longest = max(self.longest, seconds)

    def percentile(self, percent: float) -> float:
        """Returns the time that this percentage did not exceed; 0 without any times."""
        rank = max(1, math.ceil(sum(self.counts) * percent / 100))
        seen = 0
        for slot, count in enumerate(self.counts):
            seen += count
            if seen >= rank:
                return min(self.longest, _LEAST * 2 ** ((slot + 0.5) / _SLOTS))
        return 0.0

    def copy(self) -> "Latencies":
        return Latencies(self.counts.copy(), self.longest)

    def since(self, earlier: "Latencies") -> "Latencies":
        """Returns the times added since then; the longest is exact to one slot."""
        counts = [now - then for now, then in zip(self.counts, earlier.counts, strict=True)]
        last = max((slot for slot, count in enumerate(counts) if count), default=None)
        longest = 0.0 if last is None else min(self.longest, _LEAST * 2 ** ((last + 1) / _SLOTS))
        return Latencies(counts, longest)


@dataclass(frozen=True)
class Figures:
    """The figures of a load so far, or of a part of it. Times are in seconds.

    `latency` is measured from when a call was due to its end, so that waiting counts. `lateness` is the part
    of it that this client causes: from when a call was due to when it was made. `over_limit` and `too_late`
    count calls that were not made: because too many were in flight, or because this client was too late.
    `messages` has the first message of each code. `cpu` is the CPU time of this process.
    """

    seconds: float
    cpu: float
    sent: int
    over_limit: int
    too_late: int
    codes: Counter[str]
    backends: Counter[str]
    messages: Mapping[str, str]
    latency: Latencies
    lateness: Latencies

    @property
    def ended(self) -> int:
        return self.codes.total()

    @property
    def failed(self) -> int:
        return self.ended - self.codes[_OK]

    @property
    def rate(self) -> float:
        """Calls made per second."""
        return self.sent / self.seconds if self.seconds else 0.0

    @property
    def busy(self) -> float:
        """The CPU cores that this process used; Python can use about one."""
        return self.cpu / self.seconds if self.seconds else 0.0

    def since(self, earlier: "Figures") -> "Figures":
        return Figures(
            self.seconds - earlier.seconds,
            self.cpu - earlier.cpu,
            self.sent - earlier.sent,
            self.over_limit - earlier.over_limit,
            self.too_late - earlier.too_late,
            self.codes - earlier.codes,
            self.backends - earlier.backends,
            self.messages,
            self.latency.since(earlier.latency),
            self.lateness.since(earlier.lateness),
        )

    def as_json(self) -> dict[str, Any]:
        """Returns the JSON object: latencies in milliseconds, backends' shares of the calls that are over."""
        return {
            "seconds": round(self.seconds, 3),
            "sent": self.sent,
            "rps": round(self.rate, 2),
            "not_sent": {"too_many_in_flight": self.over_limit, "client_too_late": self.too_late},
            "unfinished": self.sent - self.ended,
            "codes": dict(self.codes.most_common()),
            "messages": dict(self.messages),
            "latency_ms": _milliseconds(self.latency),
            "client_cores": round(self.busy, 2),
            "client_lateness_ms": _milliseconds(self.lateness),
            "backends": {
                name: {"calls": calls, "share": round(calls / self.ended, 4)}
                for name, calls in self.backends.most_common()
            },
        }


def _milliseconds(times: Latencies) -> dict[str, float]:
    found = {f"p{percent}": times.percentile(percent) for percent in (50, 95, 99)}
    return {name: round(value * 1000, 3) for name, value in {**found, "max": times.longest}.items()}


class Tally:
    """Collects the figures. Safe for several threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._sent = self._over_limit = self._too_late = self._ended = 0
        self._codes: Counter[str] = Counter()
        self._backends: Counter[str] = Counter()
        self._messages: dict[str, str] = {}
        self._latency = Latencies()
        self._lateness = Latencies()

    @property
    def in_flight(self) -> int:
        return self._sent - self._ended

    def sent(self, lateness: float) -> None:
        with self._changed:
            self._sent += 1
            self._lateness.add(lateness)

    def over_limit(self) -> None:
        with self._changed:
            self._over_limit += 1

    def too_late(self) -> None:
        with self._changed:
            self._too_late += 1

    def ended(self, code: grpc.StatusCode, message: str, latency: float, backend: str) -> None:
        label = CODE_LABELS[code]
        with self._changed:
            self._ended += 1
            self._codes[label] += 1
            self._backends[backend] += 1
            self._latency.add(latency)
            if label != _OK:
                self._messages.setdefault(label, message)
            if self._ended == self._sent:
                self._changed.notify_all()

    def wait_until_all_ended(self, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._ended == self._sent, seconds)

    def figures(self, seconds: float, cpu: float) -> Figures:
        with self._changed:
            return Figures(
                seconds,
                cpu,
                self._sent,
                self._over_limit,
                self._too_late,
                self._codes.copy(),
                self._backends.copy(),
                dict(self._messages),
                self._latency.copy(),
                self._lateness.copy(),
            )
