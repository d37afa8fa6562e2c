"""How the hooks of a chain run around one method's handler. This module alone knows the four arities.

Requests are read as a stream of undecoded messages, whatever the method's arity: grpc's own codecs answer
a malformed message before any wrapper sees it, and a call that dies in the queue never reaches a unary
handler at all. So a unary method is registered as `stream_unary`, a server stream as `stream_stream`, and
decoding happens here, where every outcome can be seen.
"""

from collections.abc import Callable, Iterator
from queue import SimpleQueue
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol, cast

import grpc
import structlog
from google.protobuf.message import Message

from app.core.call import CURRENT_CALL, Call
from app.interceptors.hooks import Ending, Hooks
from app.interceptors.requests import Requests, only_request, reader

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]  # of messages of any type
else:
    Handler = grpc.RpcMethodHandler  # generic in its types alone


class Behavior(Protocol):
    """A handler's function, with the attribute that grpc reads from it.

    The attribute is experimental in grpc, which then passes a callback that sends replies, in place of
    iterating over them. Tests: test_telemetry.py.
    """

    experimental_non_blocking: bool

    def __call__(self, *arguments: Any) -> Any: ...


def behavior_of(handler: Handler) -> Behavior:
    """The handler's function, whatever its arity."""
    return cast(
        "Behavior",
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream,
    )


def wrap(handler: Handler, hooks: Hooks) -> Handler:
    """Returns a grpc handler that runs the given one within the hooks.

    Keeps `experimental_non_blocking` of Behavior.
    """
    endpoint = _Endpoint(handler, hooks)
    if not handler.response_streaming:
        behavior = cast("Behavior", _unary_reply(endpoint))
    elif getattr(endpoint.function, "experimental_non_blocking", False):
        behavior = cast("Behavior", _callback_reply(endpoint))
        behavior.experimental_non_blocking = True
    else:
        behavior = cast("Behavior", _stream_reply(endpoint))
    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(behavior)
    return grpc.stream_unary_rpc_method_handler(behavior)


def refusal(hooks: Hooks, ending: Ending) -> Handler:
    """Returns a handler that ends a call of any arity with the error that its acceptance raised.

    It does not wait for a message: `stream_stream` fits every arity.
    """

    def refuse(_raw: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        call = _begin(context)
        _end(hooks, call, context, call.failure, ending)
        return iter(())

    return grpc.stream_stream_rpc_method_handler(refuse)


class _Endpoint:
    """A handler with its codecs, and the hooks on the way in and out of it."""

    def __init__(self, handler: Handler, hooks: Hooks) -> None:
        self.hooks = hooks
        self.function = behavior_of(handler)
        self._start, self._send_bytes, self._send = hooks.start, hooks.send_bytes, hooks.send
        self._requests = Requests if handler.request_streaming else only_request
        # To grpc, no codec means messages as they are on the wire.
        self._read = reader(handler.request_deserializer or _require_bytes, hooks)
        self._encode = handler.response_serializer or _require_bytes

    def request(self, raw: Iterator[bytes], call: Call) -> Requests | Message:
        """What the handler is given: its one message, or an iterator of them."""
        for start in self._start:
            start(call)
        return self._requests(raw, call, self._read)

    def encode(self, reply: Message, call: Call) -> bytes:
        data = self._encode(reply)
        if call.status is None or call.status is grpc.StatusCode.OK:
            for send_bytes in self._send_bytes:
                send_bytes(call, data)
            if call.expires_at is not None:
                call.check_deadline()
            for send in self._send:
                send(call, reply)
            call.sent += 1
        return data


# The three that follow catch everything, SystemExit too: grpc would never answer such a call's client.


def _unary_reply(endpoint: _Endpoint) -> Callable[..., bytes]:
    hooks, function, request, encode = endpoint.hooks, endpoint.function, endpoint.request, endpoint.encode

    def unary_reply(raw: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        call = _begin(context)
        data = b""
        try:
            data = encode(function(request(raw, call), call), call)
        except BaseException as error:
            _end(hooks, call, context, error)
        else:
            _end(hooks, call, context)
        return data

    return unary_reply


def _stream_reply(endpoint: _Endpoint) -> Callable[..., Iterator[bytes]]:
    def stream_reply(raw: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        call = _begin(context)
        replies = None
        try:
            replies = endpoint.function(endpoint.request(raw, call), call)
            for reply in replies:
                data = endpoint.encode(reply, call)
                call.waiting_since = monotonic()
                yield data
                call.waiting_since = None
            call.check_deadline()  # a handler may have worked on past its last reply
        except BaseException as error:  # GeneratorExit is a client that left
            if (unclean := _close(replies)) is not None:
                structlog.get_logger().error("clean_up_failed", request_id=call.request_id, exc_info=unclean)
            _end(endpoint.hooks, call, context, error)
        else:
            _end(endpoint.hooks, call, context, _close(replies))

    return stream_reply


def _callback_reply(endpoint: _Endpoint) -> Callable[..., Iterator[bytes] | None]:
    def callback_reply(
        raw: Iterator[bytes],
        context: grpc.ServicerContext,
        send: Callable[[bytes | None], None] | None = None,
    ) -> Iterator[bytes] | None:
        if send is None:  # a wrapper around this function has lost `experimental_non_blocking`
            return _iterated(callback_reply, raw, context)
        call = _begin(context)
        replies = _CallbackReplies(endpoint, call, context, send)
        try:
            endpoint.function(endpoint.request(raw, call), call, replies.send)
        except BaseException as error:
            replies.finish(error)
        else:
            if not context.add_callback(replies.finish):
                replies.finish()
        finally:
            CURRENT_CALL.set(None)  # as in _end
        return None

    return callback_reply


def _iterated(
    callback_reply: Callable[..., object], raw: Iterator[bytes], context: grpc.ServicerContext
) -> Iterator[bytes]:
    """The replies of a non-blocking handler, for a caller that iterates over them."""
    replies = SimpleQueue[bytes | None]()
    callback_reply(raw, context, replies.put)
    if not context.add_callback(lambda: replies.put(None)):  # the call is over without a last reply
        return
    while (reply := replies.get()) is not None:
        yield reply


class _CallbackReplies:
    """The replies of a non-blocking handler, which may send them from any thread, long after it returned."""

    def __init__(
        self,
        endpoint: _Endpoint,
        call: Call,
        context: grpc.ServicerContext,
        send: Callable[[bytes | None], None],
    ) -> None:
        self._endpoint = endpoint
        self._call = call
        self._context = context
        self._send = send
        self._sending = Lock()  # grpc's server crashes when two threads send for one call at a time
        self._finished = Lock()  # acquired once, and never released

    def send(self, message: Message | None) -> None:
        if message is None or self._finished.locked():
            self.finish()
            return
        try:
            data = self._endpoint.encode(message, self._call)
        except BaseException as error:
            self.finish(error)
        else:
            with self._sending:
                self._call.waiting_since = monotonic()
                self._send(data)
                self._call.waiting_since = None

    def finish(self, error: BaseException | None = None) -> None:
        first = self._finished.acquire(blocking=False)
        if first and self._endpoint.hooks.conclude(self._call, error):
            self._context.set_trailing_metadata(self._call.trailing_metadata())
            self._context.set_details(self._call.message)
            if self._call.status is not None:
                self._context.set_code(self._call.status)
            with self._sending:
                self._send(None)


def _begin(context: grpc.ServicerContext) -> Call:
    """The call that this worker begins to serve; acceptance has left it in the contextvars of the call."""
    call: Any = CURRENT_CALL.get()
    call.context = context
    begun: Call = call
    return begun


def _require_bytes(message: Any) -> bytes:
    if not isinstance(message, bytes):
        raise TypeError(f"a handler without a serializer returned {type(message).__name__}, not bytes")
    return message


def _close(replies: Any) -> BaseException | None:
    """Closes the handler's generator before the call ends, so that its clean-up is part of the call."""
    try:
        if hasattr(replies, "close"):
            replies.close()
    except BaseException as error:  # a bug in the handler's clean-up
        return error
    return None


def _end(
    hooks: Hooks,
    call: Call,
    context: grpc.ServicerContext,
    error: BaseException | None = None,
    ending: Ending | None = None,
) -> None:
    """Concludes the call, and hands grpc its status; raises, as grpc's own abort does, unless it is OK.

    Leaves no reference cycle through the call. Only Python's cycle collector would free that, at a twentieth
    of the cost of a short call, with pauses that hold every call up.
    """
    try:
        if hooks.conclude(call, error, ending):
            context.set_trailing_metadata(call.trailing_metadata())
            if call.status is not None and call.status is not grpc.StatusCode.OK:
                context.abort(call.status, call.message)
            if call.message:
                context.set_details(call.message)
    finally:
        CURRENT_CALL.set(None)
        call.failure = None
        if error is not None:
            error.__traceback__ = None  # its frames may hold the error, as those of grpc's own RpcError do
