"""The work that grpc submits for a call, and how a pool gets it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from app.core.call import Call

# `run` of the contextvars of the call, and its arguments.
Work = tuple[Callable[..., Any], tuple[Any, ...]]

# Passes the work of a call on to where it is done. Must not raise.
HandOver = Callable[[Call, Work], None]


class WorkPool(ThreadPoolExecutor):
    """A pool that wants to know whose work it does."""

    def hand_over(self, call: Call, work: Work) -> None:
        """Has the work done on a thread. A closed pool ignores it."""
        raise NotImplementedError


def hand_over_to(pool: ThreadPoolExecutor) -> HandOver:
    """How a pool of any kind gets the work of calls."""
    if isinstance(pool, WorkPool):
        return pool.hand_over

    def hand_over(_call: Call, work: Work) -> None:
        run, arguments = work
        try:
            pool.submit(run, *arguments)
        except RuntimeError:
            log_closed()

    return hand_over


def log_closed() -> None:
    """The pool is closed: the server has stopped, and has cancelled the call."""
    structlog.get_logger().debug("call_after_the_end")
