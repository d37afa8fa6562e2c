"""`make bench-store`: calls a second and CPU of GetQuote from PostgreSQL, beside a plain psycopg loop.

Prints a table in Markdown, with ratios to a pool of as many connections as the server has. Each is measured
once in a round, in random order. PostgreSQL and the load have another core than what is measured.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from app.gen.quote_service_pb2 import QuoteRequest
from app.services.quotes import QUOTES
from tests.bench.__main__ import machine
from tests.bench.cores import LOAD_CORE, SERVER_CORE, on_core
from tests.bench.load import Load, load
from tests.bench.measure import Spread
from tests.bench.process import TOKEN, Server, server
from tests.services.quotes.speed.loop import AUTHOR
from tests.support.servers.databases import apply_migrations
from tests.support.servers.postgres import Postgres, postgres
from tests.support.servers.process import ROOT, environment
from tests.support.waiting import until

# Calls in flight, and connections: the defaults.
IN_FLIGHT, POOL = 32, 10
# A machine that also does other work refuses no call.
PATIENT = {"APP_MAX_QUEUE_TIME": "10", "APP_DATABASE_POOL_WAIT": "20"}


@dataclass
class Measured:
    """One server or loop. `cpu` returns the seconds that it has used so far."""

    label: str
    run: Callable[[float], int]  # for so many seconds; returns how many quotes were read
    cpu: Callable[[], float]
    per_second: list[float] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)  # microseconds of CPU for a quote

    def measure(self, seconds: float) -> None:
        began, before = time.monotonic(), self.cpu()
        quotes = self.run(seconds)
        self.per_second.append(quotes / (time.monotonic() - began))
        self.costs.append((self.cpu() - before) / quotes * 1e6)


def of_server(label: str, at: Server, calls: Load) -> Measured:
    def run(_seconds: float) -> int:
        result = calls.run()
        assert set(result.codes) == {"OK"}, result.codes
        at.forget()
        return result.calls

    return Measured(label, run, at.cpu)


@contextmanager
def loop(label: str, url: str, threads: int) -> Iterator[Measured]:
    command = [sys.executable, str(Path(__file__).with_name("loop.py")), url, str(threads)]
    with on_core(SERVER_CORE):
        process = subprocess.Popen(
            command,
            env=environment(PYTHONPATH=str(ROOT)),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    pipe_in, pipe_out = process.stdin, process.stdout
    assert pipe_in is not None
    assert pipe_out is not None

    def run(seconds: float) -> int:
        pipe_in.write(f"{seconds}\n")
        pipe_in.flush()
        return int(pipe_out.readline())

    try:
        yield Measured(label, run, lambda: time.clock_gettime((~process.pid << 3) | 2))
    finally:
        process.communicate()


@contextmanager
def measured(database: Postgres, seconds: float) -> Iterator[list[Measured]]:
    request = QuoteRequest(author=AUTHOR).SerializeToString()
    flags: dict[str, Any] = {"method": f"/{QUOTES.name}/GetQuote", "request": request, "token": TOKEN}
    flags |= {"in_flight": IN_FLIGHT, "duration": f"{seconds}s", "warm": 200}
    with ExitStack() as opened:
        variables = {**PATIENT, "APP_DATABASE_URL": database.url}
        stored = opened.enter_context(server("ours", variables=variables))
        until(lambda: database.run("SELECT count(*) > 0 FROM quotes") == [(True,)], 20)
        embedded = opened.enter_context(server("ours", variables=PATIENT))
        yield [
            opened.enter_context(loop(f"psycopg_pool, {POOL} threads in a loop", database.url, POOL)),
            opened.enter_context(loop("psycopg, one connection in a loop", database.url, 0)),
            *(
                of_server(label, at, opened.enter_context(load(at.target, **flags)))
                for label, at in (
                    ("`GetQuote` from PostgreSQL", stored),
                    ("`GetQuote` from the quotes file", embedded),
                )
            ),
        ]


def table(found: list[Measured]) -> str:
    base = found[0]
    rows = ["| | a second | CPU of a quote | ratio |", "|---|---|---|---|"]
    for one in found:
        ratio = Spread.of([each / other for each, other in zip(one.costs, base.costs, strict=True)])
        second, cost = Spread.of(one.per_second), Spread.of(one.costs)
        rows.append(
            f"| {one.label} | {second.median:,.0f} | {cost.median:.0f} µs"
            f" ({cost.least:.0f} to {cost.most:.0f}) | {ratio} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.services.quotes.speed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=1, help="seconds of each measurement")
    given = parser.parse_args()
    print(f"{machine()}, psycopg {psycopg.__version__}", end="\n\n")
    with ExitStack() as opened:
        with on_core(LOAD_CORE):
            database = opened.enter_context(postgres())
        apply_migrations(database.url, [QUOTES])
        with measured(database, given.seconds) as found:
            for one in found:
                one.run(given.seconds)  # to warm up
            for _ in range(given.rounds):
                for one in random.sample(found, len(found)):
                    one.measure(given.seconds)
    print(table(found))
    print(f"\nLoad averages at the end: {' '.join(f'{load:.1f}' for load in os.getloadavg())}")


if __name__ == "__main__":
    main()
