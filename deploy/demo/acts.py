"""What the demo shows: one fault after another, with what to look at and the effect that it must have."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.rpc import code_pb2

from app.core.refusal import Refusal
from app.tools.top.figures import Figures, MethodFigures, ServerFigures, State
from deploy.demo.settings import MAX_QUEUE_TIME, RPS, WORKERS
from deploy.faults.gen.faults.v1 import faults_pb2 as pb

# In seconds, and as a part of the calls.
_LATENCY = 0.2
_LONG = 1.0
_ERRORS = 0.2
_STUCK = WORKERS - 1  # the last one answers the call that switches it off
_MIB = 1024**2
_GROWTH = 32 * _MIB  # bytes per second


class Seen(NamedTuple):
    """The readings of an act, the last one before it, and the calls that failed for the client meanwhile."""

    readings: Sequence[Figures]
    before: Figures | None
    failed: int

    @property
    def last(self) -> Figures:
        return self.readings[-1]


# Returns the effect, or "" if it does not show.
Effect = Callable[[Seen], str]


@dataclass(frozen=True)
class Act:
    """`one` and `other` are the faults of the two servers; `command` switches the same ones on by hand."""

    title: str
    what: str
    look: str
    effect: Effect
    command: str = ""
    one: pb.Faults = field(default_factory=pb.Faults)
    other: pb.Faults = field(default_factory=pb.Faults)
    drains: bool = False  # the other server gets SIGTERM


def _one(figures: Figures) -> ServerFigures:
    return figures.servers[0]


def _other(figures: Figures) -> ServerFigures:
    return figures.servers[1]


def _calls(figures: Figures) -> MethodFigures:
    """The calls of the load, as one method."""
    found = MethodFigures()
    for name, method in figures.methods.items():
        if name.counts and method.rate:
            found += method
    return found


def _median(figures: Figures | None) -> float:
    return (figures and _calls(figures).latency(50)) or 0.0


def _shares(figures: Figures) -> list[float]:
    return [figures.share(server) or 0.0 for server in figures.servers]


def _nothing(seen: Seen) -> str:
    even = any(
        figures.rate > RPS / 2 and min(_shares(figures)) > 1 / 3 and not figures.error_part
        for figures in seen.readings
    )
    return f"{seen.last.rate:.0f} calls/s, without errors, evenly on both servers" if even else ""


def _slow(seen: Seen) -> str:
    longest = max(map(_median, seen.readings))
    if longest < _LATENCY / 2:
        return ""
    return f"p50 is {longest * 1000:.0f} ms; it was {_median(seen.before) * 1000:.1f} ms"


def _errors(seen: Seen) -> str:
    part = max((figures.error_part for figures in seen.readings), default=0)
    codes = {code for figures in seen.readings for code in _calls(figures).errors}
    if part < _ERRORS / 2 or "Internal" not in codes:
        return ""
    return f"up to {100 * part:.0f} % of the calls end with Internal"


def _too_many(seen: Seen) -> str:
    waiting = max(_one(figures).queued for figures in seen.readings)
    refused = max(_calls(figures).refused.get(Refusal.LIMIT, 0.0) for figures in seen.readings)
    return (
        f"up to {waiting:.0f} calls wait, and {refused:.0f} a second are refused"
        if waiting and refused
        else ""
    )


def _stuck(seen: Seen) -> str:
    least = min(_one(figures).limits["calls"].running for figures in seen.readings[-2:])
    return f"at least {least:.0f} calls are in flight on the first server" if least >= _STUCK else ""


def _not_ready(seen: Seen) -> str:
    moved = any(
        _one(figures).state is State.NOT_READY and _shares(figures)[1] > 0.9  # noqa: PLR2004
        for figures in seen.readings
    )
    return _without_loss("the second server has all calls", seen) if moved else ""


def _memory(seen: Seen) -> str:
    sizes = [_one(figures).memory or 0.0 for figures in seen.readings]
    grown = max(sizes) - sizes[0]
    return f"the first server takes {grown / 1e6:.0f} MB more" if grown > _GROWTH / 4 else ""


def _drained(seen: Seen) -> str:
    states = {_other(figures).state for figures in seen.readings}
    if not {State.DRAINING, State.GONE} <= states:
        return ""
    return _without_loss("the second server drained, and is gone", seen)


def _without_loss(effect: str, seen: Seen) -> str:
    return "" if seen.failed else f"{effect}; no call failed"


def acts() -> tuple[Act, ...]:
    slow = pb.Faults(latency=Duration(nanos=int(_LATENCY * 1e9)))
    failing = pb.Faults(error_share=_ERRORS, code=code_pb2.INTERNAL)
    return (
        Act(
            "nothing is wrong",
            f"Two servers get {RPS} calls a second from a client that balances.",
            "Each server has about half of the calls, and no method has errors.",
            _nothing,
        ),
        Act(
            "slow calls",
            f"Each call waits for {_LATENCY:g} s, as on a slow database.",
            "p50, p95 and p99 rise, and so do the calls in flight; the rate stays.",
            _slow,
            f"--latency {_LATENCY:g}",
            slow,
            slow,
        ),
        Act(
            "calls that fail",
            f"{100 * _ERRORS:.0f} % of the calls end with INTERNAL, as with a bug.",
            "The row below the method has the code, its rate, and its part.",
            _errors,
            f"--errors {_ERRORS:g} --code INTERNAL",
            failing,
            failing,
        ),
        Act(
            "too many calls",
            f"Calls take {_LONG:g} s on the first server, whose {WORKERS} workers then answer"
            f" {WORKERS / _LONG:.0f} a second.",
            f"Calls wait for a worker; those that would wait {MAX_QUEUE_TIME:g} s are refused.",
            _too_many,
            f"--latency {_LONG:g}",
            pb.Faults(latency=Duration(seconds=int(_LONG))),
        ),
        Act(
            "stuck calls",
            f"{_STUCK} calls never end, and occupy {_STUCK} of the {WORKERS} workers of the first server.",
            f"{_STUCK} calls stay in flight, and everything else is as ever. One is left.",
            _stuck,
            f"--stuck {_STUCK}",
            pb.Faults(stuck_calls=_STUCK),
        ),
        Act(
            "a server that is not ready",
            "The first server says that it is not ready, as without its database.",
            "Its share falls to 0 %: clients watch its health. No call fails.",
            _not_ready,
            "--not-ready",
            pb.Faults(not_ready=True),
        ),
        Act(
            "memory that grows",
            f"The first server takes {_GROWTH // _MIB} MiB more each second.",
            "Its memory. Nothing else changes, until the memory runs out.",
            _memory,
            f"--memory {_GROWTH // _MIB}",
            pb.Faults(memory_bytes_per_second=_GROWTH),
        ),
        Act(
            "a server that ends",
            "The second server gets SIGTERM, as in an update.",
            "It drains, its share falls to 0 %, and then it is gone. No call fails.",
            _drained,
            drains=True,
        ),
    )
