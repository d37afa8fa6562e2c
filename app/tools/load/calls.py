"""Calls that are started without waiting for them."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from app.core.metadata import INSTANCE
from app.tools.invoke import only
from app.tools.methods import full_name

# Requests the server's instance id: grpc does not show which backend of a channel a call went to.
_METADATA = ((INSTANCE, "?"),)

# Gets a call when it is over, on another thread.
Done = Callable[[Any], None]
# Starts a call.
Start = Callable[[Done], None]


def calls_of(
    channel: grpc.Channel, method: MethodDescriptor, requests: Sequence[Message], streams: ThreadPoolExecutor
) -> Start:
    """Returns a function that starts a call of the method with these requests.

    Messages are serialized once, and replies are not parsed. Streams of replies are read to the end on a
    thread of `streams`. Raises UsageError unless there is exactly one request for a method that takes one.
    """
    if not method.client_streaming:
        requests = [only(requests)]
    encoded = [request.SerializeToString() for request in requests]
    directions = (method.client_streaming, method.server_streaming)
    arity = "_".join("stream" if streams_messages else "unary" for streams_messages in directions)
    make: Any = getattr(channel, arity)(f"/{full_name(method)}")

    def argument() -> Any:
        return iter(encoded) if method.client_streaming else encoded[0]

    def start(done: Done) -> None:
        make.future(argument(), metadata=_METADATA).add_done_callback(done)

    def start_stream(done: Done) -> None:
        streams.submit(read, done)

    def read(done: Done) -> None:
        replies = make(argument(), metadata=_METADATA)
        try:
            for _ in replies:
                pass
        except grpc.RpcError:  # the code is in `replies`
            pass
        done(replies)

    return start_stream if method.server_streaming else start


def backend_of(call: Any) -> str:
    """Returns the instance id that the server sent; "" if it sent none."""
    answers = [value for key, value in call.trailing_metadata() or () if key == INSTANCE]
    return answers[-1] if answers else ""  # a handler's own metadata come before
