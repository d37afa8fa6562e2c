"""PostgreSQL behind PgBouncer, which gives each transaction one of two connections."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from threading import Barrier, Event

import grpc
import psycopg
import pytest

from app.core.database import Schema
from app.core.errors import CallEnded, DeadlineExceeded
from app.database.connections import conninfo
from app.database.migrate import LOCK, migrate, session_of
from app.database.migrations import migrations
from app.database.postgres import PostgresDatabase
from app.database.url import parse_url
from tests.support.bounds import call_of, once
from tests.support.clients.status import outcome
from tests.support.servers.databases import apply_migrations
from tests.support.servers.items import Client, client_of, items, ready
from tests.support.servers.pgbouncer import NEEDS_PGBOUNCER, PgBouncer, pgbouncer
from tests.support.servers.postgres import NEEDS_POSTGRES, Postgres, postgres
from tests.support.servers.server import Server, running
from tests.support.waiting import until

pytestmark = [NEEDS_POSTGRES, NEEDS_PGBOUNCER, pytest.mark.timeout(120)]

SIZE = 8
PID = "SELECT pg_backend_pid()"
COUNT = "SELECT count(*) FROM items"
ADD = "INSERT INTO items (name) VALUES (%(name)s)"
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
# What a transaction sets for itself, and whoever has the connection next must not see.
SET = "SELECT current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout')"
SOON = 15


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[Postgres, PgBouncer]]:
    with postgres() as server, pgbouncer(server) as bouncer:
        yield server, bouncer


@pytest.fixture
def server(shared: tuple[Postgres, PgBouncer]) -> Postgres:
    server, _ = shared
    server.empty()
    return server


@pytest.fixture
def bouncer(shared: tuple[Postgres, PgBouncer]) -> PgBouncer:
    return shared[1]


@pytest.fixture
def database(server: Postgres, bouncer: PgBouncer) -> Iterator[PostgresDatabase]:
    server.run("CREATE TABLE items (name text PRIMARY KEY)")
    info = conninfo(bouncer.url_of(), 5)
    with PostgresDatabase(lambda: info, size=SIZE, wait=20) as database:
        yield database


@pytest.fixture
def served(server: Postgres, bouncer: PgBouncer, tmp_path: Path) -> Iterator[tuple[Server, Client]]:
    """A server whose schema was made through PgBouncer, too."""
    assert server.run("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]
    service = items(tmp_path)
    apply_migrations(bouncer.url_of(), [service])
    with running([service], database_url=bouncer.url_of()) as at, client_of(at) as client:
        until(lambda: ready(at), 20)
        yield at, client


def sleeps(server: Postgres, number: int) -> bool:
    return server.run(SLEEPING) == [(number,)]


def test_many_transactions_share_few_connections_of_the_server(database: PostgresDatabase) -> None:
    def add(number: int) -> int:
        with call_of(seconds=30), database.writing() as connection:
            [(before,)] = connection.execute(PID)
            connection.execute(ADD, {"name": str(number)})
            [(after,)] = connection.execute(PID)
            assert before == after
            return int(before)

    with ThreadPoolExecutor(SIZE) as threads:
        used = set(threads.map(add, range(100)))
    assert len(used) <= 2
    with database.reading() as connection:
        assert connection.execute(COUNT) == [(100,)]


def test_a_reader_sees_one_snapshot_while_others_write(database: PostgresDatabase) -> None:
    with database.reading() as reader:
        assert reader.execute(COUNT) == [(0,)]
        with database.writing() as writer:
            writer.execute(ADD, {"name": "meanwhile"})
        assert reader.execute(COUNT) == [(0,)]


def test_what_a_transaction_sets_ends_with_it(database: PostgresDatabase, bouncer: PgBouncer) -> None:
    with call_of(seconds=30), database.reading() as connection:
        [(statement, idle)] = connection.execute(SET)
        assert statement != "0"
        assert idle != "0"
    with psycopg.connect(bouncer.url_of(), autocommit=True, prepare_threshold=None) as plain:
        # As many as PgBouncer has connections, twice.
        assert {plain.execute(SET).fetchone() for _ in range(4)} == {("0", "0")}


def test_the_deadline_ends_a_statement_of_the_server(database: PostgresDatabase, server: Postgres) -> None:
    with call_of(seconds=0.3), pytest.raises(DeadlineExceeded), database.reading() as connection:
        connection.execute("SELECT pg_sleep(30)")
    until(lambda: sleeps(server, 0), SOON)


def test_a_client_that_leaves_cancels_its_own_statement_and_no_other(
    database: PostgresDatabase, server: Postgres
) -> None:
    stays = Event()

    def stay() -> bool:
        with call_of(seconds=30), database.reading() as connection:
            connection.execute("SELECT pg_sleep(2)")
            stays.set()
            return True

    with ThreadPoolExecutor(1) as thread:
        other = thread.submit(stay)
        until(lambda: sleeps(server, 1), SOON)
        with (
            call_of(seconds=30) as context,
            once(lambda: sleeps(server, 2), context.leave),
            pytest.raises(CallEnded),
            database.reading() as connection,
        ):
            connection.execute("SELECT pg_sleep(30)")
        assert not stays.is_set()
        until(lambda: sleeps(server, 1), SOON)
        assert other.result()


def test_several_that_migrate_through_it_apply_each_migration_once(
    server: Postgres, bouncer: PgBouncer, tmp_path: Path
) -> None:
    items(tmp_path)
    folder = tmp_path / "migrations"
    (folder / "postgresql" / "0002_places.sql").write_text(
        "ALTER TABLE items ADD COLUMN place text;\nSELECT pg_sleep(0.3);\n"
    )
    (folder / "postgresql" / "0003_by_place.sql").write_text(
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS items_by_place ON items (place);\n"
    )
    url = parse_url(bouncer.url_of())
    known = migrations(Schema(name="items", migrations=folder), "postgresql")
    together = Barrier(2)  # as many as PgBouncer has connections: each has one while the other waits
    reported: list[str] = []

    def run() -> None:
        with session_of(url, connect_timeout=5) as session:
            together.wait(20)
            migrate(session, known, lambda one: reported.append(one.name))

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(run) for _ in range(2)]:
            done.result()
    assert reported == ["items", "places", "by_place"]
    # The lock ended with its transaction: the connections that PgBouncer keeps hold none.
    assert server.run("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    assert server.run("SELECT pg_try_advisory_lock(%s)", parameters=[LOCK]) == [(True,)]


@contextmanager
def load(client: Client) -> Iterator[Callable[[], dict[grpc.StatusCode, int]]]:
    """Four clients that add; returns how many calls have ended with each status."""
    stopped = Event()
    codes: list[grpc.StatusCode] = []

    def run(name: int) -> None:
        number = 0
        while not stopped.is_set():
            codes.append(outcome(partial(client.add, f"{name} {number}", timeout=10)))
            number += codes[-1] is grpc.StatusCode.OK

    def counts() -> dict[grpc.StatusCode, int]:
        return {code: codes.count(code) for code in set(codes)}

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(run, name) for name in range(4)]
        try:
            until(lambda: len(codes) > 20, 20)
            yield counts
        finally:
            stopped.set()
        for one in running:
            one.result()


def go_on(counts: Callable[[], dict[grpc.StatusCode, int]]) -> None:
    """Waits until calls are OK again."""
    before = counts()[grpc.StatusCode.OK]
    until(lambda: counts()[grpc.StatusCode.OK] > before + 20, SOON)


@pytest.mark.slow
def test_a_pause_and_a_reconnect_fail_no_call(
    served: tuple[Server, Client], bouncer: PgBouncer, server: Postgres
) -> None:
    _, client = served
    with load(client) as counts:
        old = server.run("SELECT pid FROM pg_stat_activity WHERE datname = 'items'")
        bouncer.command("RECONNECT")
        go_on(counts)
        bouncer.command("PAUSE")
        time.sleep(0.5)
        bouncer.command("RESUME")
        go_on(counts)
        assert set(counts()) == {grpc.StatusCode.OK}
        kept = {pid for (pid,) in server.run("SELECT pid FROM pg_stat_activity WHERE datname = 'items'")}
        assert not kept & {pid for (pid,) in old}
    assert client.count() == counts()[grpc.StatusCode.OK]


def test_a_pause_of_seconds_ends_no_call_that_has_time_and_leaves_the_server_ready(
    served: tuple[Server, Client], bouncer: PgBouncer
) -> None:
    at, client = served
    client.add("before")  # the pool has a connection
    with ThreadPoolExecutor(3) as threads:
        bouncer.command("PAUSE")
        try:
            adding = [threads.submit(client.add, str(number), timeout=20) for number in range(3)]
            time.sleep(2.5)
            late = outcome(lambda: client.add("in time", timeout=0.2))
            still_ready = ready(at)
        finally:
            bouncer.command("RESUME")
        assert {one.result() for one in adding} <= {2, 3, 4}
    assert late is grpc.StatusCode.DEADLINE_EXCEEDED
    assert still_ready
    assert at.lines("database_down") + at.lines("database_unanswered") == []


def test_a_call_for_which_pgbouncer_has_no_connection_is_not_told_that_the_database_does_not_answer(
    served: tuple[Server, Client], bouncer: PgBouncer
) -> None:
    at, client = served
    client.add("before")
    with ExitStack() as held, ThreadPoolExecutor(20) as threads:
        for _ in range(2):  # as many as PgBouncer has
            held.enter_context(psycopg.connect(bouncer.url_of())).execute("SELECT 1")
        began = time.monotonic()
        calls = [
            threads.submit(outcome, partial(client.add, str(number), timeout=2.5)) for number in range(20)
        ]
        assert {call.result() for call in calls} == {
            grpc.StatusCode.DEADLINE_EXCEEDED,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        }
        assert time.monotonic() - began < SOON
        assert ready(at)
    assert client.add("after") >= 2
    assert at.lines("database_down") + at.lines("database_unanswered") == []


@pytest.mark.slow
@pytest.mark.parametrize("which", ["PgBouncer", "PostgreSQL"])
def test_a_restart_under_load_is_unavailable_for_a_moment_and_loses_nothing(
    served: tuple[Server, Client], bouncer: PgBouncer, server: Postgres, which: str
) -> None:
    at, client = served
    with load(client) as counts:
        if which == "PgBouncer":
            bouncer.stop()
            bouncer.start()
        else:
            server.kill()
            server.start()
        go_on(counts)
    assert set(counts()) <= {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}
    # A call whose outcome was unknown was repeated with the same name.
    assert client.count() >= counts()[grpc.StatusCode.OK]
    until(lambda: ready(at), 20)


@pytest.mark.slow
def test_readiness_follows_the_server_behind_it(served: tuple[Server, Client], server: Postgres) -> None:
    at, client = served
    server.stop()
    until(lambda: not ready(at), 20)
    assert outcome(lambda: client.add("meanwhile")) is grpc.StatusCode.UNAVAILABLE
    server.start()
    until(lambda: ready(at), 20)
    assert client.add("after") == 1
