"""Where spans go, by the standard OTEL_… variables."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from app.core.errors import StartError
from app.telemetry.instance_id import given_instance, new_instance

# How long the last spans may take to leave, in seconds; a dead collector must not hold the exit.
_FLUSH = 3.0

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@contextmanager
def tracer_provider(service_name: str) -> Iterator[TracerProvider]:
    """A provider whose spans are sent in the background, and flushed on exit within a bound.

    OTEL_TRACES_EXPORTER is `otlp`, `console` or `none`. Unset, it is otlp where an OTLP endpoint is set, and
    none elsewhere, so that nothing is sent to a collector that nobody named. A queue of bounded size stands
    between calls and the exporter: a dead or slow collector costs spans, never calls. Sampler, resource
    attributes, batch sizes, endpoint, headers and certificates are read by the SDK. Raises StartError.
    """
    exporter = _exporter()
    try:
        provider = TracerProvider(resource=_resource(service_name), shutdown_on_exit=False)
        if exporter is not None:
            provider.add_span_processor(BatchSpanProcessor(exporter))
    except ValueError as error:
        raise StartError(f"an OTEL_… variable does not fit: {error}") from error
    try:
        yield provider
    finally:
        flush = threading.Thread(target=provider.shutdown, name="flush spans", daemon=True)
        flush.start()
        flush.join(_FLUSH)
        if flush.is_alive():
            structlog.get_logger().warning("spans_not_flushed", waited_seconds=_FLUSH)
        else:
            structlog.get_logger().info("spans_flushed")


def _exporter() -> SpanExporter | None:
    name = os.environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if not name:
        name = "otlp" if any(os.environ.get(variable) for variable in _ENDPOINTS) else "none"
    if name == "none" or os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    if name == "console":
        return ConsoleSpanExporter()
    if name != "otlp":
        raise StartError(f"OTEL_TRACES_EXPORTER: {name!r} does not fit; otlp, console or none is right")
    variable = next((one for one in _PROTOCOLS if os.environ.get(one)), "")
    if variable and os.environ[variable] != "grpc":
        raise StartError(f"{variable}: {os.environ[variable]!r} is not installed here; grpc is right")
    try:
        # Imported only where it is used: it takes a tenth of the time that the server takes to start.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return OTLPSpanExporter()
    except Exception as error:
        raise StartError(f"an OTEL_EXPORTER_OTLP_… variable does not fit: {error}") from error


def _resource(service_name: str) -> Resource:
    """The SDK's own reading of OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES wins over ours."""
    found = Resource.create()
    ours: dict[str, str] = {}
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        ours[SERVICE_NAME] = service_name
    if not given_instance(found):  # the SDK's own is longer, and one for all servers of a process
        ours[SERVICE_INSTANCE_ID] = new_instance()
    return found.merge(Resource(ours))
