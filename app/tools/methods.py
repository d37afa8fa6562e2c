"""The methods of the services, by their descriptors: found by name, completed, and safe to call."""

from collections.abc import Sequence

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions

from app.core.errors import UsageError


def full_name(method: MethodDescriptor) -> str:
    """Returns a name such as `acme.inventory.v1.InventoryService/GetItem`, the path without its first `/`."""
    return f"{method.containing_service.full_name}/{method.name}"


def is_harmless(method: MethodDescriptor) -> bool:
    """Whether the method is unary and marked NO_SIDE_EFFECTS."""
    return (
        not (method.client_streaming or method.server_streaming)
        and method.GetOptions().idempotency_level == MethodOptions.NO_SIDE_EFFECTS
    )


class Methods:
    """The methods of these services, in their order."""

    def __init__(self, services: Sequence[ServiceDescriptor]) -> None:
        self._services = services
        self._methods = [method for service in services for method in service.methods]

    def find(self, name: str) -> MethodDescriptor:
        """Finds a method by `package.Service/Method`; accepts a leading `/`, and `Service/Method` too.

        Raises UsageError, which lists the methods that exist.
        """
        service, _, wanted = name.removeprefix("/").rpartition("/")
        candidates = [
            method
            for method in self._methods
            if service in {method.containing_service.full_name, method.containing_service.name}
        ]
        for method in candidates:
            if method.name == wanted:
                return method
        names = ", ".join(full_name(method) for method in candidates or self._methods)
        raise UsageError(f"unknown method {name!r}; expected one of {names}")

    def harmless(self) -> MethodDescriptor:
        """Returns the first unary method marked NO_SIDE_EFFECTS. Raises UsageError if there is none."""
        for method in self._methods:
            if is_harmless(method):
                return method
        names = ", ".join(map(full_name, self._methods))
        raise UsageError(f"no unary method is marked NO_SIDE_EFFECTS; name one of {names}")

    def complete(self, incomplete: str) -> list[str]:
        """Returns the full names that begin so; if there are none, those without a package."""
        found = [name for method in self._methods if (name := full_name(method)).startswith(incomplete)]
        short = (f"{method.containing_service.name}/{method.name}" for method in self._methods)
        return found or [name for name in short if name.startswith(incomplete)]

    def complete_service(self, incomplete: str) -> list[str]:
        """Returns the names for health checks that begin so."""
        names = (*(service.full_name for service in self._services), "liveness")
        return [name for name in names if name.startswith(incomplete)]
