import os
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier, Event
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from app.core.errors import CallEnded, DeadlineExceeded
from app.database.connections import conninfo
from app.database.errors import Exhausted, Unavailable
from app.database.migrations import COMMAND
from app.database.postgres import PostgresDatabase
from tests.support.bounds import call_of, once
from tests.support.network.proxy import Proxy
from tests.support.servers.postgres import NEEDS_POSTGRES, REPEATABLE_READ, Postgres, postgres
from tests.support.waiting import until

pytestmark = NEEDS_POSTGRES

PID = "SELECT pg_backend_pid()"
COUNT = "SELECT count(*) FROM items"
ADD = "INSERT INTO items (name) VALUES (%(name)s)"
LOCK = "SELECT pg_advisory_xact_lock(1)"
SLEEP = "SELECT pg_sleep(30)"
# Finds those of triggers, too.
SLEEPING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
SIZE = 4
# Seconds: far less than SLEEP takes, and than TCP gives a server that does not answer.
SOON = 8


@pytest.fixture(scope="module")
def shared() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def server(shared: Postgres) -> Postgres:
    shared.run("DROP TABLE IF EXISTS items")
    shared.run("CREATE TABLE items (name text PRIMARY KEY)")
    return shared


@pytest.fixture
def database(server: Postgres) -> Iterator[PostgresDatabase]:
    with PostgresDatabase(lambda: conninfo(server.url, 10), size=SIZE, wait=5) as database:
        yield database


def ask(database: PostgresDatabase, sql: str = COUNT) -> Any:
    with database.reading() as connection:
        return connection.execute(sql)[0][0]


def add(database: PostgresDatabase, name: str = "one", *more: str) -> None:
    """Adds an item, and runs more statements in the same transaction."""
    with database.writing() as connection:
        connection.execute(ADD, {"name": name})
        for sql in more:
            connection.execute(sql)


def fill(database: PostgresDatabase) -> set[int]:
    """Has every connection of the pool made; returns their processes."""
    with ExitStack() as several:
        readers = [several.enter_context(database.reading()) for _ in range(SIZE)]
        return {reader.execute(PID)[0][0] for reader in readers}


def sleeps(server: Postgres) -> Callable[[], bool]:
    """Whether a statement sleeps, so that it is under way."""
    return lambda: server.run(SLEEPING) == [(1,)]


def seconds(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def test_parameters_are_named_and_a_percent_sign_is_doubled_in_postgresql(database: PostgresDatabase) -> None:
    with database.writing() as connection:
        connection.execute_many(ADD, [{"name": "a%"}, {"name": "b"}])
        assert connection.execute("UPDATE items SET name = name") == []
    with database.reading() as connection:
        assert connection.execute("SELECT name FROM items WHERE name LIKE '%%\\%%'") == [("a%",)]


def test_a_transaction_is_committed_on_exit_and_rolled_back_by_an_exception_in_postgresql(
    database: PostgresDatabase,
) -> None:
    add(database, "kept")
    with pytest.raises(psycopg.errors.DivisionByZero):
        add(database, "not kept", "SELECT 1 / 0")
    assert ask(database, "SELECT name FROM items") == "kept"


def test_an_exit_that_commits_nothing_because_a_statement_has_failed_is_an_error(
    database: PostgresDatabase,
) -> None:
    def swallow() -> None:
        with database.writing() as connection:
            connection.execute(ADD, {"name": "one"})
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute(ADD, {"name": "one"})

    with pytest.raises(RuntimeError, match="was not committed"):
        swallow()


def test_a_reader_sees_one_snapshot_and_cannot_write_in_postgresql(database: PostgresDatabase) -> None:
    with database.reading() as reader:
        assert reader.execute(COUNT) == [(0,)]
        add(database)
        assert reader.execute(COUNT) == [(0,)]
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), database.reading() as reader:
        reader.execute(ADD, {"name": "from a reader"})


def test_a_writer_sees_what_was_committed_while_it_waited_whatever_the_default_isolation(
    server: Postgres,
) -> None:
    def count(database: PostgresDatabase) -> object:
        with call_of(seconds=30), database.writing() as connection:
            connection.execute(LOCK)
            return connection.execute(COUNT)

    info = conninfo(server.url + REPEATABLE_READ, 10)
    with PostgresDatabase(lambda: info, size=SIZE, wait=5) as database, psycopg.connect(server.url) as other:
        assert ask(database, "SHOW default_transaction_isolation") == "repeatable read"
        other.execute(LOCK)
        other.execute(ADD, {"name": "meanwhile"})
        with ThreadPoolExecutor(1) as thread:
            counted = thread.submit(count, database)
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
            until(lambda: server.run(waits) == [(1,)], 20)
            other.commit()
            assert counted.result() == [(1,)]


def test_the_deadline_of_the_call_ends_a_statement_and_its_connection_serves_on(
    database: PostgresDatabase, server: Postgres
) -> None:
    def sleep() -> None:
        with call_of(seconds=0.3), pytest.raises(DeadlineExceeded):
            ask(database, SLEEP)

    def serves_on() -> bool:
        pid = ask(database, PID)
        assert seconds(sleep) < SOON
        return bool(ask(database, PID) == pid)

    # A machine that is too busy to end a statement in time closes its connection, but not each time.
    assert any(serves_on() for _ in range(20))
    until(lambda: server.run(SLEEPING) == [(0,)], SOON)


def test_a_lock_that_is_not_free_before_the_deadline(database: PostgresDatabase, server: Postgres) -> None:
    with psycopg.connect(server.url) as other:
        other.execute("LOCK TABLE items")
        with call_of(seconds=0.3), pytest.raises(DeadlineExceeded):
            add(database)


def test_a_client_that_leaves_cancels_its_statement(database: PostgresDatabase, server: Postgres) -> None:
    left_at: list[float] = []
    with call_of(seconds=30) as context:

        def leave() -> None:
            left_at.append(time.monotonic())
            context.leave()

        with once(sleeps(server), leave), pytest.raises(CallEnded):
            ask(database, SLEEP)
        assert time.monotonic() - left_at[0] < SOON
    until(lambda: server.run(SLEEPING) == [(0,)], SOON)
    fill(database)


def test_a_server_that_does_not_answer_holds_no_call_beyond_its_deadline(
    database: PostgresDatabase, server: Postgres
) -> None:
    fill(database)
    server.pause()
    try:

        def call() -> None:
            with call_of(seconds=0.3), pytest.raises(DeadlineExceeded):
                ask(database)

        with ThreadPoolExecutor(SIZE) as threads:
            assert max(one.result() for one in [threads.submit(seconds, call) for _ in range(SIZE)]) < SOON
    finally:
        server.resume()
    fill(database)


def test_a_call_that_gets_no_connection_in_time_is_refused(server: Postgres) -> None:
    with (
        PostgresDatabase(lambda: conninfo(server.url, 10), size=SIZE, wait=2) as database,
        call_of(seconds=30),
        ExitStack() as several,
    ):
        for _ in range(SIZE):
            several.enter_context(database.reading())
        with pytest.raises(Exhausted, match=r"no connection to the database was free for 2 s") as caught:
            ask(database)
        assert caught.value.metadata == (("grpc-retry-pushback-ms", "100"),)
        with call_of(seconds=0.1), pytest.raises(DeadlineExceeded):
            ask(database)
        several.close()
        fill(database)


def take_lock(database: PostgresDatabase) -> None:
    with call_of(seconds=30), database.writing() as connection:
        connection.execute(LOCK)


def test_writers_that_wait_for_a_lock_leave_half_of_the_connections_to_reads(
    database: PostgresDatabase, server: Postgres
) -> None:
    [places] = database.places
    with psycopg.connect(server.url) as other, ThreadPoolExecutor(2 * SIZE) as threads:
        other.execute(LOCK)
        writers = [threads.submit(take_lock, database) for _ in range(2 * SIZE)]
        try:
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory'"
            until(lambda: server.run(waits) == [(SIZE // 2,)], 20)
            until(lambda: places.waiting == 2 * SIZE - SIZE // 2, 20)
            with call_of(seconds=30), ExitStack() as several:
                for _ in range(SIZE // 2):
                    assert several.enter_context(database.reading()).execute(COUNT) == [(0,)]
        finally:
            other.commit()
        for writer in writers:
            writer.result()
    assert (places.used, places.writing, places.waiting) == (0, 0, 0)


def test_a_pool_of_one_connection_reads_and_writes(server: Postgres) -> None:
    with PostgresDatabase(lambda: conninfo(server.url, 10), size=1, wait=5) as database:
        add(database)
        assert ask(database) == 1


def test_postgresql_itself_bounds_a_transaction_whatever_the_deadline(database: PostgresDatabase) -> None:
    with call_of(seconds=1000), database.reading() as connection:
        assert connection.execute("SHOW lock_timeout") == [("10s",)]
        assert connection.execute("SHOW idle_in_transaction_session_timeout") == [("3s",)]
    with call_of(seconds=1), database.reading() as connection:
        [(bound,)] = connection.execute("SHOW statement_timeout")
        assert 0 < int(bound.removesuffix("ms")) < 1000


HOLDS_THE_LOCK = """
import sys
from app.database.connections import conninfo
from app.database.migrations import COMMAND
from app.database.postgres import PostgresDatabase
from tests.support.bounds import call_of

with PostgresDatabase(lambda: conninfo(sys.argv[1], 10), size=1, wait=5) as database:
    with call_of(seconds=60), database.writing() as connection:
        connection.execute("SELECT pg_advisory_xact_lock(1)")
        print("locked", flush=True)
        input()
"""


@pytest.mark.slow
def test_a_server_that_stops_within_a_transaction_keeps_its_locks_for_seconds(
    database: PostgresDatabase, server: Postgres
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_THE_LOCK, server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"locked\n"
            process.send_signal(signal.SIGSTOP)
            assert seconds(lambda: take_lock(database)) < SOON
        finally:
            process.kill()


class Slow(Proxy):
    """Takes its time to forward what is sent, as a far database does."""

    def forward(self, data: bytes, other: socket.socket) -> None:
        time.sleep(0.05)
        super().forward(data, other)


def test_a_burst_at_a_cold_pool_waits_for_the_connections_that_are_made(server: Postgres) -> None:
    size = 12
    with Slow(f"127.0.0.1:{server.port}") as proxy:
        url = server.url.replace(str(server.port), proxy.target.rpartition(":")[2])
        together = Barrier(size)

        def call(database: PostgresDatabase) -> str:
            together.wait(20)
            try:
                with call_of(seconds=30), database.reading() as connection:
                    connection.execute("SELECT pg_sleep(0.5)")
            except Exhausted:
                return "exhausted"
            return "ok"

        with (
            PostgresDatabase(lambda: conninfo(url, 10), size, wait=0.5) as database,
            ThreadPoolExecutor(size) as threads,
        ):
            ended = [one.result() for one in [threads.submit(call, database) for _ in range(size)]]
    assert ended.count("ok") >= 2  # each had to wait for the ones before


def test_a_connection_that_idled_in_its_transaction_is_replaced_alone(database: PostgresDatabase) -> None:
    old = fill(database)

    def idle() -> None:
        with database.writing() as connection:
            connection.execute("SET LOCAL idle_in_transaction_session_timeout = 1")
            time.sleep(0.1)
            connection.execute(COUNT)

    with pytest.raises(Unavailable, match="the database has ended the connection"):
        idle()
    assert len(fill(database) & old) == SIZE - 1


@pytest.mark.alone
@pytest.mark.parametrize("number", [1, 2])
def test_a_connection_that_was_cut_because_its_deadline_passed_is_replaced_alone_and_two_are_taken_for_all(
    database: PostgresDatabase, number: int
) -> None:
    old = fill(database)
    stopped = set(list(old)[:number])
    ended: list[str] = []
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    try:
        for _ in old:
            try:
                with call_of(seconds=0.5):
                    ask(database)
            except DeadlineExceeded:
                ended.append("deadline")
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
    assert ended == ["deadline"] * number
    assert fill(database) & old == (old - stopped if number == 1 else set())


def test_two_connections_that_break_are_taken_for_all(server: Postgres) -> None:
    with Proxy(f"127.0.0.1:{server.port}") as proxy:
        ports = [proxy.target.rpartition(":")[2]]
        url = server.url.replace(str(server.port), ports[-1])
        with PostgresDatabase(lambda: conninfo(url, 10), SIZE, wait=5) as database:
            old = fill(database)
            for broken in (1, 2):
                proxy.end(broken - 1)
                ask(database)
            assert not fill(database) & old


@pytest.mark.parametrize("options", ["", "?options=-c%20client_min_messages%3Derror"])
def test_what_a_standby_may_not_have_when_the_deadline_passes_is_not_acknowledged(
    server: Postgres, options: str
) -> None:
    server.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    server.run("SELECT pg_reload_conf()")
    until(lambda: server.run("SHOW synchronous_standby_names") == [("nobody",)])
    try:
        with (
            PostgresDatabase(lambda: conninfo(server.url + options, 10), size=SIZE, wait=5) as database,
            call_of(seconds=0.5),
            pytest.raises(Unavailable, match="may have been committed or not"),
        ):
            add(database)
    finally:
        server.run("ALTER SYSTEM RESET synchronous_standby_names")
        server.run("SELECT pg_reload_conf()")
    until(lambda: server.run("SHOW synchronous_standby_names") == [("",)])
    assert server.run(COUNT) == [(1,)]


@pytest.mark.parametrize(
    ("role", "used"), [("off", "on"), ("on", "on"), ("local", "local"), ("remote_apply", "remote_apply")]
)
def test_a_commit_is_on_the_disk_before_it_is_acknowledged_whatever_the_role_sets(
    server: Postgres, role: str, used: str
) -> None:
    url = f"{server.url}?options=-c%20synchronous_commit%3D{role}"
    with PostgresDatabase(lambda: conninfo(url, 10), size=1, wait=5) as database:
        with database.writing() as connection:
            assert connection.execute("SHOW synchronous_commit") == [(used,)]
        assert ask(database, "SHOW synchronous_commit") == role  # it was set for that transaction


def test_the_error_of_a_bug_has_the_message_of_the_server_and_no_values(database: PostgresDatabase) -> None:
    add(database, "valuable")
    with pytest.raises(psycopg.errors.UniqueViolation) as caught:
        add(database, "valuable")
    told = 'duplicate key value violates unique constraint "items_pkey"'
    assert str(caught.value) == f"23505: {told}"
    assert caught.value.sqlstate == "23505"
    assert "(valuable)" not in "".join(traceback.format_exception(caught.value))
    with (
        pytest.raises(psycopg.errors.InvalidTextRepresentation) as unfit,
        database.reading() as connection,
    ):
        connection.execute("SELECT %(name)s::integer", {"name": "valuable"})
    assert str(unfit.value) == "22P02: InvalidTextRepresentation"
    assert "valuable" not in str(unfit.value)


def test_a_database_that_lacks_characters_is_not_used(server: Postgres) -> None:
    server.run("DROP DATABASE IF EXISTS latin", database="postgres")
    server.run("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", database="postgres")
    with (
        PostgresDatabase(lambda: conninfo(server.url_of("latin"), 10), size=1, wait=5) as database,
        pytest.raises(Unavailable, match="the encoding LATIN1, which lacks characters") as caught,
        database.apart(),
    ):
        pass
    assert caught.value.problem.endswith("create another one with ENCODING 'UTF8'")


@pytest.mark.alone
def test_a_database_that_stops_leaves_no_call_waiting(database: PostgresDatabase, server: Postgres) -> None:
    old = fill(database)
    ends: list[float] = []

    def call(sql: str) -> None:
        with call_of(seconds=30), pytest.raises(Unavailable, match="the database does not answer; retry"):
            ask(database, sql)
        ends.append(time.monotonic())

    with database.apart() as connection:
        connection.execute(COUNT)
    with ThreadPoolExecutor(2) as threads:
        asked = threads.submit(call, SLEEP)
        until(sleeps(server), 20)
        server.pause()
        try:
            stopped = time.monotonic()
            begins = threads.submit(call, COUNT)
            with pytest.raises(Unavailable, match="the database does not answer"), database.apart():
                pass
            begins.result()
            asked.result()
            assert max(ends) - stopped < SOON
            assert seconds(lambda: call(COUNT)) < 1  # less than a BEGIN that is not answered takes
            with pytest.raises(Unavailable, match="the database does not answer"), database.apart():
                pass
        finally:
            server.resume()

        def answers() -> bool:
            try:
                with database.apart():
                    return True
            except Unavailable:
                return False

        until(answers, 20)
        assert ask(database) == 0
        assert not fill(database) & old
    server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")


def test_a_begin_that_is_not_answered_does_not_last_until_the_deadline(
    database: PostgresDatabase, server: Postgres
) -> None:
    fill(database)
    server.pause()
    try:
        with call_of(seconds=30), pytest.raises(Unavailable, match="the database does not answer"):
            ask(database)
    finally:
        server.resume()
    ask(database)


def test_a_connection_of_the_looks_that_leads_nowhere_refuses_no_call(
    database: PostgresDatabase,
) -> None:
    with database.apart() as connection:
        [(stopped,)] = connection.execute(PID)
    os.kill(stopped, signal.SIGSTOP)
    try:
        done = Event()

        def asks() -> None:
            while not done.wait(0.05):
                ask(database)

        with ThreadPoolExecutor(1) as threads:
            asking = threads.submit(asks)
            with pytest.raises(Exhausted, match="has begun no transaction for 3 s"), database.apart():
                pass
            ask(database)
            done.set()
            asking.result()
        with database.apart() as connection:
            assert connection.execute(PID) != [(stopped,)]
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_a_database_that_takes_connections_and_says_nothing_is_left_with_few_of_them(
    server: Postgres,
) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        ExitStack() as opened,
    ):
        urls = [server.url.replace(str(server.port), str(silent.getsockname()[1]))]
        database = opened.enter_context(PostgresDatabase(lambda: conninfo(urls[-1], 3), size=SIZE, wait=5))
        for _ in range(5):
            with pytest.raises(Unavailable, match="does not answer"), database.apart():
                pass
        urls.append(server.url)

        def found() -> bool:
            """Once one of the former attempts has given up."""
            try:
                with database.apart() as connection:
                    return connection.execute(COUNT) == [(0,)]
            except Unavailable:
                return False

        until(found, 8)


def test_an_error_of_connecting_that_is_not_the_drivers_is_told_and_connecting_goes_on(
    server: Postgres,
) -> None:
    urls = [f"postgresql://{'a' * 70}.invalid/items"]  # a label that no name may have is a UnicodeError
    with PostgresDatabase(lambda: conninfo(urls[-1], 3), size=1, wait=5) as database:
        for _ in range(5):
            with pytest.raises(Unavailable, match=r"cannot be reached: .*label"), database.apart():
                pass
        with capture_logs() as lines:
            assert seconds(lambda: refused(database)) < 4
        [line] = [line for line in lines if line["event"] == "database_unreachable"]
        assert "label" in line["problem"]
        urls.append(server.url)
        with database.apart() as connection:
            assert connection.execute(COUNT) == [(0,)]


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("SELECT * FROM nowhere", f'relation "nowhere" does not exist; run {COMMAND}'),
        ("SELECT nothing FROM items", f'column "nothing" does not exist; run {COMMAND}'),
        ("SELECT name FROM items", "SELECT: permission denied for table items; grant this to the role"),
    ],
)
def test_a_schema_or_a_right_that_is_missing_is_unavailable_and_the_log_is_told_which(
    server: Postgres, sql: str, problem: str
) -> None:
    server.run("DROP ROLE IF EXISTS stranger")
    server.run("CREATE ROLE stranger LOGIN PASSWORD 'stranger'")
    url = f"postgresql://stranger:stranger@127.0.0.1:{server.port}/items"
    with (
        PostgresDatabase(lambda: conninfo(url, 10), size=1, wait=5) as database,
        pytest.raises(Unavailable, match=r"the database does not (have the schema|permit)") as caught,
    ):
        ask(database, sql)
    assert caught.value.problem.startswith(problem)
    assert "items" not in caught.value.message


@pytest.mark.slow
@pytest.mark.alone
def test_a_server_that_is_down_is_told_apart_and_refuses_at_once(server: Postgres) -> None:
    with PostgresDatabase(lambda: conninfo(server.url, 10), size=SIZE, wait=5) as database:
        fill(database)
        server.stop()
        try:
            with pytest.raises(Unavailable, match=r"the database cannot be reached; retry later"):
                ask(database)
            for _ in range(80):  # for longer than the pool's own pauses, of 1, 2 and 4 s
                assert seconds(lambda: refused(database)) < 2
                time.sleep(0.1)
        finally:
            server.start()
        assert seconds(lambda: recovered(database)) < 4  # the pool's own next pause is longer


def refused(database: PostgresDatabase) -> None:
    with pytest.raises(Unavailable):
        ask(database)


def recovered(database: PostgresDatabase) -> None:
    """Waits until each connection of the pool works."""

    def works() -> bool:
        try:
            fill(database)
        except Unavailable:
            return False
        return True

    until(works, 20)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_restart_costs_no_call_that_begins_afterwards(
    database: PostgresDatabase, server: Postgres, end: str
) -> None:
    fill(database)
    getattr(server, end)()
    server.start()
    for _ in range(2 * SIZE):  # the connections in the pool are all stale
        ask(database)


def test_a_server_that_is_killed_during_a_statement_is_unavailable(
    database: PostgresDatabase, server: Postgres
) -> None:
    with (
        call_of(seconds=30),
        once(sleeps(server), server.kill),
        pytest.raises(Unavailable, match="the database has ended the connection"),
    ):
        ask(database, SLEEP)
    server.start()


def test_a_server_that_is_killed_during_a_commit_leaves_the_outcome_unknown(
    database: PostgresDatabase, server: Postgres
) -> None:
    server.run(
        "CREATE OR REPLACE FUNCTION late() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END'"
    )
    server.run(
        "CREATE CONSTRAINT TRIGGER late AFTER INSERT ON items DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION late()"
    )
    with (
        call_of(seconds=30),
        once(sleeps(server), server.kill),
        pytest.raises(Unavailable, match="may have been committed or not"),
    ):
        add(database)
    server.start()


def test_a_server_that_becomes_read_only_is_left_for_one_that_takes_writes(
    database: PostgresDatabase, server: Postgres
) -> None:
    old = fill(database)
    server.run("ALTER SYSTEM SET default_transaction_read_only = on")
    server.run("SELECT pg_reload_conf()")
    until(lambda: server.run("SHOW transaction_read_only") == [("on",)])
    try:
        with pytest.raises(Unavailable, match="the database is read-only; retry later"):
            add(database)
        assert not fill(database) & old
    finally:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
            connection.execute("SELECT pg_reload_conf()")
    until(lambda: server.run("SHOW transaction_read_only") == [("off",)])
    add(database)


def test_what_others_cancel_or_conflict_with_may_be_tried_again(
    database: PostgresDatabase, server: Postgres
) -> None:

    def cancel() -> None:
        server.run("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")

    with (
        call_of(seconds=30),
        once(sleeps(server), cancel),
        pytest.raises(Unavailable, match="the database has cancelled the statement"),
    ):
        ask(database, SLEEP)
    add(database, "a")
    add(database, "b")
    first_has_a, second_has_b = Event(), Event()

    def swap(own: str, other: str, mine: Event, theirs: Event) -> str:
        update = "UPDATE items SET name = name WHERE name = %(name)s"
        try:
            with call_of(seconds=30), database.writing() as connection:
                connection.execute(update, {"name": own})
                mine.set()
                theirs.wait(20)
                connection.execute(update, {"name": other})
        except Unavailable as error:
            return error.message
        return ""

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(swap, "a", "b", first_has_a, second_has_b)
        second = threads.submit(swap, "b", "a", second_has_b, first_has_a)
        assert {first.result(), second.result()} == {
            "",
            "the transaction conflicted with another; retry later",
        }


def test_a_server_without_a_connection_left_is_unavailable(server: Postgres) -> None:
    server.run("CREATE ROLE visitor LOGIN CONNECTION LIMIT 0 PASSWORD 'visitor'")
    url = f"postgresql://visitor:visitor@127.0.0.1:{server.port}/items"
    with (
        PostgresDatabase(lambda: conninfo(url, 10), size=1, wait=5) as database,
        pytest.raises(Unavailable, match="the database has no connection left") as caught,
    ):
        ask(database)
    assert caught.value.kind == "too_many_connections"


def test_new_connections_use_what_the_url_says_by_then(server: Postgres) -> None:
    urls = [server.url]
    with PostgresDatabase(lambda: conninfo(urls[-1], 10), size=1, wait=5) as database:
        assert ask(database, "SELECT current_database()") == "items"
        urls.append(server.url_of("postgres"))
        assert ask(database, "SELECT current_database()") == "postgres"


def test_a_call_that_outlives_the_server_is_unavailable(server: Postgres) -> None:
    with PostgresDatabase(lambda: conninfo(server.url, 10), size=1, wait=5) as database:
        ask(database)
    with pytest.raises(Unavailable, match="this server has closed its connections to the database; retry"):
        ask(database)


def test_among_several_hosts_the_one_that_takes_writes_is_looked_for() -> None:
    assert "target_session_attrs=read-write" in conninfo("postgresql://one:1,two:2/items", 3)
    assert "target_session_attrs" not in conninfo("postgresql://one:1/items", 3)
    chosen = conninfo("postgresql://one,two/items?target_session_attrs=any&sslmode=verify-full", 3)
    assert "target_session_attrs=any" in chosen
    assert "sslmode=verify-full" in chosen
