"""A thread that calls a function periodically."""

from collections.abc import Callable
from threading import Event, Thread
from types import TracebackType
from typing import Self

import structlog


class Ticker:
    """Inside `with`, calls `act` every `interval` seconds on a thread of its own.

    The first call is made after the first interval, or `at_once`. An exception of `act` is logged, and the
    calls go on. On exit, a running call may take another second: one that hangs, such as a read on a network
    file system, must not keep the process from exiting.
    """

    def __init__(
        self, name: str, interval: float, act: Callable[[], object], *, at_once: bool = False
    ) -> None:
        self._name = name
        self._interval = interval
        self._act = act
        self._at_once = at_once
        self._stop = Event()
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(0 if self._at_once else self._interval):
            self._at_once = False
            try:
                self._act()
            except Exception:  # noqa: BLE001 - the next call may succeed
                structlog.get_logger().exception("ticker_failed", ticker=self._name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(1)
