"""The calls of the demo: of which method, and at a steady rate."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

from app.client.channel import channel
from app.client.service_config import ServiceConfig
from app.core.errors import UsageError
from app.core.service import Service
from app.tools.invoke import request_type
from app.tools.load.calls import calls_of
from app.tools.load.drive import Drive
from app.tools.methods import is_harmless
from deploy.demo.settings import RPS

# A value of each kind of field that is neither empty nor zero.
_VALUES: dict[int, Any] = {
    FieldDescriptor.CPPTYPE_STRING: "1",
    FieldDescriptor.CPPTYPE_BOOL: True,
    **dict.fromkeys(
        (
            FieldDescriptor.CPPTYPE_INT32,
            FieldDescriptor.CPPTYPE_INT64,
            FieldDescriptor.CPPTYPE_UINT32,
            FieldDescriptor.CPPTYPE_UINT64,
        ),
        1,
    ),
    **dict.fromkeys((FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT), 1.0),
}


def choose(services: Sequence[Service[Any]]) -> tuple[MethodDescriptor, Message]:
    """Returns the first method of `safe_calls`. Raises UsageError if there is none."""
    for found in safe_calls(services):
        return found
    raise UsageError(
        "no service has a unary method that is marked NO_SIDE_EFFECTS and takes an empty request, or one with"
        " 1 in each field; `make service NAME=Inventory PACKAGE=acme.inventory.v1` writes one"
    )


def safe_calls(services: Sequence[Service[Any]]) -> Iterator[tuple[MethodDescriptor, Message]]:
    """Yields the unary methods marked NO_SIDE_EFFECTS, each with a request that its service accepts."""
    for service in services:
        for method in service.descriptor.methods:
            rule = service.rules.get(method.name)
            if is_harmless(method):
                valid = (request for request in _requests(method) if rule is None or not list(rule(request)))
                if (request := next(valid, None)) is not None:
                    yield method, request


@contextmanager
def load(
    targets: Sequence[str],
    method: MethodDescriptor,
    request: Message,
    streams: ThreadPoolExecutor,
    rps: float = RPS,
) -> Iterator[Drive]:
    """Makes calls until exit, from a client that balances over those targets that are ready."""
    target, config = f"ipv4:{','.join(targets)}", ServiceConfig(health_service="")
    with channel(target, services=[method.containing_service], config=config, timeout=10) as opened:
        drive = Drive(calls_of(opened, method, [request], streams), rps=rps, seconds=86_400, most=1000)
        drive.start()
        try:
            yield drive
        finally:
            drive.stop()


def _requests(method: MethodDescriptor) -> Iterator[Message]:
    yield request_type(method)()
    filled = request_type(method)()
    for each in method.input_type.fields:
        if not each.is_repeated and each.cpp_type in _VALUES:
            value = _VALUES[each.cpp_type]
            setattr(filled, each.name, value.encode() if each.type == FieldDescriptor.TYPE_BYTES else value)
    yield filled
