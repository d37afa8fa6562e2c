"""The number of calls that may wait for a worker."""

import pytest

from app.core import queue
from app.core.queue import Queue
from tests.support.clock import Clock

WORKERS, SECONDS, MOST = 32, 0.05, 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(queue, "time", clock)
    return clock


def after(clock: Clock, calls: int, took: float, found: Queue | None = None) -> Queue:
    """A queue after so many calls, each of which took so many seconds."""
    found = found or Queue(WORKERS, SECONDS, MOST)
    for _ in range(calls):
        clock.now += took / WORKERS
        found.ended(clock.now, took)
    return found


@pytest.mark.parametrize(
    ("took", "places"), [(0.0, 1000), (0.001, 1000), (0.01, 192), (0.1, 48), (1.0, 33), (60.0, 33)]
)
def test_calls_wait_no_longer_than_the_limit_by_what_calls_have_taken(
    clock: Clock, took: float, places: int
) -> None:
    assert after(clock, 100, took).places(WORKERS) == places


def test_while_a_worker_is_free_all_are_admitted(clock: Clock) -> None:
    assert after(clock, 100, 60).places(WORKERS - 1) == MOST


def test_the_first_call_is_a_measure(clock: Clock) -> None:
    assert after(clock, 1, 0.1).places(WORKERS) == 48


def test_calls_that_become_longer_shorten_the_queue_within_as_many_calls_as_there_are_workers(
    clock: Clock,
) -> None:
    found = after(clock, 1000, 0.001)
    assert after(clock, 2 * WORKERS, 0.1, found).places(WORKERS) < 60


def test_a_pause_of_the_process_hardly_shortens_it(clock: Clock) -> None:
    found = after(clock, 1000, 0.001)
    assert after(clock, 8, 0.05, found).places(WORKERS) > 200


def test_workers_that_end_no_call_shorten_it(clock: Clock) -> None:
    found = after(clock, 1000, 0.001)
    assert found.places(WORKERS - 1) == MOST
    seen = []
    for _ in range(4):
        clock.now += 0.02
        seen.append(found.places(WORKERS))
    assert seen == [112, 72, 58, 52]
    clock.now += 60
    assert found.places(WORKERS) == WORKERS + 1


def test_a_burst_after_a_quiet_time_is_admitted(clock: Clock) -> None:
    found = after(clock, 1000, 0.001)
    clock.now += 60
    assert found.places(WORKERS - 1) == MOST
    clock.now += 0.001
    assert found.places(WORKERS) == MOST
