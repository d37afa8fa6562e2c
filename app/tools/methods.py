"""Descriptors of methods: those of this program's services by name, and those that are safe to call."""

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from app.services import SERVICES


def full_name(method: MethodDescriptor) -> str:
    """Returns a name such as `acme.inventory.v1.InventoryService/GetItem`, the path without its first `/`."""
    return f"{method.containing_service.full_name}/{method.name}"


def is_harmless(method: MethodDescriptor) -> bool:
    """Whether the method is unary and marked NO_SIDE_EFFECTS."""
    return (
        not (method.client_streaming or method.server_streaming)
        and method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    )


def find_method(name: str) -> MethodDescriptor:
    """Finds a method by `package.Service/Method`; accepts a leading `/`, and `Service/Method` too.

    Raises ValueError, which lists the methods that exist.
    """
    service, _, wanted = name.removeprefix("/").rpartition("/")
    methods = [
        method
        for each in SERVICES
        if service in {each.name, each.descriptor.name}
        for method in each.descriptor.methods
    ]
    for method in methods:
        if method.name == wanted:
            return method
    names = ", ".join(full_name(method) for method in methods or _methods())
    raise ValueError(f"unknown method {name!r}; expected one of {names}")


def harmless_method() -> MethodDescriptor:
    """Returns the first unary method marked NO_SIDE_EFFECTS. Raises ValueError if there is none."""
    for method in _methods():
        if is_harmless(method):
            return method
    raise ValueError(
        f"no unary method is marked NO_SIDE_EFFECTS; name one of {', '.join(map(full_name, _methods()))}"
    )


def complete_method(incomplete: str) -> list[str]:
    """Returns the full names that begin so; if there are none, those without a package."""
    found = [name for method in _methods() if (name := full_name(method)).startswith(incomplete)]
    short = (f"{method.containing_service.name}/{method.name}" for method in _methods())
    return found or [name for name in short if name.startswith(incomplete)]


def complete_service(incomplete: str) -> list[str]:
    """Returns the names for health checks that begin so."""
    return [name for name in (*(each.name for each in SERVICES), "liveness") if name.startswith(incomplete)]


def _methods() -> list[MethodDescriptor]:
    return [method for each in SERVICES for method in each.descriptor.methods]
