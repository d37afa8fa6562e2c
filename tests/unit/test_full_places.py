"""Transactions that wait for a place, and those that are refused."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from app.core import queue
from app.database import places as module
from app.database.bound import Bound
from app.database.errors import Exhausted
from app.database.places import Places
from tests.support.clock import Clock
from tests.support.waiting import until

SIZE, WAIT = 4, 2.0
REFUSED = "too many transactions wait for a connection to the database; retry later"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(queue, "time", clock)
    monkeypatch.setattr(module, "time", clock)
    return clock


def busy(clock: Clock, took: float, wait: float = WAIT) -> Places:
    """Places that are all taken, after many transactions that took so many seconds."""
    places = Places(SIZE, wait, writers=SIZE)
    for _ in range(100):
        places.take(Bound(), writes=False)
        clock.now += took
        places.free(writes=False)
    for _ in range(SIZE):
        places.take(Bound(), writes=False)
    return places


@contextmanager
def waiting(places: Places, number: int) -> Iterator[None]:
    """So many more wait. At the end of the context all places become free, and each of them has one."""

    def pass_through() -> None:
        places.take(Bound(), writes=False)
        places.free(writes=False)

    with ThreadPoolExecutor(number) as threads:
        made = [threads.submit(pass_through) for _ in range(number)]
        try:
            until(lambda: places.waiting == number)
            yield
        finally:
            for _ in range(SIZE):
                places.free(writes=False)
            for one in made:
                one.result()
    assert (places.used, places.waiting) == (0, 0)


@pytest.mark.parametrize(("took", "wait"), [(0.1, 40), (1.0, 4)])
def test_those_that_would_wait_for_half_of_the_time_are_refused_at_once(
    clock: Clock, took: float, wait: int
) -> None:
    places = busy(clock, took)
    with waiting(places, wait):
        began = time.monotonic()
        with pytest.raises(Exhausted, match=REFUSED) as caught:
            places.take(Bound(), writes=False)
        assert time.monotonic() - began < WAIT / 2
        assert caught.value.metadata == (("grpc-retry-pushback-ms", "100"),)
        assert (places.used, places.waiting) == (SIZE, wait)


def test_one_may_wait_however_long_transactions_take(clock: Clock) -> None:
    places = busy(clock, 60)
    with waiting(places, 1), pytest.raises(Exhausted, match=REFUSED):
        places.take(Bound(), writes=False)


def test_one_that_waits_in_vain_is_refused_when_its_time_is_over(clock: Clock) -> None:
    places = busy(clock, 0.001, wait=0.05)
    with pytest.raises(Exhausted, match=r"no connection to the database was free for 0.05 s"):
        places.take(Bound(), writes=False)
    assert (places.used, places.waiting) == (SIZE, 0)


def test_while_none_ends_the_queue_shortens(clock: Clock) -> None:
    places = busy(clock, 0.1)
    with waiting(places, 8):  # 40 may wait
        clock.now += 2
        with pytest.raises(Exhausted, match=REFUSED):
            places.take(Bound(), writes=False)


def test_a_burst_of_short_ones_waits(clock: Clock) -> None:
    places = busy(clock, 0.001)
    with waiting(places, 200):
        assert places.used == SIZE


def test_how_long_was_waited_is_told_but_not_of_those_that_are_refused_at_once(clock: Clock) -> None:
    told: list[float] = []
    places = busy(clock, 60)
    places.waited = told.append
    with waiting(places, 1):
        with pytest.raises(Exhausted, match=REFUSED):
            places.take(Bound(), writes=False)
        clock.now += 0.3
    assert told == [pytest.approx(0.3)]


def test_places_are_given_in_order_and_not_to_those_that_have_just_come(clock: Clock) -> None:
    places = busy(clock, 0.001)
    served: list[int] = []

    def wait(number: int) -> None:
        places.take(Bound(), writes=False)
        served.append(number)

    with ThreadPoolExecutor(SIZE) as threads:
        for number in range(3):
            threads.submit(wait, number)
            until(lambda: places.waiting == number + 1)  # noqa: B023 - it is called in this round
        for number in range(3):
            places.free(writes=False)
            threads.submit(wait, 3 + number)
            until(lambda: len(served) == number + 1)  # noqa: B023 - as above
        assert served == [0, 1, 2]
        for _ in range(3):
            places.free(writes=False)


def test_a_burst_after_a_pause_waits_too(clock: Clock) -> None:
    places = busy(clock, 0.001)
    for _ in range(SIZE):
        places.free(writes=False)
    clock.now += 100
    for _ in range(SIZE):
        places.take(Bound(), writes=False)
    with waiting(places, 20):
        assert places.used == SIZE
