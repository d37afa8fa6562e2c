"""How the hooks of a chain run around one method's handler. This module alone knows the four arities.

Requests are read as a stream of undecoded messages, whatever the method's arity: grpc's own codecs answer
a malformed message before any wrapper sees it, and a call that dies in the queue never reaches a unary
handler at all. So a unary method is registered as `stream_unary`, a server stream as `stream_stream`, and
decoding happens here, where every outcome can be seen.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any, cast

import grpc
import structlog
from google.protobuf.message import Message

from app.core.call import CURRENT_CALL, Call
from app.core.errors import TooLarge
from app.interceptors.hooks import Hook, Hooks
from app.interceptors.requests import Requests, only_request

Handler = Any  # grpc.RpcMethodHandler, whose attributes grpc does not type


def wrap(handler: Handler, hooks: Hooks, pool: ThreadPoolExecutor | None, max_bytes: int) -> Handler:
    """Returns a grpc handler that runs the given one within the hooks.

    A message of more than `max_bytes`, either way, ends its call with RESOURCE_EXHAUSTED.
    Keeps what grpc hangs on a handler's function: `experimental_thread_pool`, which `pool` stands in for
    where there is none, and `experimental_non_blocking`.
    """
    handled = _Handled(handler, hooks, max_bytes)
    if not handler.response_streaming:
        wrapper: Any = _unary_reply(handled)
    elif getattr(handled.function, "experimental_non_blocking", False):
        wrapper = _callback_reply(handled)
        wrapper.experimental_non_blocking = True
    else:
        wrapper = _stream_reply(handled)
    wrapper.experimental_thread_pool = getattr(handled.function, "experimental_thread_pool", None) or pool
    if handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(wrapper)
    return grpc.stream_unary_rpc_method_handler(wrapper)


def refusal(hooks: Hooks, end: Sequence[Hook], pool: ThreadPoolExecutor) -> Handler:
    """Returns a handler that ends a call of any arity with the error that its acceptance raised.

    It waits neither for a message nor for a worker: `stream_stream` fits every arity, and `pool` is its own.
    """

    def refuse(_raw: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        call = _taken_up(context)
        _end(hooks, call, context, call.failure, end)
        return iter(())

    wrapper: Any = refuse
    wrapper.experimental_thread_pool = pool
    return grpc.stream_stream_rpc_method_handler(wrapper)


class _Handled:
    """A handler with its codecs, and the hooks on the way in and out of it."""

    def __init__(self, handler: Handler, hooks: Hooks, max_bytes: int) -> None:
        self.hooks = hooks
        self._start, self._receive, self._send = hooks.start, hooks.receive, hooks.send
        self._max_bytes = max_bytes
        self.function = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )
        self._request_streaming = handler.request_streaming
        # To grpc, no codec means messages as they are on the wire.
        self._decode = handler.request_deserializer or _undecoded
        self._encode = handler.response_serializer or _undecoded

    def argument(self, raw: Iterator[bytes], call: Call) -> Any:
        for start in self._start:
            start(call)
        if self._request_streaming:
            return Requests(raw, call, self._decode, self._receive, self._max_bytes)
        return only_request(raw, call, self._decode, self._receive, self._max_bytes)

    def encoded(self, reply: Message, call: Call) -> bytes:
        data: bytes = self._encode(reply)
        if call.status is None or call.status is grpc.StatusCode.OK:
            if len(data) > self._max_bytes:
                raise TooLarge(f"the reply has {len(data)} bytes; the server sends at most {self._max_bytes}")
            if call.expires_at is not None:
                call.check_deadline()
            for send in self._send:
                send(call, reply)
            call.sent += 1
        return data


# Everything is caught in the three that follow, SystemExit too: grpc would never answer such a call's client.


def _unary_reply(handled: _Handled) -> Callable[..., bytes]:
    hooks, function, argument, encoded = handled.hooks, handled.function, handled.argument, handled.encoded

    def unary_reply(raw: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        call = _taken_up(context)
        data = b""
        try:
            data = encoded(function(argument(raw, call), call), call)
        except BaseException as error:  # noqa: BLE001
            _end(hooks, call, context, error)
        else:
            _end(hooks, call, context)
        return data

    return unary_reply


def _stream_reply(handled: _Handled) -> Callable[..., Iterator[bytes]]:
    def stream_reply(raw: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        call = _taken_up(context)
        replies = None
        try:
            replies = handled.function(handled.argument(raw, call), call)
            for reply in replies:
                yield handled.encoded(reply, call)
            call.check_deadline()  # a handler may have worked on past its last reply
        except BaseException as error:  # noqa: BLE001 - GeneratorExit is a client that left
            if (unclean := _closed(replies)) is not None:
                structlog.get_logger().error("clean_up_failed", request_id=call.request_id, exc_info=unclean)
            _end(handled.hooks, call, context, error)
        else:
            _end(handled.hooks, call, context, _closed(replies))

    return stream_reply


def _callback_reply(handled: _Handled) -> Callable[..., None]:
    def callback_reply(
        raw: Iterator[bytes], context: grpc.ServicerContext, send: Callable[[bytes | None], None]
    ) -> None:
        call = _taken_up(context)
        replies = _Replies(handled, call, context, send)
        try:
            handled.function(handled.argument(raw, call), call, replies.send)
        except BaseException as error:  # noqa: BLE001
            replies.finish(error)
        else:
            if not context.add_callback(replies.finish):
                replies.finish()
        finally:
            CURRENT_CALL.set(None)  # as in _end

    return callback_reply


class _Replies:
    """The replies of a non-blocking handler, which may send them from any thread, long after it returned."""

    def __init__(
        self,
        handled: _Handled,
        call: Call,
        context: grpc.ServicerContext,
        send: Callable[[bytes | None], None],
    ) -> None:
        self._handled = handled
        self._call = call
        self._context = context
        self._send = send
        self._sending = Lock()  # grpc's server dies of two sends of one call at a time
        self._finished = Lock()  # taken once, and never given back

    def send(self, message: Message | None) -> None:
        if message is None or self._finished.locked():
            self.finish()
            return
        try:
            data = self._handled.encoded(message, self._call)
        except BaseException as error:  # noqa: BLE001
            self.finish(error)
        else:
            with self._sending:
                self._send(data)

    def finish(self, error: BaseException | None = None) -> None:
        first = self._finished.acquire(blocking=False)
        if first and self._handled.hooks.conclude(self._call, error):
            self._context.set_trailing_metadata(self._call.trailing_metadata())
            self._context.set_details(self._call.message)
            if self._call.status is not None:
                self._context.set_code(self._call.status)
            with self._sending:
                self._send(None)


def _taken_up(context: grpc.ServicerContext) -> Call:
    """The call that this worker has begun to serve; acceptance has left it in the contextvars of the call."""
    call: Any = CURRENT_CALL.get()
    call.context = context
    return cast("Call", call)


def _undecoded(message: Any) -> Any:
    if not isinstance(message, bytes):
        raise TypeError(f"a handler without a serializer returned {type(message).__name__}, not bytes")
    return message


def _closed(replies: Any) -> BaseException | None:
    """Closes the handler's generator before the call ends, so that its clean-up is part of the call."""
    try:
        if hasattr(replies, "close"):
            replies.close()
    except BaseException as error:  # noqa: BLE001 - a bug in the handler's clean-up
        return error
    return None


def _end(
    hooks: Hooks,
    call: Call,
    context: grpc.ServicerContext,
    error: BaseException | None = None,
    end: Sequence[Hook] | None = None,
) -> None:
    """Concludes the call, and hands grpc its status; raises, as grpc's own abort does, unless it is OK.

    Leaves nothing behind that refers to the call and to which the call refers. Only Python's cycle collector
    would free that, at a twentieth of the cost of a short call, with pauses that hold every call up.
    """
    try:
        if hooks.conclude(call, error, end):
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
