"""Calls of any method, by its descriptor and without generated stubs."""

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from app.core.errors import UsageError
from app.tools.methods import full_name


def invoke(
    channel: grpc.Channel,
    method: MethodDescriptor,
    requests: Iterable[Message],
    *,
    timeout: float | None = None,
) -> Iterator[Message]:
    """Sends the requests and yields the replies: one each unless the method streams them.

    Raises grpc.RpcError, and UsageError unless there is exactly one request for a method that takes one.
    """
    path = f"/{full_name(method)}"
    codecs: dict[str, Any] = {
        "request_serializer": request_type(method).SerializeToString,
        "response_deserializer": message_factory.GetMessageClass(method.output_type).FromString,
    }
    if method.client_streaming and method.server_streaming:
        yield from channel.stream_stream(path, **codecs)(iter(requests), timeout=timeout)
    elif method.client_streaming:
        yield channel.stream_unary(path, **codecs)(iter(requests), timeout=timeout)
    elif method.server_streaming:
        yield from channel.unary_stream(path, **codecs)(only(requests), timeout=timeout)
    else:
        yield channel.unary_unary(path, **codecs)(only(requests), timeout=timeout)


def request_type(method: MethodDescriptor) -> type[Message]:
    return message_factory.GetMessageClass(method.input_type)


def only(requests: Iterable[Message]) -> Message:
    """Returns the request of a method that takes one. Raises UsageError for none or several."""
    found = list(requests)
    if len(found) != 1:
        raise UsageError(f"the method takes one request, got {len(found)}")
    return found[0]
