"""The quotes file in the database."""

import threading

import grpc
import pytest
from structlog.testing import capture_logs

from app.core.database import Database
from app.core.errors import StatusError
from app.services.quotes.database_store import DatabaseStore
from app.services.quotes.file_merge import BATCH, FileMerge
from app.services.quotes.quotes import Quote

ANN, BOB, EVE = Quote("one", "Ann"), Quote("two", "Ann"), Quote("three", "Eve")


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
        StatusError("the database is away", code=grpc.StatusCode.UNAVAILABLE),
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

    file = (ANN, EVE)
    merge = FileMerge(lambda: file, add)  # type: ignore[arg-type]  # it is given tuples
    with capture_logs() as logged:
        merge.look()
        merge.look()
        down = False
        merge.look()
    assert [line["event"] for line in logged] == ["quotes_merge_failed", "quotes_merged"]
    assert logged[0]["problem"] == "the database is away"
    assert list(store.all("")) == [ANN, EVE]


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
