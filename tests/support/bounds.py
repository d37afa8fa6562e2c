"""Calls that are being served, without a server, for code that asks how long it may take."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from typing import Any

from app.core.call import CURRENT_CALL, Call
from app.core.method import UNKNOWN
from tests.support.waiting import until


class Context:
    """grpc's context of a call with a deadline, whose client may leave."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._left = False
        self._callbacks: list[Callable[[], None]] = []

    def time_remaining(self) -> float:
        return self._ends_at - time.monotonic()

    def is_active(self) -> bool:
        return not self._left

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self._callbacks.append(callback)
        return not self._left

    def leave(self) -> None:
        self._left = True
        for callback in self._callbacks:
            callback()


@contextmanager
def call_of(seconds: float) -> Iterator[Context]:
    """Inside, a call is served that has as many seconds left. Its context can `leave` as its client does."""
    context: Any = Context(seconds)
    call = Call(UNKNOWN, ())
    call.context = context
    token = CURRENT_CALL.set(call)
    try:
        yield context
    finally:
        CURRENT_CALL.reset(token)


@contextmanager
def once(condition: Callable[[], object], act: Callable[[], None]) -> Iterator[None]:
    """Acts on another thread as soon as the condition holds."""

    def run() -> None:
        until(condition, 20)
        act()

    with ThreadPoolExecutor(1) as thread:
        acting = thread.submit(run)
        yield
        acting.result()


@contextmanager
def later(seconds: float, act: Callable[[], None]) -> Iterator[None]:
    """Acts after some seconds on another thread."""

    def run() -> None:
        time.sleep(seconds)
        act()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
