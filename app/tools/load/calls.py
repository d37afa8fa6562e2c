"""Calls that are begun and not waited for."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from app.core.metadata import INSTANCE
from app.tools.descriptors import full_name
from app.tools.invoke import only

# Asks the server who it is: grpc does not tell which of a channel's servers a call went to.
_ASKING = ((INSTANCE, "?"),)

# Begins a call; what it is given is told of the call when that is over, on another thread.
Done = Callable[[Any], None]
Begin = Callable[[Done], None]


def calls_of(
    channel: grpc.Channel, method: MethodDescriptor, requests: Sequence[Message], streams: ThreadPoolExecutor
) -> Begin:
    """Begins calls of the method, each with these requests.

    Messages are encoded once, and replies are not decoded. A call whose replies are a stream is read to its
    end on a thread of `streams`. Raises ValueError where a method that takes one request is given none or
    several.
    """
    if not method.client_streaming:
        requests = [only(requests)]
    encoded = [request.SerializeToString() for request in requests]
    ways = (
        "stream" if streamed else "unary" for streamed in (method.client_streaming, method.server_streaming)
    )
    arity: Any = getattr(channel, "_".join(ways))(f"/{full_name(method)}")

    def argument() -> Any:
        return iter(encoded) if method.client_streaming else encoded[0]

    def begin(done: Done) -> None:
        arity.future(argument(), metadata=_ASKING).add_done_callback(done)

    def begin_stream(done: Done) -> None:
        streams.submit(read, done)

    def read(done: Done) -> None:
        replies = arity(argument(), metadata=_ASKING)
        try:
            for _ in replies:
                pass
        except grpc.RpcError:  # the call has its code
            pass
        done(replies)

    return begin_stream if method.server_streaming else begin


def backend_of(call: Any) -> str:
    """Which server has answered, by what it says of itself; "" where it says nothing."""
    answers = [value for key, value in call.trailing_metadata() or () if key == INSTANCE]
    return answers[-1] if answers else ""  # a handler's own claims come before
