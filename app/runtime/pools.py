"""The thread pools that calls run on."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Thread
from typing import Any

import structlog

from app.core.call import Call
from app.core.null_future import NULL_FUTURE
from app.core.work import Work, WorkPool, log_closed
from app.runtime.pace import Pace, Paces
from app.runtime.turns import Turns

# Reflection streams open at once, each on a thread. Some tools keep theirs open.
MAX_REFLECTIONS = 32

# Seconds to wait, after the last call has ended, for handlers that still run although their client has left.
_PATIENCE = 1.0


class CallPool(WorkPool):
    """A fixed number of threads for calls. Clients that have calls waiting are served in turn.

    The standard pool makes a future with locks for each piece of work and looks for idle threads: about a
    seventh of what a short call costs the server. grpc takes no executor that is not a ThreadPoolExecutor.
    """

    def __init__(self, size: int, name: str, spare: int = 0) -> None:
        """`spare` more threads are for clients whose calls wait while those of others have all threads."""
        super().__init__(size)
        self.turns = Turns(size, spare)
        self._closed = False
        self._running = [
            Thread(target=self._run, args=(number,), name=f"{name}_{number}", daemon=True)
            for number in range(size + spare)
        ]
        for thread in self._running:
            thread.start()

    def hand_over(self, call: Call, work: Work) -> None:
        """Calls of one client begin in the order of arrival."""
        if self._closed:
            log_closed()
        else:
            self.turns.put(call.share, work)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Runs a function that is no call's on one of the threads. Takes no keyword arguments."""
        if self._closed:
            raise RuntimeError("the pool is closed")
        if kwargs:
            raise RuntimeError("the pool takes no keyword arguments")
        self.turns.put("", (fn, args))
        return NULL_FUTURE

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Ends the threads after all submitted work; `cancel_futures` has no effect."""
        if not self._closed:
            self._closed = True
            self.turns.end()
        for thread in self._running if wait else ():
            thread.join()

    def _run(self, number: int) -> None:
        for function, arguments in self.turns.work_for(number):
            try:
                function(*arguments)
            except BaseException:
                structlog.get_logger().exception("unhandled_exception_outside_chain")
            del function, arguments  # so that a waiting thread keeps nothing of its last call alive


@dataclass(frozen=True)
class Pools:
    """One pool for each kind of work, so that none can starve another.

    Those that may have many threads, one for each stream, start them as they are needed.
    """

    workers: ThreadPoolExecutor  # unary calls
    streams: ThreadPoolExecutor  # one thread for each open stream
    watches: ThreadPoolExecutor  # health Watches, one thread each
    health: ThreadPoolExecutor  # health checks
    refusals: ThreadPoolExecutor  # calls that are refused before they have a thread
    health_refusals: ThreadPoolExecutor  # the same, of health checks, Watches and reflection
    reflection: ThreadPoolExecutor
    paces: Paces  # to be entered while the server serves
    queued: Callable[[], int]  # how many unary calls wait for a worker

    def close(self) -> bool:
        """Ends the threads, and returns whether all of them have; one in a blocking handler cannot be ended.

        Call only after the server has stopped: a call that finds its pool closed is never answered.
        """

        def shut_down() -> None:
            for pool in vars(self).values():
                if isinstance(pool, ThreadPoolExecutor):
                    pool.shutdown(wait=True)

        closing = Thread(target=shut_down, name="close pools", daemon=True)
        closing.start()
        closing.join(_PATIENCE)
        return not closing.is_alive()


def open_pools(workers: int, streams: int, watches: int, reflections: int, spare: int = 0) -> Pools:
    """The numbers are threads; `spare` is that of CallPool, for the workers."""
    calls, refusals = CallPool(workers, "workers", spare), CallPool(2, "refusals")
    checks, health_refusals = CallPool(2, "health"), CallPool(1, "health refusals")
    return Pools(
        workers=calls,
        streams=ThreadPoolExecutor(streams, "streams"),
        watches=ThreadPoolExecutor(watches, "watches"),
        health=checks,
        refusals=refusals,
        health_refusals=health_refusals,
        reflection=ThreadPoolExecutor(reflections, "reflection"),
        # Those who check health are others than those who call, and are compared among themselves.
        paces=Paces(Pace((calls.turns, refusals.turns)), Pace((checks.turns, health_refusals.turns))),
        queued=calls.turns.queued,
    )
