"""The client's messages, read and decoded one by one."""

from collections.abc import Callable, Iterator, Sequence

from google.protobuf.message import DecodeError, Message

from app.core.call import Call
from app.core.errors import MalformedMessage, Unimplemented
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
    ) -> None:
        self._raw = raw
        self._call = call
        self._decode = decode
        self._receive = receive

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
            message = decoded(data, self._decode)
            for receive in self._receive:
                receive(call, message)
        except StopIteration:
            raise
        except BaseException as error:
            call.failure = error
            raise
        return message


def only_request(
    raw: Iterator[bytes], call: Call, decode: Callable[[bytes], Message], receive: Sequence[MessageHook]
) -> Message:
    """The one message of a method that takes one. Raises Unimplemented, as grpc does, where there is none."""
    for data in raw:
        message = decoded(data, decode)
        for hook in receive:
            hook(call, message)
        return message
    raise Unimplemented(f"{call.method.path} takes exactly one request message, and there was none")


def decoded(data: bytes, decode: Callable[[bytes], Message]) -> Message:
    try:
        return decode(data)
    except DecodeError:
        raise MalformedMessage("the request message could not be decoded") from None
