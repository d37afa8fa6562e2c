"""Calling any method that a descriptor describes, without generated stubs."""

from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from app.tools.descriptors import full_name


def invoke(channel: grpc.Channel, method: MethodDescriptor, requests: Iterable[Message]) -> Iterator[Message]:
    """Sends the requests and yields the replies, one of each where the method does not stream them.

    Raises grpc.RpcError, and ValueError where a method that takes one request is given none or several.
    """
    path = f"/{full_name(method)}"
    codecs: dict[str, Any] = {
        "request_serializer": message_factory.GetMessageClass(method.input_type).SerializeToString,
        "response_deserializer": message_factory.GetMessageClass(method.output_type).FromString,
    }
    if method.client_streaming and method.server_streaming:
        yield from channel.stream_stream(path, **codecs)(iter(requests))
    elif method.client_streaming:
        yield channel.stream_unary(path, **codecs)(iter(requests))
    elif method.server_streaming:
        yield from channel.unary_stream(path, **codecs)(only(requests))
    else:
        yield channel.unary_unary(path, **codecs)(only(requests))


def only(requests: Iterable[Message]) -> Message:
    """The request of a method that takes one. Raises ValueError where there are none or several."""
    found = list(requests)
    if len(found) != 1:
        raise ValueError(f"the method takes one request, and there are {len(found)}")
    return found[0]
