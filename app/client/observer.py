"""Outgoing calls, observed from start to end: the base of the client's metrics and tracing.

However a call ends (answered, rejected, cancelled, past its deadline, or dropped before its replies were
read), each observer is notified once, with the status code that the caller sees.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import Any

import grpc

from app.client.interceptor import Continuation, Details, Interceptor, Metadata
from app.core.method import Arity, Method


class Observation:
    """One observer's view of one call. Hooks may run on any thread, also grpc's own, and must not block."""

    def sent(self) -> None:
        """A request message has been passed to grpc."""

    def received(self) -> None:
        """A reply has been passed to the caller."""

    def ended(self, code: grpc.StatusCode) -> None:
        """The call is over. Runs once."""


class Observer(ABC):
    @abstractmethod
    def start(self, method: Method, metadata: Metadata) -> tuple[Observation, Metadata]:
        """Runs before a call is made, and returns the metadata to send with it.

        Runs in the caller's thread, in a copy of its contextvars made for this call: a variable that is set
        here keeps its value while the call is started and its requests are read, and needs no clean-up.
        """


class ObserverInterceptor(Interceptor):
    """Passes each call of a channel to the observers, from the outermost to the innermost.

    Callers get the interface that grpc documents: `future`, `with_call`, `cancel`, `code`, callbacks and
    iteration. A call that is dropped is cancelled.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def intercept(self, arity: Arity, continuation: Continuation, details: Details, request: Any) -> Any:
        return copy_context().run(self._start, arity, continuation, details, request)

    def _start(self, arity: Arity, continuation: Continuation, details: Details, request: Any) -> Any:
        service, _, name = details.method.removeprefix("/").rpartition("/")
        method = Method(service, name, arity)
        metadata: Metadata = details.metadata or ()
        observations: list[Observation] = []
        for observer in self._observers:
            observation, metadata = observer.start(method, metadata)
            observations.append(observation)
        observed = _Observations(observations)
        if arity in {Arity.CLIENT_STREAM, Arity.BIDI_STREAM}:
            request = observed.requests(request)
        else:
            observed.sent()
        try:
            call = continuation(details._replace(metadata=metadata), request)
        except BaseException as error:
            observed.end(_code_of(error))
            raise
        unary = arity in {Arity.UNARY, Arity.CLIENT_STREAM}
        over = partial(observed.answered if unary else observed.over, call)
        if call.done() or not call.add_callback(over):
            over()
            if unary:  # the caller waited for it, and gets the reply or the error instead of this object
                return call
        return _Call(call, observed)


class _Observations:
    """The observations of one call. Only the first report of its end is passed on."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self._observations = observations
        self._ended = Lock()  # acquired once, and never released

    def requests(self, requests: Iterator[Any]) -> Iterator[Any]:
        for request in requests:
            self.sent()
            yield request

    def sent(self) -> None:
        for observation in self._observations:
            observation.sent()

    def received(self) -> None:
        for observation in self._observations:
            observation.received()

    def answered(self, call: Any) -> None:
        """A call with one reply is over."""
        code = call.code()
        if code is grpc.StatusCode.OK:
            self.received()
        self.end(code)

    def over(self, call: Any) -> None:
        self.end(call.code())

    def end(self, code: grpc.StatusCode) -> None:
        if self._ended.acquire(blocking=False):
            for observation in reversed(self._observations):
                observation.ended(code)


@grpc.Call.register
@grpc.Future.register
class _Call:
    """grpc's call object, with its replies counted.

    The callback for its end refers to grpc's object, so grpc no longer cancels a call that is dropped. This
    object does that instead.
    """

    def __init__(self, call: Any, observations: _Observations) -> None:
        self._call = call
        self._observations = observations

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            reply = next(self._call)
        except BaseException:
            # grpc's callback runs a moment later, on its own thread.
            if self._call.done():
                self._observations.over(self._call)
            raise
        self._observations.received()
        return reply

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.add_done_callback(lambda _: callback(self))

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self._call, name):  # `yield from` asks whether there is a `close`
            raise AttributeError(name)

        # Not the bound method: in `future(…).result()` it would outlive this object, which then cancels.
        def method(*args: Any, **kwargs: Any) -> Any:
            return getattr(self._call, name)(*args, **kwargs)

        return method

    def __repr__(self) -> str:
        return repr(self._call)

    def __del__(self) -> None:
        # Observers are notified on grpc's thread: this thread may hold their locks.
        self._call.cancel()


def _code_of(error: BaseException) -> grpc.StatusCode:
    """The code of a call that could not be made; grpc reports exceptions other than RpcError as INTERNAL."""
    if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
        found: grpc.StatusCode = error.code()
        return found
    return grpc.StatusCode.INTERNAL if isinstance(error, Exception) else grpc.StatusCode.CANCELLED
