"""A run: clients of a cluster under faults, and the check of what they saw."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tests.services.quotes.history import clients
from tests.services.quotes.history.checker import Anomaly, Checker
from tests.services.quotes.history.cluster import SERVE, Cluster, cluster
from tests.services.quotes.history.faults import Faults
from tests.services.quotes.history.operations import Add, Get, Operation, quotes_of


@dataclass(frozen=True)
class Size:
    """How much a run does: it ends after so many calls, and not before each fault was made once."""

    calls: int
    servers: int = 3
    processes: int = 2
    threads: int = 12  # of each process
    calm: float = 2.0  # seconds between faults, on average


@dataclass(frozen=True)
class Seen:
    operations: Sequence[Operation]
    faults: Mapping[str, int]
    anomalies: Sequence[Anomaly]
    seconds: float  # during which clients called
    checking: float


@contextmanager
def calling(at: Cluster, size: Size, seed: int, into: Sequence[Path]) -> Iterator[clients.Shared]:
    """Clients that call until the end of the context, when all have written their files."""
    context = get_context("spawn")  # gRPC must not be there before a fork
    shared = clients.Shared(context.Value("q", 0), context.Value("q", 0), context.Event())
    targets = [server.target for server in at.servers]
    started = [
        context.Process(target=clients.run, args=(targets, shared, size.threads, seed + number, file))
        for number, file in enumerate(into)
    ]
    for one in started:
        one.start()
    try:
        yield shared
    finally:
        shared.stop.set()
        for one in started:
            one.join(60)
            one.kill()
    assert {one.exitcode for one in started} == {0}, "a process of clients has failed"


def run(
    size: Size,
    seed: int,
    folder: Path,
    command: Sequence[str] = SERVE,
    settings: Mapping[str, str] = {},
) -> Seen:
    """`command` starts a server, and `settings` are those of PostgreSQL."""
    files = [folder / f"clients-{number}" for number in range(size.processes)]
    with cluster(folder, size.servers, command, settings) as at:
        faults = Faults(at, random.Random(seed))  # noqa: S311 - not for a secret
        with calling(at, size, seed, files) as shared:
            while not shared.calls.value:
                time.sleep(0.01)
            began = time.monotonic()

            def done() -> bool:
                return shared.calls.value >= size.calls and len(faults.made) == len(faults)

            while not done():
                faults.round(size.calm, done)
            took = time.monotonic() - began
        at.wait_until_ready()
        rows = at.rows()
        listings = list(at.listings())
    began = time.monotonic()
    operations = clients.recorded(files)
    anomalies = list(Checker(quotes_of).check(operations, rows))
    stored = tuple(row.quote for row in rows)
    other = Anomaly("order", "in the end, a server lists other quotes than are stored")
    anomalies += [other for listing in listings if listing != stored]
    return Seen(operations, faults.made, anomalies, took, time.monotonic() - began)


def table(seen: Seen) -> str:
    """What has happened, in Markdown."""
    rows = ["| operation | outcome | calls |", "|---|---|---|"]
    rows += [f"| {what} | {how} | {count:,} |" for (what, how), count in sorted(_outcomes(seen).items())]
    total = len(seen.operations)
    rows += [f"| all | | {total:,} in {seen.seconds:.0f} s, {total / seen.seconds:,.0f} a second |", ""]
    rows += ["| fault | times |", "|---|---|", *(f"| {fault} | {n} |" for fault, n in seen.faults.items())]
    rows += [f"| all | {sum(seen.faults.values())} |", ""]
    kinds = Counter(anomaly.kind for anomaly in seen.anomalies)
    rows += ["| anomaly | times |", "|---|---|", *(f"| {kind} | {n} |" for kind, n in kinds.items())]
    rows += [f"| all | {len(seen.anomalies)} |", "", f"Checked in {seen.checking:.0f} s."]
    return "\n".join(rows)


def _outcomes(seen: Seen) -> Counter[tuple[str, str]]:
    return Counter((_name(one), _outcome(one)) for one in seen.operations)


def _name(operation: Operation) -> str:
    if isinstance(operation, Add):
        return "AddQuotes"
    return "GetQuote" if isinstance(operation, Get) else "ListQuotes"


def _outcome(operation: Operation) -> str:
    if isinstance(operation, Add):
        if operation.code == "OK":
            return "OK" if operation.added else "OK, nothing new"
        return f"{operation.code}, {operation.outcome}"
    return f"{operation.code}, marked as stale" if operation.stale else operation.code
