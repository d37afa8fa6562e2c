"""The tracer provider: one that is installed already, or one by the standard OTEL_… variables."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog
from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from app.telemetry.exporters import exporters
from app.telemetry.instance_id import given_instance, new_instance
from app.telemetry.otel_variables import (
    BUILT_IN_SAMPLERS,
    DETECTORS,
    ID_GENERATOR,
    ID_GENERATORS,
    METER_PROVIDER,
    SAMPLER,
    SAMPLER_ARG,
    SAMPLERS,
    TRACER_PROVIDER,
    Environment,
    Ignored,
    Made,
    UnusableError,
    installed,
    made,
    queue_size,
)
from app.telemetry.span_counts import SpanCounts
from app.telemetry.span_export import SpanExport

# Seconds to export the last spans; a dead collector must not keep the process from exiting.
_FLUSH = 3.0


@contextmanager
def tracer_provider(service_name: str, counts: SpanCounts | None = None) -> Iterator[TracerProvider]:
    """Yields a provider that exports spans in the background, and flushes them on exit within a limit.

    The OTEL_… variables apply. A bounded queue separates calls from the exporter: a dead or slow collector
    loses spans, never calls, and `counts` has how many. Values that cannot be used are logged as warnings.
    """
    counts = counts or SpanCounts()
    provider, exports = _provider(service_name, os.environ, counts)
    try:
        yield provider
    finally:
        in_time = _flush(provider.shutdown)
        for export in exports:
            export.close()
        _log_flush(in_time, exported=counts.exported(), dropped=sum(counts.dropped().values()))


@contextmanager
def flushed(installed: trace.TracerProvider) -> Iterator[trace.TracerProvider]:
    """Yields the provider, and flushes its spans on exit within the same limit. Leaves it open."""
    structlog.get_logger().info("tracer_provider_installed", provider=type(installed).__name__)
    try:
        yield installed
    finally:
        _log_flush(_flush(getattr(installed, "force_flush", lambda: None)))


def installed_provider() -> trace.TracerProvider | None:
    """The global provider, if the program's surroundings have set one or a variable names one."""
    found = _by_variable(TRACER_PROVIDER, trace.get_tracer_provider)
    return None if isinstance(found, trace.ProxyTracerProvider | trace.NoOpTracerProvider) else found


def log_ignored(ignored: Iterable[Ignored]) -> None:
    """Logs a warning for each variable."""
    for one in ignored:
        structlog.get_logger().warning("otel_variable_ignored", **one._asdict())


def _by_variable(variable: str, make: Callable[[], Made]) -> Made | None:
    """What OpenTelemetry's function makes of the entry points that the variable names.

    None, with a warning, if that raises or makes nothing. The variable is removed then, because every later
    look-up, such as a handler's, would raise as well.
    """
    try:
        found: Made | None = make()
        problem = f"made {found!r}"
    except Exception as error:  # whatever the package raises
        found, problem = None, repr(error)
    if found is None and (name := os.environ.pop(variable, "")):
        log_ignored([Ignored(variable, name, f"cannot be used: {problem}", "the default")])
    return found


def _provider(
    service_name: str, environment: Environment, counts: SpanCounts
) -> tuple[TracerProvider, list[SpanExport]]:
    _by_variable(METER_PROVIDER, metrics.get_meter_provider)
    found, ignored = exporters(environment)
    log_ignored(ignored)
    provider = TracerProvider(
        sampler=_sampler(environment),
        resource=_resource(service_name),
        id_generator=_id_generator(environment),
        shutdown_on_exit=False,
    )
    exports = [SpanExport(exporter, counts, queue_size(environment)) for exporter in found]
    for export in exports:
        provider.add_span_processor(export)
    return provider, exports


def _sampler(environment: Environment) -> Sampler | None:
    """The sampler of an installed package; None for the SDK's own, which the SDK makes by itself."""
    name = environment.get(SAMPLER, "").strip()
    point = None if not name or name in BUILT_IN_SAMPLERS else installed(SAMPLERS, name)
    if point is None:
        return None
    try:
        return made(point, Sampler, environment.get(SAMPLER_ARG))  # type: ignore[type-abstract]  # no instance
    except UnusableError as error:
        log_ignored([Ignored(SAMPLER, name, str(error), "parentbased_always_on")])
        return ParentBased(ALWAYS_ON)


def _id_generator(environment: Environment) -> IdGenerator | None:
    """The one of an installed package; None for random ids."""
    name = environment.get(ID_GENERATOR, "random").strip()
    point = None if name == "random" else installed(ID_GENERATORS, name)
    if point is None:
        return None
    try:
        return made(point, IdGenerator)  # type: ignore[type-abstract]  # as above
    except UnusableError as error:
        log_ignored([Ignored(ID_GENERATOR, name, str(error), "random")])
        return None


def _flush(act: Callable[[], object]) -> bool:
    """Returns whether it was done within the limit."""
    flush = threading.Thread(target=act, name="flush spans", daemon=True)
    flush.start()
    flush.join(_FLUSH)
    return not flush.is_alive()


def _log_flush(in_time: bool, **counts: int) -> None:
    if in_time:
        structlog.get_logger().info("spans_flushed", **counts)
    else:
        structlog.get_logger().warning("spans_not_flushed", waited_seconds=_FLUSH, **counts)


def _resource(service_name: str) -> Resource:
    """Returns the resource. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override the defaults here."""
    found = _by_variable(DETECTORS, Resource.create) or Resource.create()
    ours: dict[str, str] = {}
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        ours[SERVICE_NAME] = service_name
    if not given_instance(found):  # the SDK's is longer, and the same for all servers of a process
        ours[SERVICE_INSTANCE_ID] = new_instance()
    return found.merge(Resource(ours))
