"""Calling any method that a descriptor describes, without generated stubs."""

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message


def invoke(channel: grpc.Channel, method: MethodDescriptor, requests: Iterable[Message]) -> Iterator[Message]:
    """Sends the requests and yields the replies, one of each where the method does not stream them.

    Raises grpc.RpcError.
    """
    path = f"/{method.containing_service.full_name}/{method.name}"
    codecs: dict[str, Any] = {
        "request_serializer": request_class(method).SerializeToString,
        "response_deserializer": message_factory.GetMessageClass(method.output_type).FromString,
    }
    if method.client_streaming and method.server_streaming:
        yield from channel.stream_stream(path, **codecs)(iter(requests))
    elif method.client_streaming:
        yield channel.stream_unary(path, **codecs)(iter(requests))
    elif method.server_streaming:
        yield from channel.unary_stream(path, **codecs)(next(iter(requests)))
    else:
        yield channel.unary_unary(path, **codecs)(next(iter(requests)))


def request_class(method: MethodDescriptor) -> type[Message]:
    return message_factory.GetMessageClass(method.input_type)
