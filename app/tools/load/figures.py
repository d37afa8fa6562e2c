"""What became of the calls of a load."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Condition
from typing import Any

import grpc

from app.core.code import CODE_LABELS
from app.tools.load.latencies import Latencies

UNKNOWN = "unknown"
_OK = CODE_LABELS[grpc.StatusCode.OK]


@dataclass(frozen=True)
class Figures:
    """Those of a load up to now, or of a part of it. Times are in seconds.

    `latency` is from when a call was due to when it was over, so that what had to wait counts as slow.
    `lateness` is the part of it that this client is to blame for: from when a call was due to when it was
    made. `crowded` and `late` are calls that were not made: because too many were in flight, or because this
    client was late by more than it may be. `messages` has the first message of each code. `cpu` is what this
    process has used.
    """

    seconds: float
    cpu: float
    sent: int
    crowded: int
    late: int
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
        """Calls made a second."""
        return self.sent / self.seconds if self.seconds else 0.0

    @property
    def busy(self) -> float:
        """How much of a core this process has used; Python can use about one."""
        return self.cpu / self.seconds if self.seconds else 0.0

    def since(self, earlier: "Figures") -> "Figures":
        return Figures(
            self.seconds - earlier.seconds,
            self.cpu - earlier.cpu,
            self.sent - earlier.sent,
            self.crowded - earlier.crowded,
            self.late - earlier.late,
            self.codes - earlier.codes,
            self.backends - earlier.backends,
            self.messages,
            self.latency.since(earlier.latency),
            self.lateness.since(earlier.lateness),
        )

    def as_json(self) -> dict[str, Any]:
        """Latencies are in milliseconds here; a backend's share is of the calls that are over."""
        return {
            "seconds": round(self.seconds, 3),
            "sent": self.sent,
            "rps": round(self.rate, 2),
            "not_sent": {"too_many_in_flight": self.crowded, "client_too_late": self.late},
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
    """Figures that grow. May be used by several threads."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._sent = self._crowded = self._late = self._ended = 0
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

    def crowded(self) -> None:
        with self._changed:
            self._crowded += 1

    def late(self) -> None:
        with self._changed:
            self._late += 1

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
                self._crowded,
                self._late,
                self._codes.copy(),
                self._backends.copy(),
                dict(self._messages),
                self._latency.copy(),
                self._lateness.copy(),
            )
