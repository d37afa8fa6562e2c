"""`make overload-store`: a server under five times the load that its database can carry.

Each call runs a statement that takes PostgreSQL 20 ms, and `--pool` of them run at once. Fails if goodput
falls below 90 % of its peak, if refusals are slow at five times the load, or if health checks are at any.

The server has its default limits, and then as many workers as would all wait for the database.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.bench.overload import GOODPUT, HEAD, Length, Seen, offer, row, wrong
from tests.bench.process import Server, server
from tests.bench.stored import STORED, TAKES
from tests.support.servers.databases import apply_migrations
from tests.support.servers.postgres import postgres

# Of the load that the database can carry.
SHARES = (0.8, 1, 1.5, 5)
# The default, and one with which the queue for workers is not what limits calls.
WORKERS = (32, 400)


@contextmanager
def stored_server(variables: Mapping[str, str]) -> Iterator[Server]:
    with postgres() as database:
        apply_migrations(database.url, [STORED])
        with server("stored", variables={"APP_DATABASE_URL": database.url, **variables}) as at:
            yield at
        database.kill()  # nothing of it is needed any more


def overloaded(workers: int, pool: int, given: Length) -> list[str]:
    """More and more calls arrive. Returns what is wrong."""
    capacity = pool / TAKES
    failures: list[str] = []
    found: dict[float, Seen] = {}
    with stored_server({"APP_WORKERS": str(workers), "APP_DATABASE_POOL_SIZE": str(pool)}) as at:
        for share in SHARES:
            found[share] = offer(at, share * capacity, given)
            print(row(f"{share * capacity:.0f}, {workers} workers", found[share]), flush=True)
            failures += wrong(found[share], "OK", prompt=share == SHARES[-1])
    goodput = {share: seen.calls.codes.get("OK", 0) / seen.calls.seconds for share, seen in found.items()}
    if goodput[5] < GOODPUT * max(goodput.values()):
        failures.append(f"goodput falls from {max(goodput.values()):.0f} to {goodput[5]:.0f} calls a second")
    return failures


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overload_store", description=__doc__)
    parser.add_argument("--pool", type=int, default=4, help="APP_DATABASE_POOL_SIZE of the server")
    parser.add_argument("--seconds", type=float, default=2, help="seconds of each run")
    parser.add_argument("--runs", type=int, default=3, help="runs of each load")
    given = parser.parse_args()
    print(f"{given.pool} connections, {TAKES * 1000:.0f} ms a statement; p50 / p99\n")
    print(HEAD, flush=True)
    length = Length(given.runs, given.seconds)
    failures = [one for workers in WORKERS for one in overloaded(workers, given.pool, length)]
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
