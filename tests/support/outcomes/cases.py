"""How a case of the table of outcomes comes about, on any server: what its client does, and when.

`how` is what the handler does meanwhile (an act of its script), and how the calls are made (Exchange).
"""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

import grpc

from app.core.call import current_call
from tests.gen import probe_pb2 as pb
from tests.gen.probe_pb2_grpc import ProbeServicer
from tests.support.outcomes.observed_server import ObservedServer
from tests.support.servers.script import hold, notice

Play = Callable[[ObservedServer, str], object]  # given the method to call

# Where a handler is when its call is ended.
WORKING: Mapping[str, Any] = {"start": hold}
READING: Mapping[str, Any] = {"middle": notice, "keep_open": True}
MID_STREAM: Mapping[str, Any] = {"middle": hold}
PAST_THE_LAST: Mapping[str, Any] = {"end": hold}

MALFORMED = b"\xff\xff\xff"

# Above the limits MAX_MESSAGE and MAX_METADATA, and so far above them that grpc does not let them through.
LONG, TOO_LONG = "a" * 67_000, "a" * 140_000
LONG_METADATA, TOO_LONG_METADATA = ((("x-long", "a" * size),) for size in (20_000, 40_000))


def abort(_script: Any, context: Any) -> None:
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")


def not_overridden(_script: Any, context: Any) -> None:
    generated: Any = ProbeServicer
    generated().Unary(pb.ProbeRequest(), context)


def fail(_script: Any, _context: Any) -> None:
    raise ValueError("a bug")


def long_reply(script: Any, _context: Any) -> None:
    script.text = LONG


def linger(_script: Any, _context: Any) -> None:
    time.sleep(0.25)  # longer than the server's deadline of the cases that have one


def wait(_script: Any, _context: Any) -> None:
    current_call().wait(5)


def made(**how: Any) -> Play:
    """The calls end without their client's doing."""
    return lambda at, method: at.calls(method, **how).end()


def made_when_full(at: ObservedServer, method: str) -> None:
    with at.full(method):
        at.calls(method).end()


def made_with_a_share(at: ObservedServer, method: str) -> None:
    """Their client has more than its share, and another client has calls, too."""
    with at.full(method):
        other = {"Unary": "Unary", "ServerStream": "BidiStream"}.get(method, "ServerStream")
        one = at.calls(other, 1, start=hold, caller="cid", company=True).come_to("running")
        at.calls(method).end()
        one.go_on().end()


def made_by_narrow(**how: Any) -> Play:
    """The client's channel takes no reply of more than a byte."""

    def play(at: ObservedServer, method: str) -> None:
        narrow = at.connect(at.target, ("grpc.max_receive_message_length", 1))
        at.calls(method, channel=narrow, **how).end().over().go_on()

    return play


def made_after_stop(at: ObservedServer, method: str) -> None:
    running = at.calls(method, 1, start=hold, company=True).come_to("running")
    at.drain()
    at.calls(method).end()
    running.go_on().end()
    at.drained()


def cancelled(**how: Any) -> Play:
    return lambda at, method: at.calls(method, **how).come_to("running").cancel().over().go_on().end()


def cancelled_in_queue(at: ObservedServer, method: str) -> None:
    with at.busy():
        at.calls(method).come_to("arrived").cancel().end()
        at.heard()


def cancelled_as_half(at: ObservedServer, method: str) -> None:
    at.calls(method, half=True).come_to("arrived").cancel().end().over()


def cancelled_after_the_end(at: ObservedServer, method: str) -> None:
    at.calls(method).end().cancel().end()


def cancelled_at_any_moment(at: ObservedServer, method: str) -> None:
    for _ in range(3):
        for _ in range(at.places):
            call = at.calls(method, 1)
            time.sleep(random.uniform(0, 0.003))  # noqa: S311 - chance, no secret
            call.cancel().end()
        at.rest()  # a call that its client has left keeps its place until then


def late_at_work(at: ObservedServer, method: str) -> None:
    calls = at.calls(method, start=hold, timeout=0.15)
    time.sleep(0.03)
    calls.cancel().end().over()
    time.sleep(0.15)
    calls.go_on()


def late_in_queue(at: ObservedServer, method: str) -> None:
    with at.busy():
        at.calls(method, timeout=0.1).cancel().end()
        time.sleep(0.12)


def expired(**how: Any) -> Play:
    """The client's deadline passes, and the server's clock has it too when the handler looks up."""

    def play(at: ObservedServer, method: str) -> None:
        calls = at.calls(method, timeout=0.15, **how).end().over()
        time.sleep(0.05)
        calls.go_on()

    return play


def expired_as_half(at: ObservedServer, method: str) -> None:
    at.calls(method, half=True, timeout=0.15).end().over()
    at.heard()
    time.sleep(0.05)


def expired_in_queue(at: ObservedServer, method: str) -> None:
    with at.busy():
        at.calls(method, timeout=0.1).end()
        at.heard()
        time.sleep(0.05)


def expired_above_a_second(at: ObservedServer, method: str) -> None:
    # On the wire it is 1.01 s.
    at.calls(method, start=hold, timeout=1.001).end().over().go_on()


def expired_at_any_moment(at: ObservedServer, method: str) -> None:
    for _ in range(3):
        for _ in range(at.places):
            at.calls(method, 1, timeout=random.uniform(0, 0.006)).end()  # noqa: S311 - as above
        at.rest()


def cut(**how: Any) -> Play:
    """The client's connection is cut."""

    def play(at: ObservedServer, method: str) -> None:
        proxy = at.proxy()
        calls = at.calls(method, channel=at.connect(proxy.target), **how).come_to("running")
        proxy.cut()
        calls.over().go_on().end()

    return play


def cut_as_half(at: ObservedServer, method: str) -> None:
    proxy = at.proxy()
    calls = at.calls(method, half=True, channel=at.connect(proxy.target)).come_to("arrived")
    proxy.cut()
    calls.end()


def cut_in_queue(at: ObservedServer, method: str) -> None:
    proxy = at.proxy()
    with at.busy():
        calls = at.calls(method, channel=at.connect(proxy.target)).come_to("arrived")
        proxy.cut()
        calls.end()
        at.heard()


def blocked(at: ObservedServer, method: str) -> None:
    """The handler does nothing that could end it, until its call has ended."""
    at.calls(method, start=hold).end().over().go_on()


def drained(at: ObservedServer, method: str) -> None:
    """The calls run when the server begins to stop, and finish within its grace."""
    calls = at.calls(method, start=hold).come_to("running")
    at.drain()
    calls.go_on().end()
    at.drained()


def drained_in_queue(at: ObservedServer, method: str) -> None:
    with at.busy():
        calls = at.calls(method).come_to("arrived")
        at.drain()
    calls.end()
    at.drained()


def cut_by_grace(**how: Any) -> Play:
    """The calls run at the end of the grace."""

    def play(at: ObservedServer, method: str) -> None:
        calls = at.calls(method, **how).come_to("running")
        at.drain()
        calls.over().go_on().end()
        at.drained()

    return play


def cut_for_good(at: ObservedServer, method: str) -> None:
    """The handler does not return as long as there is a process."""
    calls = at.calls(method, start=hold).come_to("running")
    at.drain()
    calls.end()
    at.drained()
