"""What a call leaves behind in memory: nothing that waits for Python's cycle collector.

Its pauses stop all threads, for tens of milliseconds under load.
"""

import gc
import threading
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from app.core.call import Call
from app.core.errors import ResourceExhausted
from tests.support.clients.status import outcome
from tests.support.servers.probe import CALLS
from tests.support.servers.probe_server import probe_server
from tests.support.waiting import until


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def no_call_is_left() -> bool:
    return not any(type(each) is Call for each in gc.get_objects())


def answer(_request: Any, _context: Any) -> None:
    pass


def fail(_request: Any, _context: Any) -> None:
    raise ValueError


def refuse(_request: Any, _context: Any) -> None:
    raise ResourceExhausted("no more")


def abort(_request: Any, context: Any) -> None:
    context.abort(grpc.StatusCode.ABORTED, "not now")


@pytest.mark.parametrize("handler", [answer, fail, refuse, abort])
@pytest.mark.parametrize("method", CALLS)
def test_a_call_is_freed_when_it_has_ended(method: str, handler: Callable[..., None]) -> None:
    with probe_server() as at:
        at.probe.on_call = handler
        outcome(lambda: CALLS[method](at.stub))
        until(no_call_is_left)


def test_a_call_that_the_chain_refuses_is_freed_as_well() -> None:
    with probe_server() as at:
        unknown = at.channel.unary_unary("/probe.Probe/Nothing")
        assert outcome(lambda: unknown(b"")) is grpc.StatusCode.UNIMPLEMENTED
        malformed = at.channel.unary_unary("/probe.Probe/Unary")
        assert outcome(lambda: malformed(b"\xff")) is grpc.StatusCode.INTERNAL
        until(no_call_is_left)


def test_a_call_whose_client_has_left_is_freed_as_well() -> None:
    with probe_server() as at:
        left = threading.Event()
        at.probe.between = lambda _context: left.wait(5)
        replies = at.stub.BidiStream(iter([]))
        next(replies)
        replies.cancel()
        left.set()
        until(at.server.calls)
        until(no_call_is_left)
