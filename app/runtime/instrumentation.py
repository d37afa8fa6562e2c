"""OpenTelemetry's instrumentation of `grpc.server`, where the program's surroundings have installed it."""

import os

import grpc
import structlog

# The package whose `server` takes the place of grpc's: opentelemetry-instrument installs it.
_PACKAGE = "opentelemetry.instrumentation.grpc"

_EXCLUDED = "OTEL_PYTHON_GRPC_EXCLUDED_SERVICES"


def remove_server_instrumentation() -> None:
    """Takes it off `grpc.server`, as the package offers: the chain makes the spans, with the same provider.

    Otherwise each call would have two server spans, and health checks one. Instrumentation of other makers
    stays: their spans go elsewhere.
    """
    if getattr(grpc.server, "__module__", "") != _PACKAGE:
        return
    from opentelemetry.instrumentation.grpc import GrpcInstrumentorServer

    GrpcInstrumentorServer().uninstrument()  # type: ignore[no-untyped-call]
    structlog.get_logger().info("server_instrumentation_removed", package=_PACKAGE)


def excluded_services() -> frozenset[str]:
    """The full names of services without spans, by the variable of the package."""
    return frozenset(one.strip() for one in os.environ.get(_EXCLUDED, "").split(",")) - {""}
