"""`make overload`: a server under five times the load that it can carry, as its clients see it.

The server has its default limits, unless options change them. Fails if rejections or health checks are slow,
or if rejections slow accepted calls down.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from grpc_health.v1 import health_pb2

from app.runtime.server_settings import ServerSettings
from tests.bench.load import Result, load
from tests.bench.process import TOKEN, Server, server
from tests.bench.scenarios import TEXT
from tests.bench.slow import TAKES
from tests.gen.probe_pb2 import ProbeRequest

# The limit for the 99th percentile of rejections and health checks, in milliseconds.
PROMPT = 50
# The least goodput, relative to its peak, and the greatest latency, relative to that at 80 % load.
GOODPUT, LATENCY = 0.9, 2.0

REJECTED = "ResourceExhausted"
_CALL = {"token": TOKEN, "request": ProbeRequest(text=TEXT).SerializeToString()}
_CHECK = {
    "method": "/grpc.health.v1.Health/Check",
    "request": health_pb2.HealthCheckRequest().SerializeToString(),
    "rate": 50,
}


@dataclass(frozen=True)
class Sizes:
    """The server's limits, where they are not its defaults, and the seconds that a call takes."""

    workers: int | None
    max_calls: int | None
    call: float

    @classmethod
    def of(cls, given: argparse.Namespace) -> Self:
        return cls(given.workers, given.max_calls, given.call)

    @property
    def server(self) -> ServerSettings:
        """The limits with their defaults."""
        default = ServerSettings()
        workers, max_calls = self.workers or default.workers, self.max_calls or default.max_calls
        return replace(default, workers=workers, max_calls=max_calls)

    @property
    def capacity(self) -> float:
        """Calls per second that keep every worker busy."""
        return self.server.workers / self.call

    def variables(self, takes: float) -> Mapping[str, str]:
        """An empty variable is as good as none."""
        given = {"APP_WORKERS": self.workers, "APP_MAX_CALLS": self.max_calls}
        return {TAKES: str(takes)} | {name: str(value or "") for name, value in given.items()}


@dataclass(frozen=True)
class Length:
    """The number of runs of each load, and their length."""

    runs: int
    seconds: float


@dataclass(frozen=True)
class Seen:
    """The outcomes of calls and health checks, and the share of a core that the server used."""

    calls: Result
    checks: Result
    cpu: float

    def slowest(self) -> float:
        latency = self.calls.latency_ms
        return latency["ok" if "ok" in latency else "rejected"]["p99"]


def row(title: str, seen: Seen) -> str:
    def per_second(code: str) -> str:
        return f"{seen.calls.codes.get(code, 0) / seen.calls.seconds:.0f}"

    def taken(of: Result, kind: str) -> str:
        found = of.latency_ms.get(kind)
        return f"{found['p50']:.1f} / {found['p99']:.1f}" if found else ""

    cells = [
        title,
        *(per_second("OK"), taken(seen.calls, "ok")),
        *(per_second(REJECTED), taken(seen.calls, "rejected")),
        taken(seen.checks, "ok"),
        f"{seen.cpu:.0%}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = """\
| offered per second | answered | latency, ms | rejected | latency, ms | health check, ms | CPU |
|---|---|---|---|---|---|---|"""


def offer(at: Server, rate: float, given: Length) -> Seen:
    """Calls at that rate with health checks at the same time: the median of several runs.

    Other processes stop the server for some milliseconds now and then, which affects about one run in three.
    """
    how = {"duration": f"{given.seconds}s", "timeout": "5s"}
    runs = []
    with load(at.target, **_CALL, rate=rate, **how) as calls, load(at.target, **_CHECK, **how) as checks:
        for _ in range(given.runs):
            before = at.cpu()
            calls.begin()
            checks.begin()
            called, checked = calls.result(), checks.result()
            runs.append(Seen(called, checked, (at.cpu() - before) / called.seconds))
    return sorted(runs, key=Seen.slowest)[len(runs) // 2]


def wrong(seen: Seen, *codes: str, prompt: bool = True) -> list[str]:
    """Failures of the rejections and health checks. Calls may end with these codes.

    Without `prompt`, rejections may take any time.
    """
    failures = []
    if set(seen.calls.codes) - {REJECTED, *codes}:
        failures.append(f"calls ended with {seen.calls.codes}")
    if seen.calls.pushback != seen.calls.codes.get(REJECTED, 0):
        failures.append(f"{seen.calls.pushback} rejections have a retry delay: {seen.calls.codes}")
    if set(seen.checks.codes) != {"OK"}:
        failures.append(f"health checks ended with {seen.checks.codes}")
    bounded = [("rejections", "rejected", seen.calls)] if prompt else []
    for name, kind, of in (*bounded, ("health checks", "ok", seen.checks)):
        if kind in of.latency_ms and of.latency_ms[kind]["p99"] > PROMPT:
            failures.append(f"{name} take {of.latency_ms[kind]['p99']:.1f} ms (p99); the limit is {PROMPT}")
    return failures


def blocked(sizes: Sizes, given: Length) -> list[str]:
    """Every worker is in a call that does not return."""
    workers = sizes.server.workers
    fill = {"calls": workers, "in_flight": workers, "timeout": "1s"}
    with server("slow", variables=sizes.variables(3600)) as at:
        with load(at.target, **_CALL, **fill) as calls:
            assert calls.run().codes == {"DeadlineExceeded": workers}
        seen = offer(at, 5 * sizes.capacity, given)
    print(row(f"{5 * sizes.capacity:.0f}, every worker blocked", seen), flush=True)
    return wrong(seen)


def overloaded(sizes: Sizes, given: Length) -> list[str]:
    """More and more calls arrive, and each takes a fixed time."""
    found: dict[float, Result] = {}
    failures = []
    with server("slow", variables=sizes.variables(sizes.call)) as at:
        for share in (0.8, 1, 1.5, 5):
            seen = offer(at, share * sizes.capacity, given)
            print(row(f"{share * sizes.capacity:.0f}, {share:.0%} of capacity", seen), flush=True)
            failures += wrong(seen, "OK")
            found[share] = seen.calls
    goodput = {share: each.codes["OK"] / each.seconds for share, each in found.items()}
    if goodput[5] < GOODPUT * max(goodput.values()):
        failures.append(
            f"goodput falls from {max(goodput.values()):.0f} to {goodput[5]:.0f} calls per second"
        )
    for part in ("p50", "p99"):
        before, after = (found[share].latency_ms["ok"][part] for share in (0.8, 5))
        if after > LATENCY * before:
            failures.append(
                f"the latency ({part}) of accepted calls rises from {before:.1f} to {after:.1f} ms"
            )
    return failures


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Those of the command line, unless others are given."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overload", description=__doc__)
    parser.add_argument("--workers", type=int, help="APP_WORKERS of the server")
    parser.add_argument("--max-calls", type=int, help="APP_MAX_CALLS of the server")
    parser.add_argument("--call", type=float, default=0.1, help="seconds that a call takes")
    parser.add_argument("--seconds", type=float, default=2, help="seconds of each run")
    parser.add_argument("--runs", type=int, default=5, help="runs of each load")
    return parser.parse_args(given)


def main() -> int:
    given = arguments()
    sizes = Sizes.of(given)
    takes = f"{sizes.call * 1000:.0f} ms per call"
    print(f"{sizes.server.workers} workers, {takes}; p50 / p99\n")
    print(HEAD, flush=True)
    length = Length(given.runs, given.seconds)
    failures = blocked(sizes, length) + overloaded(sizes, length)
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
