"""The one executor that grpc is given: it passes each call on to where the call's work is done."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from app.core.call import CURRENT_CALL
from app.core.null_future import NULL_FUTURE


class Dispatcher(ThreadPoolExecutor):
    """Has no threads. `call.hand_over`, which the chain sets on acceptance, takes what is submitted.

    grpc itself would read the pool from an attribute of the handler (`experimental_thread_pool`). A wrapper
    that someone else puts around the handler, as instrumentation does, loses the attribute.
    """

    def __init__(self, others: ThreadPoolExecutor) -> None:
        """`others` is for work without a call: a handler that an outer interceptor returns by itself."""
        super().__init__(1)
        self._others = others

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """On the polling thread, right after acceptance. `fn` is `run` of the contextvars of the call."""
        run: Any = fn
        call = run.__self__.get(CURRENT_CALL)
        if call is None or call.hand_over is None:
            return self._others.submit(fn, *args, **kwargs)
        call.hand_over(call, (fn, args))
        return NULL_FUTURE
