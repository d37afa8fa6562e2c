"""OpenTelemetry's instrumentation of grpc's channels, where the program's surroundings have installed it.

Its streams are bare generators: they cannot be cancelled, and have no status. So channels of this project are
opened without it, and make its spans themselves (tracing.py).
"""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import grpc
import structlog

# The package that puts its functions in the place of grpc's: opentelemetry-instrument installs it.
_PACKAGE = "opentelemetry.instrumentation.grpc"


def is_instrumented(function: Callable[..., object]) -> bool:
    """Whether the package's function, or its wrapper (by wrapt), stands in the place of grpc's function."""
    wrapper = getattr(function, "_self_wrapper", function)
    return getattr(wrapper, "__module__", "") == _PACKAGE


def without_instrumentation(open_channel: Callable[..., grpc.Channel]) -> Callable[..., grpc.Channel]:
    """The function beneath the package's wrappers; wrappers of other makers stay."""
    found: Any = open_channel
    while is_instrumented(found) and hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    return found  # type: ignore[no-any-return]


def open_beneath(open_channel: Callable[..., grpc.Channel], *given: Any, **options: Any) -> grpc.Channel:
    """Opens a channel beneath the package's wrappers, and beneath those of all makers if these fail.

    Elastic's, for one, takes no target with a scheme, such as `dns:///…`.
    """
    function = without_instrumentation(open_channel)
    try:
        return function(*given, **options)
    except Exception as error:
        plain: Callable[..., grpc.Channel] = unwrap(function)
        if plain is function:
            raise
        opened = plain(*given, **options)
        structlog.get_logger().warning("channel_wrapper_failed", problem=type(error).__name__)
        return opened
