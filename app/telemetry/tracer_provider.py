"""The tracer provider and its exporter, configured by the standard OTEL_… variables."""

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

# Seconds to export the last spans; a dead collector must not keep the process from exiting.
_FLUSH = 3.0

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@contextmanager
def tracer_provider(service_name: str) -> Iterator[TracerProvider]:
    """Yields a provider that exports spans in the background, and flushes them on exit within a limit.

    OTEL_TRACES_EXPORTER is `otlp`, `console` or `none`; when unset, otlp if an OTLP endpoint is set, none
    otherwise. A bounded queue separates calls from the exporter: a dead or slow collector loses spans, never
    calls. The SDK reads sampler, resource attributes, batch sizes, endpoint, headers and certificates. Raises
    StartError.
    """
    exporter = _exporter()
    try:
        provider = TracerProvider(resource=_resource(service_name), shutdown_on_exit=False)
        if exporter is not None:
            provider.add_span_processor(BatchSpanProcessor(exporter))
    except ValueError as error:
        raise StartError(f"invalid OTEL_… variable: {error}") from error
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
        raise StartError(f"invalid value {name!r} for OTEL_TRACES_EXPORTER: expected otlp, console or none")
    variable = next((one for one in _PROTOCOLS if os.environ.get(one)), "")
    if variable and os.environ[variable] != "grpc":
        raise StartError(f"invalid value {os.environ[variable]!r} for {variable}: expected grpc")
    try:
        # Imported here, because it takes a tenth of the server's start.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

        return OTLPSpanExporter()
    except Exception as error:
        raise StartError(f"invalid OTEL_EXPORTER_OTLP_… variable: {error}") from error


def _resource(service_name: str) -> Resource:
    """Returns the resource. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override the defaults here."""
    found = Resource.create()
    ours: dict[str, str] = {}
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        ours[SERVICE_NAME] = service_name
    if not given_instance(found):  # the SDK's is longer, and the same for all servers of a process
        ours[SERVICE_INSTANCE_ID] = new_instance()
    return found.merge(Resource(ours))
