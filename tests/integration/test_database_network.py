"""PostgreSQL behind a network that is slow, silent or cut, in each phase of a transaction."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from app.core.errors import DeadlineExceeded, StatusError
from app.database.bound import Bound
from app.database.connections import conninfo
from app.database.errors import UNKNOWN_OUTCOME, Unavailable
from app.database.postgres import PostgresDatabase
from tests.support.bounds import call_of
from tests.support.clients.status import outcome
from tests.support.network.bad_network import BadNetwork, End
from tests.support.servers.databases import apply_migrations
from tests.support.servers.items import client_of, items, live, ready
from tests.support.servers.postgres import NEEDS_POSTGRES, Postgres, postgres
from tests.support.servers.server import running
from tests.support.waiting import until

pytestmark = NEEDS_POSTGRES

SIZE = 8
COUNT = "SELECT count(*) FROM items"
ADD = "INSERT INTO items (name) VALUES ('one')"
# Seconds: what a call may take past its deadline.
LATE = 3
# Seconds within which calls are OK again, on a busy machine.
SOON = 8
# With the end of the statement: READ COMMITTED is another one.
COMMIT = b"COMMIT\0"
CUT: list[End] = ["fin", "rst"]


@pytest.fixture(scope="module")
def shared() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server(shared: Postgres) -> Postgres:
    shared.empty()
    shared.run("CREATE TABLE items (name text)")
    return shared


@pytest.fixture
def network(server: Postgres) -> Iterator[BadNetwork]:
    with BadNetwork(f"127.0.0.1:{server.port}") as network:
        yield network


@pytest.fixture
def database(server: Postgres, network: BadNetwork) -> Iterator[PostgresDatabase]:
    info = conninfo(server.url_of("items", network.port), 2)
    with PostgresDatabase(lambda: info, size=SIZE, wait=5) as database:
        yield database
        network.heal()


def count(database: PostgresDatabase) -> Any:
    with database.reading() as connection:
        return connection.execute(COUNT)[0][0]


def add(database: PostgresDatabase) -> None:
    with database.writing() as connection:
        connection.execute(ADD)


def fill(database: PostgresDatabase) -> None:
    """Has every connection of the pool made."""
    with ExitStack() as several:
        for _ in range(SIZE):
            several.enter_context(database.reading())


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def works(call: Callable[[], object]) -> bool:
    try:
        with call_of(seconds=2):
            call()
    except StatusError:
        return False
    return True


@pytest.mark.parametrize("how", CUT)
def test_connections_that_were_cut_while_idle_cost_no_call(
    database: PostgresDatabase, network: BadNetwork, how: End
) -> None:
    fill(database)
    network.cut(how)
    for _ in range(2 * SIZE):
        assert count(database) == 0


@pytest.mark.parametrize("seconds", [0.5, 5])
def test_connections_that_fell_silent_while_idle_cost_few_calls(
    database: PostgresDatabase, network: BadNetwork, seconds: float
) -> None:
    def works() -> bool:
        try:
            with call_of(seconds=seconds):
                count(database)
        except StatusError:
            return False
        return True

    fill(database)
    network.cut("silence")
    assert [works() for _ in range(SIZE)].count(False) == 2  # not one for each of them


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("how", CUT)
def test_a_connection_that_is_cut_during_a_statement_is_unavailable(
    database: PostgresDatabase, network: BadNetwork, how: End, answered: bool
) -> None:
    fill(database)
    network.end_at(b"INSERT", how, answered=answered)
    with call_of(seconds=5), within(LATE), pytest.raises(Unavailable, match="has ended the connection"):
        add(database)
    assert count(database) == 0
    add(database)
    assert count(database) == 1


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("how", CUT)
def test_a_connection_that_is_cut_during_a_commit_leaves_the_outcome_unknown(
    database: PostgresDatabase, network: BadNetwork, how: End, answered: bool
) -> None:
    fill(database)
    network.end_at(COMMIT, how, answered=answered)
    with call_of(seconds=5), within(LATE), pytest.raises(Unavailable, match=UNKNOWN_OUTCOME):
        add(database)
    # As it was said: one or the other.
    assert count(database) == (1 if answered else 0)


@pytest.mark.parametrize("text", [b"BEGIN", b"INSERT", COMMIT])
def test_a_connection_that_falls_silent_in_a_transaction_ends_the_call_by_its_deadline(
    database: PostgresDatabase, network: BadNetwork, text: bytes
) -> None:
    fill(database)
    network.end_at(text, "silence")
    with within(0.5 + LATE), call_of(seconds=0.5), pytest.raises(StatusError) as caught:
        add(database)
    if text == COMMIT:
        assert UNKNOWN_OUTCOME in caught.value.message
    else:
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: works(lambda: fill(database)), SOON)


@pytest.mark.parametrize("how", CUT)
def test_a_connection_that_is_cut_while_it_is_made_is_unavailable(
    database: PostgresDatabase, network: BadNetwork, how: End
) -> None:
    network.end_at(b"application_name", how)
    with call_of(seconds=5), within(LATE), pytest.raises(Unavailable, match="cannot be reached"):
        count(database)
    until(lambda: works(lambda: count(database)), SOON)


def test_connecting_to_what_does_not_answer_ends_in_time(
    database: PostgresDatabase, network: BadNetwork
) -> None:
    network.silence()
    with within(0.5 + LATE), call_of(seconds=0.5), pytest.raises(StatusError):
        count(database)
    with within(4 + LATE), call_of(seconds=60), pytest.raises(Unavailable, match="cannot be reached"):
        count(database)
    network.heal()
    until(lambda: works(lambda: fill(database)), SOON)


def test_a_connection_that_was_being_made_when_all_were_dropped_is_not_used(
    database: PostgresDatabase, network: BadNetwork
) -> None:
    network.delay = 0.2
    with ThreadPoolExecutor(1) as thread:
        acquired = thread.submit(database.connections.acquire, Bound(20), writes=False)
        until(lambda: network.accepted)
        dropped_at = time.monotonic()
        database.connections.drop()
        connection = acquired.result()
        database.connections.release(connection, writes=False)
    assert connection.made_at > dropped_at


def test_a_slow_network_makes_calls_slow_and_no_deadline_is_passed(
    database: PostgresDatabase, network: BadNetwork
) -> None:
    fill(database)
    network.delay = 0.05
    began = time.monotonic()
    assert count(database) == 0
    assert time.monotonic() - began >= 6 * network.delay  # begin, statement and commit, there and back
    with within(0.2 + LATE), call_of(seconds=0.2), pytest.raises(DeadlineExceeded):
        count(database)
    network.delay = 0
    fill(database)


@pytest.mark.slow
def test_a_database_that_falls_silent_makes_a_server_unready_and_leaves_it_alive(
    server: Postgres, network: BadNetwork, tmp_path: Path
) -> None:
    server.run("DROP TABLE items")
    service = items(tmp_path)
    apply_migrations(server.url, [service])
    url = server.url_of("items", network.port)
    threads = ThreadPoolExecutor(SIZE)
    with (
        running([service], database_url=url, database_connect_timeout=2, database_pool_wait=10) as at,
        client_of(at) as client,
        threads,
    ):
        until(lambda: ready(at), 20)
        list(threads.map(client.add, map(str, range(20))))  # the pool is full
        network.silence()

        def lost(_: object) -> tuple[grpc.StatusCode, float]:
            began = time.monotonic()
            code = outcome(lambda: client.add("lost", timeout=0.5))
            return code, time.monotonic() - began

        codes, seconds = zip(*threads.map(lost, range(40)), strict=True)
        assert set(codes) <= {
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }
        assert max(seconds) < 0.5 + LATE
        until(lambda: not ready(at), 20)
        assert live(at)
        assert at.lines("database_down")
        network.heal()
        until(lambda: outcome(lambda: client.add("after", timeout=2)) is grpc.StatusCode.OK, SOON)
        until(lambda: ready(at), 10)
        assert all(threads.map(lambda text: client.add(text) > 20, map(str, range(100, 120))))
