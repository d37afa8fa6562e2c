import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.core.errors import CallEnded, DeadlineExceeded, StartError
from app.database.errors import Exhausted, Unavailable
from app.database.migrate import session_of
from app.database.sqlite import SqliteDatabase
from app.database.url import parse_url
from tests.support.bounds import call_of, later

COUNT = "SELECT count(*) FROM items"
ADD = "INSERT INTO items (name) VALUES (%(name)s)"
# Takes a minute or so.
SLOW = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000)"
    " SELECT count(*) FROM n"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "items.db"


@pytest.fixture
def database(path: Path) -> Iterator[SqliteDatabase]:
    with SqliteDatabase(path, size=4, wait=0.3) as database:
        with database.writing() as connection:
            connection.execute("CREATE TABLE items (name TEXT NOT NULL UNIQUE)")
        yield database


def count(database: SqliteDatabase) -> int:
    with database.reading() as connection:
        [(number,)] = connection.execute(COUNT)
    return int(number)


def test_parameters_are_named_and_a_percent_sign_is_doubled_in_sqlite(database: SqliteDatabase) -> None:
    with database.writing() as connection:
        connection.execute_many(ADD, [{"name": "a%"}, {"name": "b"}])
    with database.reading() as connection:
        found = connection.execute(
            "SELECT name, %(same)s || %(same)s FROM items WHERE name LIKE '%%\\%%' ESCAPE '\\'", {"same": "x"}
        )
        assert found == [("a%", "xx")]
        with pytest.raises(ValueError, match=r"expected %\(name\)s for a parameter"):
            connection.execute("SELECT 1 % 2")


def fail_after(database: SqliteDatabase, name: str, sql: str) -> None:
    """Adds an item, and runs a statement in the same transaction."""
    with database.writing() as connection:
        connection.execute(ADD, {"name": name})
        connection.execute(sql)


def test_a_transaction_is_committed_on_exit_and_rolled_back_by_an_exception_in_sqlite(
    database: SqliteDatabase,
) -> None:
    with database.writing() as connection:
        connection.execute(ADD, {"name": "kept"})
    with pytest.raises(sqlite3.OperationalError, match="syntax error"):
        fail_after(database, "not kept", "SELECT FROM")
    with database.reading() as connection:
        assert connection.execute("SELECT name FROM items") == [("kept",)]


def test_a_reader_sees_one_snapshot_and_cannot_write_in_sqlite(database: SqliteDatabase) -> None:
    with database.reading() as reader:
        assert reader.execute(COUNT) == [(0,)]
        with database.writing() as writer:
            writer.execute(ADD, {"name": "new"})
        assert reader.execute(COUNT) == [(0,)]
        with pytest.raises(Unavailable):
            reader.execute(ADD, {"name": "from a reader"})
    assert count(database) == 1


def test_many_threads_write_one_after_the_other(database: SqliteDatabase, path: Path) -> None:
    def add(number: int) -> None:
        with call_of(seconds=50), patient.writing() as connection:
            [(seen,)] = connection.execute(COUNT)
            connection.execute(ADD, {"name": f"{number}"})
            assert connection.execute(COUNT) == [(seen + 1,)]

    with SqliteDatabase(path, size=4, wait=50) as patient, ThreadPoolExecutor(8) as threads:
        list(threads.map(add, range(40)))
    assert count(database) == 40


def test_the_deadline_of_the_call_ends_a_statement(database: SqliteDatabase) -> None:
    began = time.monotonic()
    with (
        pytest.raises(DeadlineExceeded, match="the deadline passed while the call used the database"),
        call_of(seconds=0.3),
        database.reading() as connection,
    ):
        connection.execute(SLOW)
    assert time.monotonic() - began < 8
    assert count(database) == 0  # the connection serves on


def test_a_client_that_leaves_ends_its_statement(database: SqliteDatabase) -> None:
    began = time.monotonic()
    with (
        call_of(seconds=30) as context,
        later(0.2, context.leave),
        pytest.raises(CallEnded),
    ):
        fail_after(database, "gone", SLOW)
    assert time.monotonic() - began < 8
    assert count(database) == 0


def test_a_call_that_gets_no_turn_in_time_is_refused(database: SqliteDatabase) -> None:
    def write() -> None:
        with database.writing():
            pass

    with database.writing(), ThreadPoolExecutor(1) as other:
        with pytest.raises(
            Exhausted, match=r"no connection to the database was free for 0.3 s; retry later"
        ) as caught:
            other.submit(write).result()
        assert caught.value.metadata == (("grpc-retry-pushback-ms", "100"),)


def test_the_lock_of_another_process_is_waited_for_until_the_deadline(
    database: SqliteDatabase, path: Path
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DeadlineExceeded), call_of(seconds=0.3), database.writing():
        pass
    with call_of(seconds=10):
        began = time.monotonic()
        with ThreadPoolExecutor(1) as thread, database.reading():
            thread.submit(time.sleep, 0)
        assert count(database) == 0  # readers do not wait
        assert time.monotonic() - began < 8
        other.execute("COMMIT")
        with database.writing() as connection:
            connection.execute(ADD, {"name": "after"})
    other.close()


def test_a_new_file_that_another_process_has_locked_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")  # SQLite does not wait for it when it changes the journal's mode
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            other.execute("COMMIT")

    monkeypatch.setattr("app.database.sqlite.time", SimpleNamespace(sleep=pause))
    with SqliteDatabase(path, size=1, wait=1) as database, database.writing() as connection:
        assert connection.execute("PRAGMA journal_mode") == [("wal",)]
    assert len(pauses) == 3
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN IMMEDIATE")
    pauses.clear()
    with session_of(parse_url(f"sqlite:///{path}"), 5) as session:
        assert session.execute("PRAGMA journal_mode") == [("wal",)]
    assert len(pauses) == 3
    other.close()


def test_what_was_committed_is_there_after_a_kill(database: SqliteDatabase, path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from app.database.sqlite import SqliteDatabase
with SqliteDatabase(Path(sys.argv[1]), size=1, wait=1) as database:
    with database.writing() as connection:
        connection.execute("INSERT INTO items (name) VALUES ('kept')")
    with database.writing() as connection:
        connection.execute("INSERT INTO items (name) VALUES ('lost')")
        os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program, path], check=False, timeout=30).returncode == -9
    with database.reading() as connection:
        assert connection.execute("SELECT name FROM items") == [("kept",)]
        assert connection.execute("PRAGMA synchronous") == [(2,)]  # FULL: safe from a loss of power, too


def test_a_full_disk_is_told_apart(database: SqliteDatabase) -> None:
    with database.writing() as connection:
        connection.execute("PRAGMA max_page_count = 3")
    with pytest.raises(Exhausted, match="the disk of the database is full"), database.writing() as connection:
        connection.execute(ADD, {"name": "long" * 10_000})


def test_a_file_that_is_no_database_is_an_error_that_names_it(path: Path) -> None:
    path.write_text("not a database\n" * 100)
    with (
        pytest.raises(StartError, match=r"items.db: cannot be opened as a SQLite database: file is not"),
        SqliteDatabase(path, size=1, wait=1),
    ):
        pass
