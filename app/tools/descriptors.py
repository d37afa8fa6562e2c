"""What a method's descriptor says of it."""

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions


def full_name(method: MethodDescriptor) -> str:
    """Such as `quotes.Quoter/GetQuote`; the method's path on the wire has a `/` before it."""
    return f"{method.containing_service.full_name}/{method.name}"


def is_harmless(method: MethodDescriptor) -> bool:
    """Whether it takes and sends one message, and is marked to have no side effects."""
    return (
        not (method.client_streaming or method.server_streaming)
        and method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    )
