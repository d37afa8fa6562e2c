"""The client's messages, read and decoded one by one."""

from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any

from google.protobuf.message import DecodeError, Message

from app.core.call import Call
from app.core.errors import CallEnded, MalformedMessage, Unimplemented
from app.interceptors.hooks import Hooks

# Decodes one message of a call, and runs the hooks for it.
Read = Callable[[bytes, Call], Message]


def reader(decode: Callable[[bytes], Any], hooks: Hooks) -> Read:
    """Raises what a hook raises, and MalformedMessage for bytes that `decode` rejects."""
    receive_bytes, receive = hooks.receive_bytes, hooks.receive

    def read(data: bytes, call: Call) -> Message:
        for bytes_hook in receive_bytes:
            bytes_hook(call, data)
        try:
            message: Message = decode(data)
        except DecodeError:
            raise MalformedMessage("malformed request message: it cannot be decoded") from None
        for hook in receive:
            hook(call, message)
        return message

    return read


class Requests:
    """The client's messages, as a handler of a client or bidirectional stream reads them.

    Ends only where the client has closed its side. A stream that was cut raises grpc.RpcError, also where
    grpc itself would end it as if it were complete: it does so for some cancelled, expired or over-long
    streams, and raises when it is read once more. What a read has raised stays the call's outcome, even if
    the handler goes on.
    """

    def __init__(self, raw: Iterator[bytes], call: Call, read: Read) -> None:
        self._raw = raw
        self._call = call
        self._read = read

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        call = self._call
        if call.failure is not None:
            raise call.failure
        try:
            data = first_message(call)
            if data is None:
                call.waiting_since = monotonic()
                data = self._next()
                call.waiting_since = None
            call.began = True
            message = self._read(data, call)
            call.check_deadline()
        except StopIteration:
            raise
        except BaseException as error:
            call.failure = error
            raise
        return message

    def _next(self) -> bytes:
        try:
            return next(self._raw)
        except StopIteration:
            next(self._raw)  # raises RpcError where the stream was cut
            raise


def first_message(call: Call) -> bytes | None:
    """Takes the message that was read before the call had a worker. Raises CallEnded after the call's end."""
    data = call.first_message
    if data is not None:
        call.first_message = None
        if not call.context.is_active():
            raise CallEnded
    return data


def only_request(raw: Iterator[bytes], call: Call, read: Read) -> Message:
    """The one message of a method that takes one. Raises Unimplemented, as grpc does, where there is none."""
    data = first_message(call)
    if data is None:
        data = next(raw, None)
    if data is None:
        next(raw, None)  # raises RpcError where the stream was cut
        raise Unimplemented(f"missing request message: {call.method.path} takes exactly one")
    return read(data, call)
