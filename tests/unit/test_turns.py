import threading
from math import inf
from typing import Any

from app.runtime.turns import Turns
from tests.support.waiting import until


def work(name: str) -> Any:
    return (print, (name,))


def begin(turns: Turns, thread: int) -> Any:
    """The work that this thread begins, and does not end; None where it has to end."""
    return next(turns.work_for(thread), None)


def names(turns: Turns, number: int) -> list[str]:
    """The next pieces of work, each begun by another thread."""
    found = []
    for thread in range(number):
        begun = begin(turns, thread)
        assert begun is not None
        found.append(begun[1][0])
    return found


def test_clients_are_served_in_turn_and_each_in_the_order_of_its_work() -> None:
    turns = Turns(threads=6)
    for number in range(3):
        turns.put("a", work(f"a{number}"))
    turns.put("b", work("b0"))
    turns.put("c", work("c0"))
    turns.put("b", work("b1"))
    assert names(turns, 6) == ["a0", "b0", "c0", "a1", "b1", "a2"]


def test_a_client_waits_for_the_next_quota_and_others_do_not() -> None:
    turns = Turns(threads=3)
    turns.renew(2)
    for number in range(5):
        turns.put("a", work(f"a{number}"))
    turns.put("b", work("b0"))
    assert names(turns, 3) == ["a0", "b0", "a1"]
    later: list[str] = []

    def go() -> None:
        for _ in range(3):
            later.extend(names(turns, 1))

    thread = threading.Thread(target=go)
    thread.start()
    thread.join(0.1)
    assert not later
    assert turns.renew(1) == {"a": 2, "b": 1}
    until(lambda: later == ["a2"])
    thread.join(0.1)
    assert later == ["a2"]
    assert turns.renew(1) == {"a": 1}
    until(lambda: later == ["a2", "a3"])
    thread.join(0.1)
    assert later == ["a2", "a3"]
    assert turns.renew(1) == {"a": 1}
    thread.join(5)
    assert later == ["a2", "a3", "a4"]


def test_a_spare_thread_serves_a_client_whose_work_waits_while_others_have_all_threads() -> None:
    turns = Turns(threads=2, spare=2)
    for number in range(4):
        turns.put("a", work(f"a{number}"))
    assert names(turns, 2) == ["a0", "a1"]  # which do not end
    turns.put("b", work("b0"))
    turns.renew(inf)
    turns.renew(inf)
    assert begin(turns, 2) == work("b0")
    assert names(turns, 2) == ["a2", "a3"]


def test_all_work_is_done_before_the_threads_end() -> None:
    turns = Turns(threads=2, spare=1)
    turns.renew(0)
    turns.put("a", work("a0"))
    turns.put("a", work("a1"))
    paused: list[Any] = []
    thread = threading.Thread(target=lambda: paused.append(begin(turns, 0)))
    thread.start()
    thread.join(0.1)
    assert not paused
    turns.end()
    thread.join(5)
    assert paused == [work("a0")]
    assert begin(turns, 0) == work("a1")
    assert [begin(turns, thread) for thread in range(3)] == [None] * 3
