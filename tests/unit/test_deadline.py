import time
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.call import Call
from app.core.errors import DeadlineExceeded
from app.core.method import Arity, Method
from app.interceptors.deadline import Deadline

EXACT = "grpc-go/1.75.0"
INEXACT = "grpc-python/1.85.1 grpc-c/58.0.0 (linux; chttp2)"


def call(remaining: float, client: str = EXACT) -> Call:
    """A call whose client leaves it so many seconds."""
    made = Call(Method("a.B", "C", Arity.UNARY), (("user-agent", client),))
    context: Any = SimpleNamespace(time_remaining=lambda: remaining, is_active=lambda: True)
    made.context = context
    return made


def test_a_call_that_has_expired_while_it_waited_is_not_run() -> None:
    with pytest.raises(DeadlineExceeded, match="before the call was started"):
        Deadline(10, list).start(call(0))


def test_a_deadline_before_the_servers_is_the_clients() -> None:
    made = call(5)
    Deadline(10, list).start(made)
    assert made.expires_at is None
    assert made.time_remaining() == 5


@pytest.mark.parametrize("remaining", [60.0, 9e18])
def test_a_later_deadline_or_none_gives_way_to_the_servers_counted_from_acceptance(
    remaining: float,
) -> None:
    made = call(remaining)
    made.accepted_at -= 4
    Deadline(10, list).start(made)
    left = made.time_remaining()
    assert left is not None
    assert 5.9 < left <= 6


def test_a_call_past_the_servers_deadline_is_deadline_exceeded() -> None:
    made = call(9e18)
    Deadline(0, list).start(made)
    time.sleep(0.001)
    with pytest.raises(DeadlineExceeded, match="exceeded the server's maximum deadline"):
        made.check_deadline()


@pytest.mark.parametrize(
    ("client", "deadline", "remaining", "expired"),
    [
        (EXACT, 300, 3, False),
        (EXACT, 300, 0.1, False),
        (EXACT, 300, 0.04, True),
        (EXACT, 300, 0, True),
        (EXACT, 1, 0.06, False),
        (EXACT, 1, 0.04, True),
        (EXACT, 0.01, 0.006, False),
        (EXACT, 0.01, 0.004, True),
        ("", 300, 3, False),
        (INEXACT, 301, 9, True),  # 292 s, sent as the 301 s of an earlier call
        (INEXACT, 300, 13, False),
        (INEXACT, 1.01, 0.009, True),
        (INEXACT, 1.01, 0.1, False),
    ],
)
def test_a_cancel_counts_as_the_deadline_only_as_near_to_it_as_the_client_is_inexact(
    client: str, deadline: float, remaining: float, expired: bool
) -> None:
    made = call(remaining, client)
    made.accepted_at -= deadline - remaining
    assert made.expired() is expired
