"""The thread pools that calls run on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Any

import structlog

from app.core.null_future import NULL_FUTURE

# Reflection streams open at once, each on a thread. Some tools keep theirs open.
MAX_REFLECTIONS = 32

# Seconds to wait, after the last call has ended, for handlers that still run although their client has left.
_PATIENCE = 1.0


class CallPool(ThreadPoolExecutor):
    """A fixed number of threads behind one queue, for work whose result is not used.

    The standard pool makes a future with locks for each piece of work and looks for idle threads: about a
    seventh of what a short call costs the server. grpc takes no executor that is not a ThreadPoolExecutor.
    """

    def __init__(self, size: int, name: str) -> None:
        super().__init__(size)
        self._work: SimpleQueue[tuple[Callable[..., Any], tuple[Any, ...]] | None] = SimpleQueue()
        self._closed = False
        self._running = [
            Thread(target=self._run, name=f"{name}_{number}", daemon=True) for number in range(size)
        ]
        for thread in self._running:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs the function on one of the threads, in the order of arrival. Takes no keyword arguments."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        if kwargs:
            raise RuntimeError("the pool takes no keyword arguments")
        self._work.put((fn, args))
        return NULL_FUTURE

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads after all submitted work; `cancel_futures` has no effect."""
        if not self._closed:
            self._closed = True
            for _ in self._running:
                self._work.put(None)
        for thread in self._running if wait else ():
            thread.join()

    def _run(self) -> None:
        get = self._work.get
        while (work := get()) is not None:
            function, arguments = work
            try:
                function(*arguments)
            except BaseException:
                structlog.get_logger().exception("unhandled_exception_outside_chain")
            del work, function, arguments  # so that a waiting thread keeps nothing of its last call alive


@dataclass(frozen=True)
class Pools:
    """One pool for each kind of work, so that none can starve another.

    Those that may have many threads, one for each stream, start them as they are needed.
    """

    workers: ThreadPoolExecutor  # unary calls
    streams: ThreadPoolExecutor  # one thread for each open stream
    watches: ThreadPoolExecutor  # health Watches, one thread each
    health: ThreadPoolExecutor  # health checks
    refusals: ThreadPoolExecutor  # calls that are refused on acceptance
    reflection: ThreadPoolExecutor

    def close(self) -> bool:
        """Ends the threads, and returns whether all of them have; one in a blocking handler cannot be ended.

        Call only after the server has stopped: a call that finds its pool closed is never answered.
        """

        def shut_down() -> None:
            for pool in vars(self).values():
                pool.shutdown(wait=True)

        closing = Thread(target=shut_down, name="close pools", daemon=True)
        closing.start()
        closing.join(_PATIENCE)
        return not closing.is_alive()


def open_pools(workers: int, streams: int, watches: int) -> Pools:
    return Pools(
        workers=CallPool(workers, "workers"),
        streams=ThreadPoolExecutor(streams, "streams"),
        watches=ThreadPoolExecutor(watches, "watches"),
        health=CallPool(2, "health"),
        refusals=CallPool(2, "refusals"),
        reflection=ThreadPoolExecutor(MAX_REFLECTIONS, "reflection"),
    )
