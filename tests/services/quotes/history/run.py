"""A run: clients of a cluster under faults, and the check of what they saw."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from multiprocessing import get_context
from pathlib import Path

from tests.services.quotes.history import clients
from tests.services.quotes.history.checker import Anomaly, Checker
from tests.services.quotes.history.cluster import SERVE, Cluster, cluster
from tests.services.quotes.history.faults import Faults
from tests.services.quotes.history.operations import Add, Get, Operation, quotes_of


@dataclass(frozen=True)
class Size:
    """How much a run does.

    It ends after so many calls with OK, or seconds, and not before each fault was made once, unless there are
    no faults.
    """

    calls: int
    seconds: float = inf
    servers: int = 3
    processes: int = 2
    threads: int = 12  # of each process
    calm: float = 5.0  # seconds between faults, on average
    seed: int = 1
    faults: bool = True


@dataclass(frozen=True)
class Seen:
    operations: Sequence[Operation]
    faults: Mapping[str, int]
    anomalies: Sequence[Anomaly]
    seconds: float  # during which clients called
    checking: float


@contextmanager
def calling(at: Cluster, size: Size, into: Sequence[Path]) -> Iterator[clients.Shared]:
    """Clients that call until the end of the context, when all have written their files."""
    context = get_context("spawn")  # gRPC must not be there before a fork
    shared = clients.Shared(context.Value("q", 0), context.Value("q", 0), context.Event())
    targets = [server.target for server in at.servers]
    started = [
        context.Process(target=clients.run, args=(targets, shared, size.threads, size.seed + number, file))
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
    folder: Path,
    command: Sequence[str] = SERVE,
    settings: Mapping[str, str] = {},
    told: Callable[[str], object] = lambda _progress: None,
) -> Seen:
    """`command` starts a server, `settings` are those of PostgreSQL, and `told` hears of progress."""
    files = [folder / f"clients-{number}" for number in range(size.processes)]
    with cluster(folder, size.servers, command, settings) as at:
        faults = Faults(at, random.Random(size.seed))  # noqa: S311 - not for a secret
        with calling(at, size, files) as shared:
            while not shared.calls.value:
                time.sleep(0.01)
            began = time.monotonic()

            def done() -> bool:
                much = shared.calls.value >= size.calls or time.monotonic() - began > size.seconds
                return much and (not size.faults or len(faults.made) == len(faults))

            while not done():
                if size.faults:
                    faults.round(size.calm, done)
                else:
                    time.sleep(0.1)
                told(f"{shared.calls.value:,} calls with OK, {faults.made.total()} faults")
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
    answered = sum(one.code == "OK" for one in seen.operations)
    rows += [f"| all with OK | | {answered:,} |"]
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
