"""The methods of this program's services, by name."""

from google.protobuf.descriptor import MethodDescriptor

from app.services import SERVICES
from app.tools.descriptors import full_name, is_harmless


def find_method(name: str) -> MethodDescriptor:
    """Finds a method by `package.Service/Method`; a leading `/`, or no package, will do as well.

    Raises ValueError, which names those that there are.
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
    raise ValueError(f"there is no method {name!r}; choose of {names}")


def harmless_method() -> MethodDescriptor:
    """The first method that takes and sends one message, and is marked to have no side effects.

    Raises ValueError where there is none.
    """
    for method in _methods():
        if is_harmless(method):
            return method
    raise ValueError(
        f"name a method: none is marked NO_SIDE_EFFECTS of {', '.join(map(full_name, _methods()))}"
    )


def complete_method(incomplete: str) -> list[str]:
    """The names that begin so; those without a package only where no full one does."""
    found = [name for method in _methods() if (name := full_name(method)).startswith(incomplete)]
    short = (f"{method.containing_service.name}/{method.name}" for method in _methods())
    return found or [name for name in short if name.startswith(incomplete)]


def complete_service(incomplete: str) -> list[str]:
    """What health checks know by name."""
    return [name for name in (*(each.name for each in SERVICES), "liveness") if name.startswith(incomplete)]


def _methods() -> list[MethodDescriptor]:
    return [method for each in SERVICES for method in each.descriptor.methods]
