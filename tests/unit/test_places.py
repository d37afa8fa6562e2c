from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from app.core.errors import DeadlineExceeded
from app.database.bound import Bound
from app.database.errors import Exhausted
from app.database.places import Places
from tests.support.bounds import call_of
from tests.support.waiting import until


def take(places: Places, *, writes: bool) -> None:
    places.take(Bound(20), writes=writes)


def test_writers_take_their_share_and_reads_the_rest() -> None:
    places = Places(3, 0.01, writers=2)
    for _ in range(2):
        take(places, writes=True)
    with pytest.raises(Exhausted):
        take(places, writes=True)
    take(places, writes=False)
    with pytest.raises(Exhausted):
        take(places, writes=False)
    assert (places.used, places.writing, places.waiting) == (3, 2, 0)
    places.free(writes=False)
    with pytest.raises(Exhausted):
        take(places, writes=True)
    places.free(writes=True)
    take(places, writes=True)
    assert (places.used, places.writing) == (2, 2)


def test_reads_may_take_every_place() -> None:
    places = Places(2, 0.01, writers=1)
    for _ in range(2):
        take(places, writes=False)
    with pytest.raises(Exhausted):
        take(places, writes=True)


def test_a_place_goes_to_the_one_that_has_waited_the_longest_of_those_that_may_have_it() -> None:
    places = Places(2, 20, writers=1)
    take(places, writes=True)
    take(places, writes=False)
    with ThreadPoolExecutor(3) as threads:
        waiting: list[Future[None]] = []
        for writes in (True, False, False):
            waiting.append(threads.submit(take, places, writes=writes))
            until(lambda: places.waiting == len(waiting))
        places.free(writes=False)  # the writer waits for the other writer
        waiting[1].result(20)
        assert not waiting[0].done()
        assert not waiting[2].done()
        places.free(writes=True)
        waiting[0].result(20)
        assert not waiting[2].done()
        places.free(writes=True)
        waiting[2].result(20)
    assert (places.used, places.writing, places.waiting) == (2, 0, 0)


def test_who_gives_up_leaves_the_line_and_says_how_long_it_was() -> None:
    places = Places(1, 0.2, writers=1)
    waited: list[float] = []
    places.waited = waited.append
    take(places, writes=True)
    with call_of(seconds=0.01), pytest.raises(DeadlineExceeded):
        places.take(Bound(), writes=False)
    with pytest.raises(Exhausted):
        take(places, writes=False)
    assert waited[0] < 0.2 <= waited[2]
    places.free(writes=True)
    take(places, writes=False)
    assert (places.used, places.writing, places.waiting) == (1, 0, 0)
