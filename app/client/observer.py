"""Outgoing calls, watched to their ends. This module alone knows their four arities.

However a call ends, each observer is told of it once, with the code that its caller sees: answered, refused,
cancelled, past its deadline, or dropped before it was read.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import Any

import grpc

from app.client.details import Metadata, changed
from app.core.method import Arity, Method


class Observation:
    """One call, as one observer sees it. Hooks may run on any thread, grpc's own too: they must not block."""

    def sent(self) -> None:
        """A request message has been handed to grpc."""

    def received(self) -> None:
        """A reply has been handed to the caller."""

    def ended(self, code: grpc.StatusCode) -> None:
        """The call is over. Runs once."""


class Observer(ABC):
    @abstractmethod
    def start(self, method: Method, metadata: Metadata) -> tuple[Observation, Metadata]:
        """A call is about to be made; returns the metadata that it shall have.

        Runs in the caller's thread, in contextvars of the call's own: what is made current here is current
        while the call is begun and while its requests are read, and needs no clean-up.
        """


class ObserverInterceptor(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Shows each call of a channel to the observers, from the outermost to the innermost.

    What callers get is what grpc gives them: `future`, `with_call`, `cancel`, `code`, callbacks and iteration
    work as documented there, and a call that is dropped is cancelled.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def intercept_unary_unary(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return self._observe(Arity.UNARY, continuation, details, request)

    def intercept_unary_stream(self, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        return self._observe(Arity.SERVER_STREAM, continuation, details, request)

    def intercept_stream_unary(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        return self._observe(Arity.CLIENT_STREAM, continuation, details, requests)

    def intercept_stream_stream(self, continuation: Callable[..., Any], details: Any, requests: Any) -> Any:
        return self._observe(Arity.BIDI_STREAM, continuation, details, requests)

    def _observe(self, *given: Any) -> Any:
        return copy_context().run(self._begin, *given)

    def _begin(self, arity: Arity, continuation: Callable[..., Any], details: Any, request: Any) -> Any:
        service, _, name = details.method.removeprefix("/").rpartition("/")
        method = Method(service, name, arity)
        metadata: Metadata = details.metadata or ()
        observations: list[Observation] = []
        for observer in self._observers:
            observation, metadata = observer.start(method, metadata)
            observations.append(observation)
        watch = _Watch(observations)
        if arity in {Arity.CLIENT_STREAM, Arity.BIDI_STREAM}:
            request = watch.requests(request)
        else:
            watch.sent()
        try:
            call = continuation(changed(details, metadata=metadata), request)
        except BaseException as error:
            watch.end(_code_of(error))
            raise
        unary = arity in {Arity.UNARY, Arity.CLIENT_STREAM}
        over = partial(watch.answered if unary else watch.over, call)
        if call.done() or not call.add_callback(over):
            over()
            if unary:  # it was waited for: the caller gets the reply or the error, not this
                return call
        return _Call(call, watch)


class _Watch:
    """The observations of one call. The first to find that it has ended says so, and nobody after that."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self._observations = observations
        self._ended = Lock()  # taken once, and never given back

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
    """grpc's own call object, with its replies counted.

    The callback of its end holds grpc's object, so that grpc no longer cancels a call that is dropped;
    this one does.
    """

    def __init__(self, call: Any, watch: _Watch) -> None:
        self._call = call
        self._watch = watch

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            reply = next(self._call)
        except BaseException:
            # grpc's callback comes a moment later, on its own thread.
            if self._call.done():
                self._watch.over(self._call)
            raise
        self._watch.received()
        return reply

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._call.add_done_callback(lambda _: callback(self))

    def __getattr__(self, name: str) -> Any:
        # Not the method itself: in `future(…).result()` it would outlive this object, which then cancels.
        def method(*args: Any, **kwargs: Any) -> Any:
            return getattr(self._call, name)(*args, **kwargs)

        return method

    def __repr__(self) -> str:
        return repr(self._call)

    def __del__(self) -> None:
        # Observers hear of it on grpc's thread: this one may be anywhere, with their locks held.
        self._call.cancel()


def _code_of(error: BaseException) -> grpc.StatusCode:
    """The code of a call that could not be made; grpc shows those that are no RpcError as INTERNAL."""
    if isinstance(error, grpc.RpcError) and hasattr(error, "code"):
        found: grpc.StatusCode = error.code()
        return found
    return grpc.StatusCode.INTERNAL if isinstance(error, Exception) else grpc.StatusCode.CANCELLED
