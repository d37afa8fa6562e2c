import threading
from collections.abc import Iterator

import pytest

from app.runtime.pools import CallPool
from tests.support.waiting import until


@pytest.fixture
def pool() -> Iterator[CallPool]:
    made = CallPool(2, "test")
    yield made
    made.shutdown()


def test_work_is_begun_in_the_order_of_its_arrival() -> None:
    pool, done = CallPool(1, "test"), list[int]()
    for number in range(100):
        pool.submit(done.append, number)
    pool.shutdown()
    assert done == list(range(100))


def test_what_was_submitted_before_the_end_is_done_and_nothing_is_taken_after() -> None:
    pool, release, done = CallPool(1, "test"), threading.Event(), list[str]()
    pool.submit(release.wait, 5)
    pool.submit(done.append, "waited")
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="closed"):
        pool.submit(done.append, "late")
    release.set()
    pool.shutdown()
    assert done == ["waited"]


def test_as_many_run_at_once_as_there_are_threads(pool: CallPool) -> None:
    met = threading.Barrier(2)
    done: list[int] = []
    for _ in range(2):
        pool.submit(lambda: done.append(met.wait(5)))
    assert sorted(until(lambda: len(done) == 2 and done)) == [0, 1]


def test_work_that_raises_costs_no_thread(pool: CallPool) -> None:
    done: list[int] = []
    for _ in range(5):
        pool.submit(int, "no number")
    pool.submit(done.append, 1)
    until(lambda: done)


def test_nothing_of_the_work_is_kept_while_its_thread_waits() -> None:
    class Work:
        def __del__(self) -> None:
            gone.set()

        def __call__(self) -> None:
            pass

    gone = threading.Event()
    pool = CallPool(1, "test")
    pool.submit(Work())
    assert gone.wait(5)
    pool.shutdown()
