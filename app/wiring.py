"""The composition root: settings → parts → chain → services."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any, NamedTuple

import grpc
import structlog
from grpc_health.v1 import health
from opentelemetry.trace import TracerProvider
from prometheus_client import CollectorRegistry

from app.auth.caller import Verify
from app.auth.verifier import verifier
from app.core.address import Address
from app.core.call import Call
from app.core.database import Database
from app.core.method import UNKNOWN, Arity, Method
from app.core.name import NAME
from app.core.queue import Queue
from app.core.service import Service
from app.interceptors.access_log import AccessLog
from app.interceptors.auth import Auth
from app.interceptors.chain import Chain
from app.interceptors.concern import Concern
from app.interceptors.deadline import Deadline
from app.interceptors.errors import Errors
from app.interceptors.first_message import FirstMessages
from app.interceptors.held_messages import HeldMessages
from app.interceptors.idle_streams import IdleStreams
from app.interceptors.instance import Instance
from app.interceptors.last_errors import LastErrors
from app.interceptors.limit import ConcurrencyLimit, Limit
from app.interceptors.message_size import MessageSize
from app.interceptors.metadata_size import MetadataSize
from app.interceptors.metrics import Metrics
from app.interceptors.peer_identity import PeerIdentity
from app.interceptors.request_id import RequestId
from app.interceptors.shares import Shares, one_for_all
from app.interceptors.tracing import Tracing
from app.interceptors.unknown_method import UnknownMethod
from app.interceptors.unread_replies import UnreadReplies
from app.interceptors.validation import Validation
from app.interceptors.waiting_calls import WaitingLimit
from app.runtime.dispatcher import Dispatcher
from app.runtime.health import Health
from app.runtime.instrumentation import excluded_services, remove_server_instrumentation
from app.runtime.metrics_port import metrics_port
from app.runtime.pools import MAX_REFLECTIONS, Pools, open_pools
from app.runtime.reflection import REFLECTION, add_reflection
from app.runtime.status_page import Details, State, StatusPage
from app.runtime.transport import options
from app.settings import Settings
from app.telemetry.conventions import Conventions
from app.telemetry.instance_id import instance_of
from app.telemetry.logs import count_dropped, writer
from app.telemetry.otel_variables import correct
from app.telemetry.propagation import extractor
from app.telemetry.registry import server_registry
from app.telemetry.saturation import Concurrency, count_concurrency, count_queue, show_drain, show_readiness
from app.telemetry.span_counts import SpanCounts, count_spans
from app.telemetry.tracer_provider import flushed, installed_provider, log_ignored, tracer_provider
from app.tls.server_credentials import ServerCredentials

# Exact names. Probes and tools have no token, and must be answered when nobody else is.
HEALTH = health.SERVICE_NAME
PROBES = frozenset({HEALTH})
EXEMPT = PROBES | REFLECTION


class Telemetry(NamedTuple):
    """Where the chain records calls."""

    registry: CollectorRegistry
    spans: TracerProvider
    instance: str  # the `service.instance.id` of this server
    installed: bool = False  # whether the program's surroundings have set OpenTelemetry up
    errors: LastErrors | None = None  # for the status page, if it shows them


def concerns(
    settings: Settings,
    services: Sequence[Service[Any]],
    telemetry: Telemetry,
    verify: Verify | None,
) -> list[Concern]:
    """The chain, from the outermost concern to the handler.

    Observers stand outside gates, so that a rejected call is traced, counted and logged with the code that
    its client saw.
    """
    mutual_tls = settings.tls.mode == "mutual"
    auth: list[Concern] = []
    if verify is not None:
        auth = [Auth(verify, EXEMPT, settings.auth.auth_require or {})]
    elif mutual_tls:
        auth = [PeerIdentity()]
    metrics = Metrics(telemetry.registry)
    return [
        RequestId(),  # first: everything after it may name the call
        Instance(telemetry.instance),  # cheap, and rejected calls are answered with it, too
        Tracing(  # the log line has its trace id
            telemetry.spans,
            PROBES | excluded_services(),
            Conventions.from_environment(os.environ),
            extractor(os.environ, installed=telemetry.installed),
        ),
        metrics,
        AccessLog(writer("info", "call"), writer("debug", "call"), quiet=PROBES, mutual_tls=mutual_tls),
        *([] if telemetry.errors is None else [telemetry.errors]),  # with its ids and its final code, too
        UnreadReplies(settings.server.reply_timeout, metrics.open_calls),  # of rejected calls, too
        Errors(),  # from here on, an exception becomes a status code that the three above see
        UnknownMethod(),  # on acceptance: refused calls never wait for a worker
        MetadataSize(settings.server.max_metadata_bytes),  # on acceptance
        # FirstMessages refuses here, between acceptance and `admit`: calls whose first message does not come.
        # It is no concern: it wraps the pools of the methods (`open_parts` makes it).
        # When the first message is there, before the call waits for a worker.
        Limit(limit_of(settings, telemetry.registry)),
        HeldMessages(settings.server.max_held_bytes),  # likewise, and for each further message
        *auth,  # on a worker: it takes time, and a call over the limit need not be authenticated
        IdleStreams(settings.server.stream_idle_time, exempt=PROBES),
        # After queueing: rejects calls whose deadline has passed.
        Deadline(settings.server.max_deadline, metrics.open_calls, exempt=PROBES),
        MessageSize(settings.server.max_message_bytes),  # of each message, before it is decoded or sent
        Validation({service.name: service.rules for service in services}),  # last: it needs the message
    ]


def limit_of(settings: Settings, registry: CollectorRegistry) -> Callable[[Method], ConcurrencyLimit | None]:
    """Calls, streams, health checks, health Watches and reflection have a limit each; UNKNOWN has none.

    Registers how much of each limit is used.
    """
    server = settings.server
    reserve = 0 if server.share_by == "none" else server.share_reserve

    def limit(most: int, what: str, queue: Queue | None = None) -> ConcurrencyLimit:
        return ConcurrencyLimit(most, what, reserve, queue)

    calls = limit(server.max_calls, "calls", Queue(server.workers, server.max_queue_time, server.max_calls))
    streams = limit(server.max_streams, "streams")
    checks = limit(server.max_checks, "health checks")
    watches = limit(server.max_watches, "health watches")
    reflections = limit(MAX_REFLECTIONS, "reflection streams")
    kinds = (calls, streams, checks, watches, reflections)
    count_concurrency(registry, {one.what.replace(" ", "_"): used(one) for one in kinds})

    def choose(method: Method) -> ConcurrencyLimit | None:
        if method.service == HEALTH:
            return checks if method.arity is Arity.UNARY else watches
        if method is UNKNOWN:
            return None
        if method.service in EXEMPT:
            return reflections
        return calls if method.arity is Arity.UNARY else streams

    return choose


def used(limit: ConcurrencyLimit) -> Concurrency:
    return Concurrency(lambda: limit.running, limit.most)


def reserve_of(settings: Settings, most: int) -> int:
    """How many places are for clients that have less than their share, beyond the `most` of a limit."""
    server = settings.server
    return 0 if server.share_by == "none" else ceil(most * server.share_reserve)


def share_of(settings: Settings, verify: Verify | None) -> Callable[[Call], str]:
    """Names the client whose share a call takes."""
    match settings.server.share_by:
        case "none":
            return one_for_all
        case "principal" if verify is not None:
            return Shares(verify.known, EXEMPT)
        case _:
            return Shares()


def pool_of(pools: Pools) -> Callable[[Method], ThreadPoolExecutor]:
    """Every kind of call has its own threads."""

    def choose(method: Method) -> ThreadPoolExecutor:
        if method.service == HEALTH:
            return pools.health if method.arity is Arity.UNARY else pools.watches
        if method.service in EXEMPT:
            return pools.reflection
        return pools.workers if method.arity is Arity.UNARY else pools.streams

    return choose


@dataclass(frozen=True)
class Parts:
    """A server that has not been started, and the parts that its start and its drain need."""

    server: grpc.Server
    health: Health
    pools: Pools
    credentials: Callable[[], grpc.ServerCredentials] | None  # None: plaintext
    instance: str  # its `service.instance.id`
    metrics: tuple[Address, ...]  # where `/metrics` is served, with real ports


@contextmanager
def open_parts(
    settings: Settings,
    services: Sequence[Service[Any]],
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    spans: TracerProvider | None = None,
) -> Iterator[Parts]:
    """Opens the parts of a server, and closes them on exit. Raises StartError.

    Parts are closed in the reverse order: the services first, the metrics port last.
    """
    served = [service for service in services if service.name in settings.server.services]
    names = [service.name for service in served]
    status = Health(names)
    with ExitStack() as opened:
        registry = server_registry()
        count_dropped(registry)
        show_readiness(registry, lambda: status.ready)
        show_drain(registry, lambda: status.draining)
        errors = LastErrors(quiet=PROBES) if settings.server.status_page == "full" else None
        page = status_page(settings, status, errors)
        port = metrics_port(
            settings.server.metrics_listen,
            registry,
            ready=lambda: status.ready,
            max_connections=settings.server.max_metrics_connections,
            timeout=settings.server.metrics_timeout,
            page=page,
        )
        metrics = opened.enter_context(port)
        log_ignored(correct(os.environ))
        installed = None if spans is not None else installed_provider()
        counts = SpanCounts()
        if installed is None:  # another's exporters do not tell what they lose
            count_spans(registry, counts)
        if spans is None:
            provider = tracer_provider(NAME, counts) if installed is None else flushed(installed)
            spans = opened.enter_context(provider)
        verify = opened.enter_context(verifier(settings.auth, registry))
        credentials = _credentials(settings, registry, opened)

        def with_reserve(most: int) -> int:
            return most + reserve_of(settings, most)

        pools = open_pools(
            settings.server.workers,
            with_reserve(settings.server.max_streams),
            with_reserve(settings.server.max_watches),
            with_reserve(MAX_REFLECTIONS),
            spare=reserve_of(settings, settings.server.workers),
        )
        count_queue(registry, settings.server.workers, pools.queued)
        opened.enter_context(pools.paces)
        resource = getattr(spans, "resource", None)  # not every provider has one
        instance = instance_of(resource, generated=installed is not None)
        if page is not None:
            page.instance = instance
        telemetry = Telemetry(registry, spans, instance, installed is not None, errors)
        listed = concerns(settings, served, telemetry, verify)
        for concern in listed:
            if isinstance(concern, AbstractContextManager):
                opened.enter_context(concern)
        first_messages = opened.enter_context(
            FirstMessages(
                lambda method: pools.health_refusals if method.service in EXEMPT else pools.refusals,
                calls=WaitingLimit(settings.server.max_waiting_calls, settings.server.first_message_timeout),
                streams=WaitingLimit(
                    settings.server.max_streams,
                    min(settings.server.max_deadline, settings.server.stream_idle_time),
                ),
                never_answering_first=EXEMPT,
                share_of=share_of(settings, verify),
            )
        )
        chain = Chain(
            listed,
            refusals=pools.refusals,
            pool_of=pool_of(pools),
            first_messages=first_messages,
            followed=bool(interceptors),
        )
        remove_server_instrumentation()
        server = grpc.server(
            Dispatcher(pools.workers), interceptors=[chain, *interceptors], options=options(settings.server)
        )

        registrar = chain.registrar(server)
        database = opened.enter_context(_database(settings, served, telemetry, status))
        for service in served:
            servicer = opened.enter_context(service.opened(settings.of(service), database))
            if service.readiness is not None:
                service.readiness(servicer, partial(status.set_service_ready, service.name))
            service.add_to_server(servicer, registrar)
        status.add_to_server(registrar)
        if settings.server.reflection:
            add_reflection([*names, HEALTH], registrar)
        yield Parts(server, status, pools, credentials, telemetry.instance, metrics)


def status_page(settings: Settings, health: Health, errors: LastErrors | None) -> StatusPage | None:
    """The page, with settings and last errors where it shows `errors`; None where it is off."""
    if settings.server.status_page == "none":
        return None

    def state() -> State:
        if health.draining:
            return State("draining")
        return State("ready") if health.ready else State("not ready", health.not_ready)

    details = None if errors is None else Details(settings.shown(), errors.newest)
    return StatusPage(state, details)


def _credentials(
    settings: Settings, registry: CollectorRegistry, opened: ExitStack
) -> Callable[[], grpc.ServerCredentials] | None:
    if settings.tls.tls_cert_file is None or settings.tls.tls_key_file is None:
        return None
    files = (settings.tls.tls_cert_file, settings.tls.tls_key_file, settings.tls.tls_client_ca_file)
    return opened.enter_context(ServerCredentials(*files, registry)).credentials


@contextmanager
def _database(
    settings: Settings, served: Sequence[Service[Any]], telemetry: Telemetry, status: Health
) -> Iterator[Database | None]:
    """The database for the services that have a schema, if it is set; they are ready while it is."""
    stored = [service for service in served if service.schema is not None]
    if not settings.database.given:
        yield None
        return
    if not stored:
        structlog.get_logger().warning("database_unused", reason="no service that is served has a schema")
        yield None
        return
    # Imported only where it is used.
    from app.database.migrations import migrations
    from app.database.observed import ObservedDatabase, show_readiness
    from app.database.opening import open_database
    from app.database.readiness import Readiness

    def set_ready(ready: bool) -> None:
        for service in stored:
            status.set_service_ready(service.name, ready, cause="database")

    with open_database(settings.database) as backend:
        known = [
            one
            for service in stored
            if service.schema is not None
            for one in migrations(service.schema, backend.dialect)
        ]
        with Readiness(backend, known, set_ready, settings.database.database_outage) as readiness:
            show_readiness(telemetry.registry, readiness)
            yield ObservedDatabase(backend, telemetry.registry, telemetry.spans)
