"""`make soak`: the resources of the server after millions of calls, compared with the quickstart's server.

Fails if memory, threads or descriptors grow, or if more calls than the limit are accepted.
"""

import argparse
import json
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import grpc
from grpc_health.v1 import health_pb2

from tests.bench.cores import LOAD_CORE
from tests.bench.load import load
from tests.bench.process import TOKEN, Server, server
from tests.bench.scenarios import TEXT
from tests.bench.slow import COUNTS, TAKES
from tests.gen import probe_pb2_grpc
from tests.gen.probe_pb2 import ProbeRequest

# Samples of each phase. The first quarter does not count: pools and caches still fill.
SLICES = 20

# The limits of growth from the second to the last quarter of a phase, beyond that of the quickstart's server.
MORE_MIB, MORE_THREADS, MORE_DESCRIPTORS = 2.0, 8, 2

# The server that rejects half of the calls: seconds per call, its workers, and its limit of concurrent calls.
CALL, WORKERS, LIMIT = 0.01, 10, 16
REJECTED = "ResourceExhausted"


@dataclass(frozen=True)
class Phase:
    """A number of calls of a kind; `ends` are the codes that they may end with."""

    title: str
    calls: int
    flags: Mapping[str, Any]
    ends: frozenset[str]


PHASES = [
    Phase(
        "unary calls",
        1_000_000,
        {"request": ProbeRequest(text=TEXT).SerializeToString(), "in_flight": 32},
        frozenset({"OK"}),
    ),
    Phase(
        "streams cancelled while the server reads",
        50_000,
        {
            "method": "/probe.Probe/BidiStream",
            "arity": "bidi",
            "request": ProbeRequest(text=TEXT).SerializeToString(),
            "messages": 2,
            "cancel_after": 1,
            "in_flight": 16,
        },
        frozenset({"Canceled"}),
    ),
    Phase(
        "streams cancelled while the server writes",
        50_000,
        {
            "method": "/probe.Probe/ServerStream",
            "arity": "server",
            "request": ProbeRequest(text=TEXT, count=50).SerializeToString(),
            "cancel_after": 1,
            "in_flight": 16,
        },
        # Some streams end before the cancellation.
        frozenset({"Canceled", "OK"}),
    ),
    Phase(
        "health Watches opened and cancelled",
        20_000,
        {
            "method": "/grpc.health.v1.Health/Watch",
            "arity": "server",
            "request": health_pb2.HealthCheckRequest().SerializeToString(),
            "cancel_after": 1,
            "in_flight": 16,
        },
        frozenset({"Canceled"}),
    ),
]


@dataclass(frozen=True)
class Sample:
    """The resources of a process."""

    memory: float  # MiB
    threads: float
    descriptors: float

    @classmethod
    def of(cls, at: Server) -> "Sample":
        return cls(at.memory(), at.threads(), at.descriptors())


def quarter(samples: Sequence[Sample], number: int) -> Sample:
    """The median of a quarter of the samples, counted from 0."""
    size = len(samples) // 4
    part = samples[number * size : (number + 1) * size]
    return Sample(*(statistics.median(getattr(one, name) for one in part) for name in vars(part[0])))


def soak(phase: Phase, servers: Mapping[str, Server], share: float) -> Mapping[str, Sequence[Sample]]:
    """Loads the servers at the same time, and samples each while nothing is in flight."""
    calls = round(phase.calls * share / SLICES)
    samples: dict[str, list[Sample]] = {name: [] for name in servers}
    codes: dict[str, Counter[str]] = {name: Counter() for name in servers}
    with ExitStack() as loads:
        flags = {"token": TOKEN, "calls": calls, **phase.flags}
        calling = {name: loads.enter_context(load(at.target, **flags)) for name, at in servers.items()}
        for _ in range(SLICES):
            for each in calling.values():
                each.begin()
            for name, at in servers.items():
                codes[name].update(calling[name].result().codes)
                samples[name].append(Sample.of(at))
                at.forget()
    for name, seen in codes.items():
        assert set(seen) <= phase.ends, f"{phase.title}, {name}: {seen}"
    return samples


def row(title: str, name: str, samples: Sequence[Sample]) -> str:
    first, last = quarter(samples, 1), quarter(samples, 3)
    return (
        f"| {title} | {name} | {first.memory:.1f} → {last.memory:.1f}"
        f" | {first.threads:.0f} → {last.threads:.0f} | {first.descriptors:.0f} → {last.descriptors:.0f} |"
    )


def grown(samples: Sequence[Sample]) -> Sample:
    first, last = quarter(samples, 1), quarter(samples, 3)
    return Sample(*(getattr(last, name) - getattr(first, name) for name in vars(first)))


def judged(title: str, ours: Sequence[Sample], bare: Sequence[Sample]) -> list[str]:
    mine, other = grown(ours), grown(bare)
    return [
        f"{title}: {name} grew by {getattr(mine, name):.1f}, the quickstart's by {getattr(other, name):.1f}"
        for name, more in (
            ("memory", MORE_MIB),
            ("threads", MORE_THREADS),
            ("descriptors", MORE_DESCRIPTORS),
        )
        if getattr(mine, name) > max(0, getattr(other, name)) + more
    ]


def limited(calls: int) -> list[str]:
    """Calls to a server that rejects about half of them: its limit of concurrent calls holds."""
    flags = {"token": TOKEN, "request": ProbeRequest(text=TEXT).SerializeToString()}
    seen: Counter[str] = Counter()
    variables = {TAKES: str(CALL), "APP_WORKERS": str(WORKERS), "APP_MAX_CALLS": str(LIMIT)}
    with server("slow", variables=variables) as at:
        with load(at.target, rate=1.8 * WORKERS / CALL, calls=calls // SLICES, **flags) as calling:
            for _ in range(SLICES):
                seen.update(calling.run().codes)
                at.forget()
        counts = counted(at)
    made, share = seen.total(), seen[REJECTED] / seen.total()
    most = {name: each["most"] for name, each in counts.items()}
    print(f"\nOf {made:,} calls {share:.0%} were rejected; at most {most} at once, with a limit of {LIMIT}.")
    failures = []
    if set(seen) - {"OK", REJECTED} or not 0.3 < share < 0.7:
        failures.append(f"about half of the calls must be rejected, and the others answered: {dict(seen)}")
    if most["admitted"] != LIMIT or most["running"] > LIMIT:
        failures.append(f"the greatest number of concurrent calls must be {LIMIT}: {most}")
    if counts["admitted"]["total"] != seen["OK"] + 1:
        failures.append(f"{counts['admitted']['total']} calls were accepted, and {seen['OK']} answered")
    return failures


def counted(at: Server) -> Mapping[str, Mapping[str, int]]:
    """The server's counts, which include this call."""
    with grpc.insecure_channel(at.target) as channel:
        stub = probe_pb2_grpc.ProbeStub(channel)
        metadata = (("authorization", f"Bearer {TOKEN}"),)
        reply = stub.Unary(ProbeRequest(text=COUNTS), metadata=metadata)
    return dict(json.loads(reply.text))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="share of the calls to make")
    given = parser.parse_args()
    failures: list[str] = []
    print("| | | memory, MiB | threads | descriptors |\n|---|---|---|---|---|", flush=True)
    with server("ours") as ours, server("bare-with-health", core=LOAD_CORE) as bare:
        for phase in PHASES:
            samples = soak(phase, {"ours": ours, "bare": bare}, given.share)
            title = f"{round(phase.calls * given.share):,} {phase.title}"
            for name, taken in samples.items():
                print(row(title, name, taken), flush=True)
            failures += judged(title, samples["ours"], samples["bare"])
    failures += limited(round(1_000_000 * given.share))
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
