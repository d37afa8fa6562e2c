"""The tracer provider: one that is installed already, or one by the standard OTEL_… variables."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import structlog
from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased, Sampler

from app.telemetry.exporters import exporters
from app.telemetry.instance_id import given_instance, new_instance
from app.telemetry.otel_variables import (
    BUILT_IN_SAMPLERS,
    SAMPLER,
    SAMPLER_ARG,
    SAMPLERS,
    Environment,
    Ignored,
    installed,
)

# Seconds to export the last spans; a dead collector must not keep the process from exiting.
_FLUSH = 3.0


@contextmanager
def tracer_provider(service_name: str) -> Iterator[TracerProvider]:
    """Yields a provider that exports spans in the background, and flushes them on exit within a limit.

    The OTEL_… variables apply. A bounded queue separates calls from the exporter: a dead or slow collector
    loses spans, never calls. Values that cannot be used are logged as warnings.
    """
    provider = _provider(service_name, os.environ)
    try:
        yield provider
    finally:
        _flush(provider.shutdown)


@contextmanager
def flushed(installed: trace.TracerProvider) -> Iterator[trace.TracerProvider]:
    """Yields the provider, and flushes its spans on exit within the same limit. Leaves it open."""
    structlog.get_logger().info("tracer_provider_installed", provider=type(installed).__name__)
    try:
        yield installed
    finally:
        _flush(getattr(installed, "force_flush", lambda: None))


def installed_provider() -> trace.TracerProvider | None:
    """The global provider, if the program's surroundings have set one."""
    found = trace.get_tracer_provider()
    return None if isinstance(found, trace.ProxyTracerProvider | trace.NoOpTracerProvider) else found


def log_ignored(ignored: Iterable[Ignored]) -> None:
    """Logs a warning for each variable."""
    for one in ignored:
        structlog.get_logger().warning("otel_variable_ignored", **one._asdict())


def _provider(service_name: str, environment: Environment) -> TracerProvider:
    made, ignored = exporters(environment)
    log_ignored(ignored)
    provider = TracerProvider(
        sampler=_sampler(environment),
        resource=_resource(service_name),
        id_generator=_id_generator(environment),
        shutdown_on_exit=False,
    )
    for exporter in made:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _sampler(environment: Environment) -> Sampler | None:
    """The sampler of an installed package; None for the SDK's own, which the SDK makes by itself."""
    name = environment.get(SAMPLER, "").strip()
    point = None if not name or name in BUILT_IN_SAMPLERS else installed(SAMPLERS, name)
    if point is None:
        return None
    try:
        made = point.load()(environment.get(SAMPLER_ARG))
    except Exception as error:  # whatever the package raises
        made = error
    if isinstance(made, Sampler):
        return made
    log_ignored([Ignored(SAMPLER, name, f"cannot be used: {made!r}", "parentbased_always_on")])
    return ParentBased(ALWAYS_ON)


def _id_generator(environment: Environment) -> IdGenerator | None:
    """The one of an installed package; None for random ids."""
    name = environment.get("OTEL_PYTHON_ID_GENERATOR", "random").strip()
    point = None if name == "random" else installed("opentelemetry_id_generator", name)
    made = None if point is None else point.load()()
    return made if isinstance(made, IdGenerator) else None


def _flush(act: Callable[[], object]) -> None:
    flush = threading.Thread(target=act, name="flush spans", daemon=True)
    flush.start()
    flush.join(_FLUSH)
    if flush.is_alive():
        structlog.get_logger().warning("spans_not_flushed", waited_seconds=_FLUSH)
    else:
        structlog.get_logger().info("spans_flushed")


def _resource(service_name: str) -> Resource:
    """Returns the resource. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override the defaults here."""
    found = Resource.create()
    ours: dict[str, str] = {}
    if str(found.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        ours[SERVICE_NAME] = service_name
    if not given_instance(found):  # the SDK's is longer, and the same for all servers of a process
        ours[SERVICE_INSTANCE_ID] = new_instance()
    return found.merge(Resource(ours))
