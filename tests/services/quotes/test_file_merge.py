"""The quotes file in the database."""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager

import grpc
import pytest
from structlog.testing import capture_logs

from app.core.database import Connection, Database
from app.core.errors import DeadlineExceeded, StatusError
from app.services.quotes.database_store import DatabaseStore
from app.services.quotes.file_merge import BATCH, FileMerge
from app.services.quotes.quotes import Quote

ANN, BOB, EVE = Quote("one", "Ann"), Quote("two", "Ann"), Quote("three", "Eve")
UNAVAILABLE = StatusError("the database is away", code=grpc.StatusCode.UNAVAILABLE)


class Clock:
    """In seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(database: Database) -> DatabaseStore:
    return DatabaseStore(database)


def test_the_file_is_merged_once_and_again_after_a_change(store: DatabaseStore) -> None:
    file: tuple[Quote, ...] = (ANN, BOB)
    merge = FileMerge(lambda: file, store.add)
    store.add([BOB])
    with capture_logs() as logged:
        for _ in range(3):
            merge.look()
    assert logged == [{"event": "quotes_merged", "log_level": "info", "added": 1, "known": 1}]
    assert list(store.all("")) == [BOB, ANN]
    file = (EVE,)
    merge.look()
    assert list(store.all("")) == [BOB, ANN, EVE]  # what left the file stays


def test_it_is_done_once_all_quotes_of_the_file_as_it_is_now_are_there() -> None:
    file: tuple[Quote, ...] = tuple(Quote(str(number), "Ann") for number in range(BATCH + 1))
    done: list[bool] = []

    def add(quotes: Sequence[Quote]) -> int:
        done.append(merge.done())
        if len(done) == 3:
            raise UNAVAILABLE
        return len(quotes)

    clock = Clock()
    merge = FileMerge(lambda: file, add, clock)
    done.append(merge.done())
    merge.look()
    assert done == [False] * 3  # and the second batch has failed
    clock.now = 60
    merge.look()
    assert done == [False] * 4
    assert merge.done()
    file = tuple(Quote(str(number), "Bob") for number in range(BATCH + 1))
    assert not merge.done()
    merge.look()
    assert merge.done()


def test_a_long_file_is_merged_in_batches(store: DatabaseStore) -> None:
    file = tuple(Quote(str(number), f"author {number % 7}") for number in range(2 * BATCH + 1))
    sizes: list[int] = []

    def add(quotes: object) -> int:
        assert isinstance(quotes, tuple)
        sizes.append(len(quotes))
        return store.add(quotes)

    FileMerge(lambda: file, add).look()
    assert sizes == [BATCH, BATCH, 1]
    assert tuple(store.all("")) == file


def test_servers_that_merge_the_same_file_at_the_same_time_add_each_quote_once(
    database: Database, another: Database
) -> None:
    file = tuple(Quote(str(number), f"author {number % 7}") for number in range(BATCH + 50))
    stores = [DatabaseStore(one) for one in (database, another)]
    merges = [FileMerge(lambda: file, store.add) for store in stores]
    threads = [threading.Thread(target=merge.look) for merge in merges]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tuple(stores[0].all("")) == file


@pytest.mark.parametrize(
    "error",
    [
        UNAVAILABLE,
        Exception("the database is away"),
    ],
    ids=["no database", "no schema"],
)
def test_a_failed_merge_is_logged_once_and_tried_again(store: DatabaseStore, error: Exception) -> None:
    down = True

    def add(quotes: tuple[Quote, ...]) -> int:
        if down:
            raise error
        return store.add(quotes)

    file, clock = (ANN, EVE), Clock()
    merge = FileMerge(lambda: file, add, clock)  # type: ignore[arg-type]  # it is given tuples
    with capture_logs() as logged:
        merge.look()
        clock.now += 1
        merge.look()
        down = False
        clock.now += 2
        merge.look()
    assert [line["event"] for line in logged] == ["quotes_merge_failed", "quotes_merged"]
    assert logged[0]["problem"] == "the database is away"
    assert list(store.all("")) == [ANN, EVE]


def test_a_merge_goes_on_with_the_batch_that_failed_after_pauses_that_get_longer() -> None:
    batches: list[Sequence[Quote]] = []

    def add(quotes: Sequence[Quote]) -> int:
        batches.append(quotes)
        if 1 < len(batches) < 20:
            raise UNAVAILABLE
        return len(quotes)

    file, clock = tuple(Quote(str(number), "Ann") for number in range(2 * BATCH)), Clock()
    merge = FileMerge(lambda: file, add, clock)
    tries: list[float] = []
    with capture_logs() as logged:
        while len(logged) < 2:  # until the first problem, and the end
            before = len(batches)
            merge.look()
            if len(batches) > before:
                tries.append(clock.now)
            clock.now += 0.5
    assert [len(batches), tries[:8]] == [20, [0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5, 31.5]]
    assert batches[0] == file[:BATCH]
    assert batches[1:] == [file[BATCH:]] * 19
    assert logged[-1]["added"] == 2 * BATCH


def test_a_new_file_does_not_wait_for_the_pause_of_one_that_failed() -> None:
    added: list[Sequence[Quote]] = []

    def add(quotes: Sequence[Quote]) -> int:
        if ANN in quotes:
            raise UNAVAILABLE
        added.append(quotes)
        return len(quotes)

    file: tuple[Quote, ...] = (ANN,)
    merge = FileMerge(lambda: file, add, Clock())
    merge.look()
    file = (BOB,)
    merge.look()
    assert added == [(BOB,)]


def test_a_batch_that_is_not_done_in_time_is_halved() -> None:
    sizes: list[int] = []

    def add(quotes: Sequence[Quote]) -> int:
        sizes.append(len(quotes))
        if len(quotes) > 200:
            raise DeadlineExceeded("the deadline passed")
        return len(quotes)

    file, clock = tuple(Quote(str(number), "Ann") for number in range(300)), Clock()
    merge = FileMerge(lambda: file, add, clock)
    for _ in range(5):
        merge.look()
        clock.now += 10
    assert sizes == [300, 250, 125, 125, 50]


def test_a_file_that_is_there_already_is_merged_without_a_transaction_that_writes(database: Database) -> None:
    class Counted:
        dialect = database.dialect
        writes = 0

        def reading(self) -> AbstractContextManager[Connection]:
            return database.reading()

        def writing(self) -> AbstractContextManager[Connection]:
            self.writes += 1
            return database.writing()

    counted = Counted()
    store = DatabaseStore(counted)
    other = Quote(ANN.text, EVE.author)
    assert store.merge([]) == 0
    assert store.merge([ANN, BOB, ANN]) == 2
    assert store.merge([EVE, BOB, other]) == 2
    assert counted.writes == 2
    assert store.merge([ANN, BOB, EVE, other]) == 0
    assert counted.writes == 2
    assert list(store.all("")) == [ANN, BOB, EVE, other]


def test_a_merge_that_hangs_is_not_begun_again_and_holds_up_nobody() -> None:
    begun, release = threading.Semaphore(0), threading.Event()

    def add(_quotes: object) -> int:
        begun.release()
        assert release.wait(5)
        return 0

    file = (ANN,)
    merge = FileMerge(lambda: file, add)
    hanging = threading.Thread(target=merge.look)
    hanging.start()
    assert begun.acquire(timeout=5)
    merge.look()
    assert not begun.acquire(blocking=False)
    release.set()
    hanging.join()
