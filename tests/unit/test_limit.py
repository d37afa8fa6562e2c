"""Whose places the limit gives to whom."""

import pytest

from app.core.call import Call
from app.core.errors import ResourceExhausted
from app.core.method import UNKNOWN
from app.interceptors.limit import ConcurrencyLimit

MOST = 100


def admitted(limit: ConcurrencyLimit, client: str, number: int) -> list[Call]:
    """Those of so many calls of the client that the limit admits."""
    found = []
    for _ in range(number):
        call = Call(UNKNOWN, ())
        call.share = client
        try:
            limit.admit(call)
        except ResourceExhausted:
            continue
        found.append(call)
    return found


def test_replies_that_one_client_does_not_read_take_no_place_of_the_reserve() -> None:
    limit = ConcurrencyLimit(MOST, "calls", reserve=0.25)
    unread = admitted(limit, "greedy", MOST - 1)
    for call in unread:
        limit.end(call)
    unread += admitted(limit, "greedy", MOST)  # all run while there is one place for unsent replies
    assert len(unread) == 2 * MOST - 1
    for call in unread[MOST - 1 :]:
        limit.end(call)
    assert admitted(limit, "greedy", 1) == []
    for _ in range(10):
        others = admitted(limit, "other", 25)
        assert len(others) == 25
        for call in others:
            limit.end(call)
            limit.close(call)


@pytest.mark.parametrize("unread", [False, True])
def test_the_reserve_is_limited_too(unread: bool) -> None:
    limit = ConcurrencyLimit(MOST, "calls", reserve=0.25)
    admitted(limit, "greedy", MOST)
    others = [call for number in range(10) for call in admitted(limit, f"other {number}", 5)]
    assert len(others) == 25
    if unread:
        for call in others:
            limit.end(call)
        assert admitted(limit, "last", 1) == []
        for call in others:
            limit.close(call)
        assert len(admitted(limit, "last", 1)) == 1
