"""A plain program that reads quotes by psycopg: `python loop.py URL THREADS`.

With 0 threads it has one connection and a loop; otherwise a pool of as many connections as threads. Each line
on its standard input is a number of seconds to run for; it prints how many quotes it has read.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool

from app.services.quotes.database_store import _OF_THE_AUTHOR

AUTHOR = "Mark Twain"
# As the server has it: transactions are begun and ended by statements, and none is prepared.
SESSION: dict[str, Any] = {"autocommit": True, "prepare_threshold": None}
BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

Lend = Callable[[], AbstractContextManager[Any]]


def read(lend: Lend, seconds: float) -> int:
    ends_at = time.monotonic() + seconds
    done = 0
    while time.monotonic() < ends_at:
        with lend() as connection:
            connection.execute(BEGIN)
            parameters = {"author": AUTHOR, "quote": random.getrandbits(62)}
            assert connection.execute(_OF_THE_AUTHOR, parameters).fetchall()
            connection.execute("COMMIT")
        done += 1
    return done


@contextmanager
def lender(url: str, threads: int) -> Iterator[Lend]:
    if threads:
        with ConnectionPool(url, kwargs=SESSION, min_size=threads, max_size=threads) as pool:
            yield pool.connection
    else:
        with psycopg.connect(url, **SESSION) as connection:
            yield lambda: nullcontext(connection)


def main(url: str, threads: int) -> None:
    with lender(url, threads) as lend, ThreadPoolExecutor(threads or 1) as several:
        for line in sys.stdin:
            many = [several.submit(read, lend, float(line)) for _ in range(threads or 1)]
            print(sum(one.result() for one in many), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
