"""How a serving process ends: nothing that was accepted is lost, within a bound."""

import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

import grpc
import structlog


class Signals:
    """SIGTERM and SIGINT (Ctrl-C) as something to wait for. A second one ends the process at once.

    Must be made on the main thread; PID 1 would ignore a SIGTERM that nobody handles.
    """

    def __init__(self) -> None:
        self._received: signal.Signals | None = None
        self._event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self._received is not None:
            os.write(2, b"quoter: a second signal: ended at once\n")
            os._exit(128 + number)
        self._received = signal.Signals(number)
        self._event.set()

    def wait(self) -> signal.Signals:
        self._event.wait()
        return self._received or signal.SIGTERM


def drain(
    server: grpc.Server,
    *,
    delay: float,
    grace: float,
    leave: Callable[[], None],
    end_watches: Callable[[], None],
) -> bool:
    """Stops the server; returns whether everything that ran has finished within the grace.

    `leave` says NOT_SERVING. For `delay` seconds calls are served as before, new ones too, while endpoints
    and clients catch up. Then new calls are refused, Watches end, and what runs may finish within `grace`
    seconds; what is left after that is cancelled.
    """
    log = structlog.get_logger()
    began = time.monotonic()
    leave()
    log.info("drain_started", delay_seconds=delay, grace_seconds=grace)
    time.sleep(delay)
    refused = time.monotonic()
    stopped = server.stop(grace)
    end_watches()
    log.info("drain_refusing_new_calls", after_seconds=_since(began))
    # grpc cancels at the end of the grace, and then has stopped as well.
    finished = stopped.wait(grace) and time.monotonic() - refused < grace
    if not finished:
        log.warning("drain_grace_over", after_seconds=_since(began), what="calls still running are cancelled")
        stopped.wait(1)
    log.info("drain_calls_ended", after_seconds=_since(began), all_finished=finished)
    return finished


def _since(began: float) -> float:
    return round(time.monotonic() - began, 3)
