"""The client's messages, read and decoded one by one."""

from collections.abc import Callable, Iterator, Sequence

from google.protobuf.message import DecodeError, Message

from app.core.call import Call
from app.core.errors import MalformedMessage, TooLarge, Unimplemented
from app.core.refusal import Refusal
from app.interceptors.hooks import MessageHook


class Requests:
    """The client's messages, as a handler of a client or bidirectional stream reads them.

    Ends only where the client has closed its side. A stream that was cut raises grpc.RpcError, also where
    grpc itself would end it as if it were complete: it does so for some cancelled, expired or over-long
    streams, and raises when it is read once more. What a read has raised stays the call's outcome, even if
    the handler goes on.
    """

    def __init__(
        self,
        raw: Iterator[bytes],
        call: Call,
        decode: Callable[[bytes], Message],
        receive: Sequence[MessageHook],
        max_bytes: int,
    ) -> None:
        self._raw = raw
        self._call = call
        self._decode = decode
        self._receive = receive
        self._max_bytes = max_bytes

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        call = self._call
        if call.failure is not None:
            raise call.failure
        try:
            try:
                data = next(self._raw)
            except StopIteration:
                next(self._raw)  # raises RpcError where the stream was cut
                raise
            message = decoded(data, call, self._decode, self._max_bytes)
            for receive in self._receive:
                receive(call, message)
            call.check_deadline()
        except StopIteration:
            raise
        except BaseException as error:
            call.failure = error
            raise
        return message


def only_request(
    raw: Iterator[bytes],
    call: Call,
    decode: Callable[[bytes], Message],
    receive: Sequence[MessageHook],
    max_bytes: int,
) -> Message:
    """The one message of a method that takes one. Raises Unimplemented, as grpc does, where there is none."""
    for data in raw:
        message = decoded(data, call, decode, max_bytes)
        for hook in receive:
            hook(call, message)
        return message
    next(raw, None)  # raises RpcError where the stream was cut
    raise Unimplemented(f"{call.method.path} takes exactly one request message, and there was none")


def decoded(data: bytes, call: Call, decode: Callable[[bytes], Message], max_bytes: int) -> Message:
    if len(data) > max_bytes:
        call.refused = Refusal.MESSAGE_SIZE
        raise TooLarge(f"the request message has {len(data)} bytes; the server takes at most {max_bytes}")
    try:
        return decode(data)
    except DecodeError:
        raise MalformedMessage("the request message could not be decoded") from None
