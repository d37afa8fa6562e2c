"""The composition root: settings → parts → chain → services → run."""

import gc
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from threading import Event

import grpc
import prometheus_client
import structlog
from grpc_health.v1 import health
from grpc_reflection.v1alpha import reflection
from opentelemetry.sdk.trace import TracerProvider
from prometheus_client import CollectorRegistry

from app.auth.caller import Verify
from app.auth.tokens import parse_tokens, verify_with
from app.core.address import Address
from app.core.errors import StartError
from app.core.method import UNKNOWN, Arity, Method
from app.core.name import NAME
from app.core.service import Service
from app.interceptors.access_log import AccessLog
from app.interceptors.auth import Auth
from app.interceptors.chain import Chain
from app.interceptors.concern import Concern
from app.interceptors.deadline import Deadline
from app.interceptors.errors import Errors
from app.interceptors.instance import Instance
from app.interceptors.limit import ConcurrencyLimit, Limit
from app.interceptors.metrics import Metrics
from app.interceptors.peer_identity import PeerIdentity
from app.interceptors.request_id import RequestId
from app.interceptors.tracing import Tracing
from app.interceptors.validation import Validation
from app.reload.file import WatchedFile
from app.reload.url import WatchedUrl
from app.runtime.drain import drain
from app.runtime.health import Health
from app.runtime.metrics_port import metrics_port
from app.runtime.pools import MAX_REFLECTIONS, Pools, open_pools
from app.runtime.ports import bind
from app.runtime.scheduling import run_in_batches
from app.runtime.signals import Signals
from app.runtime.transport import options
from app.services import SERVICES
from app.settings import Settings
from app.telemetry.build_info import build_info
from app.telemetry.conventions import Conventions
from app.telemetry.instance_id import instance_of
from app.telemetry.logs import logs, writer
from app.telemetry.propagation import extractor
from app.telemetry.tracer_provider import tracer_provider
from app.tls.server_credentials import ServerCredentials

# Exact names. Probes and tools have no token, and must be answered when nobody else is.
HEALTH = health.SERVICE_NAME
PROBES = frozenset({HEALTH})
EXEMPT = frozenset({HEALTH, reflection.SERVICE_NAME})


def concerns(  # noqa: PLR0913 - the parts that the list is made of
    settings: Settings,
    services: Sequence[Service],
    registry: CollectorRegistry,
    spans: TracerProvider,
    *,
    verify: Verify | None,
    instance: str,
) -> list[Concern]:
    """The chain, from the outermost concern to the handler.

    What observes stands outside what refuses, so that a refused call is traced, counted and logged with the
    code that its client saw.
    """
    mutual_tls = settings.tls == "mutual"
    auth: list[Concern] = []
    if verify is not None:
        auth = [Auth(verify, EXEMPT, settings.auth_require or {})]
    elif mutual_tls:
        auth = [PeerIdentity()]
    return [
        RequestId(),  # first: everything after it may name the call
        Instance(instance),  # costs next to nothing, and says who refuses as well as who answers
        Tracing(  # the log line has its trace id
            spans, PROBES, Conventions.from_environment(os.environ), extractor(os.environ)
        ),
        Metrics(registry),
        AccessLog(writer("info", "call"), writer("debug", "call"), quiet=PROBES, mutual_tls=mutual_tls),
        Errors(),  # from here on, what is raised becomes a code that the three above see
        Limit(limit_of(settings)),  # on acceptance, before the call waits for a worker or costs more
        *auth,  # on a worker: it takes time, and who is refused by the limit need not be known
        Deadline(settings.max_deadline, exempt=PROBES),  # after what waits or costs: is there time left?
        Validation({message: rule for service in services for message, rule in service.rules.items()}),
    ]


def limit_of(settings: Settings) -> Callable[[Method], ConcurrencyLimit | None]:
    """Calls, streams, health Watches and reflection have a bound each; health checks and UNKNOWN none."""
    calls = ConcurrencyLimit(settings.max_calls, "calls")
    streams = ConcurrencyLimit(settings.max_streams, "streams")
    watches = ConcurrencyLimit(settings.max_watches, "health watches")
    reflections = ConcurrencyLimit(MAX_REFLECTIONS, "reflection streams")

    def choose(method: Method) -> ConcurrencyLimit | None:
        if method.service == HEALTH and method.arity is not Arity.UNARY:
            return watches
        if method.service == HEALTH or method is UNKNOWN:
            return None
        if method.service in EXEMPT:
            return reflections
        return calls if method.arity is Arity.UNARY else streams

    return choose


def pool_of(pools: Pools) -> Callable[[Method], ThreadPoolExecutor | None]:
    """Every kind of call has its own threads; unary ones have the server's."""

    def choose(method: Method) -> ThreadPoolExecutor | None:
        if method.service == HEALTH:
            return pools.health if method.arity is Arity.UNARY else pools.watches
        if method.service in EXEMPT:
            return pools.reflection
        return None if method.arity is Arity.UNARY else pools.streams

    return choose


@dataclass
class Serving:
    """A server that answers calls. `addresses` and `metrics` have their real ports."""

    instance: str  # its `service.instance.id`
    addresses: tuple[Address, ...]
    metrics: tuple[Address, ...]
    drain_delay: float  # seconds; may be changed until the drain begins
    clean: bool = True  # after the drain: whether every thread has ended


@contextmanager
def serving(
    settings: Settings,
    services: Sequence[Service] = SERVICES,
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    spans: TracerProvider | None = None,
) -> Iterator[Serving]:
    """Serves from when it is entered, and drains on exit. Raises StartError.

    `interceptors` are further ones, of other people: they run inside the chain, after its gates. `spans`
    takes the place of the provider that the OTEL_… variables describe.
    What is opened last is closed first: the metrics port outlives everything.
    """
    services = [service for service in services if service.name in settings.services]
    ready = Event()
    with ExitStack() as parts:
        registry = process_registry()
        metrics = parts.enter_context(metrics_port(settings.metrics_listen, registry, ready=ready.is_set))
        spans = spans or parts.enter_context(tracer_provider(NAME))
        verify = verifier(settings, parts)
        tls = None
        if settings.tls_cert_file is not None and settings.tls_key_file is not None:
            files = (settings.tls_cert_file, settings.tls_key_file, settings.tls_client_ca_file)
            tls = parts.enter_context(ServerCredentials(*files, registry))

        pools = open_pools(settings.workers, settings.max_streams, settings.max_watches)
        instance = instance_of(spans.resource)
        chained = concerns(settings, services, registry, spans, verify=verify, instance=instance)
        for concern in chained:
            if isinstance(concern, AbstractContextManager):
                parts.enter_context(concern)
        chain = Chain(
            chained,
            refusals=pools.refusals,
            pool_of=pool_of(pools),
            max_message_bytes=settings.max_message_bytes,
            max_metadata_bytes=settings.max_metadata_bytes,
            followed=bool(interceptors),
        )
        server = grpc.server(pools.workers, interceptors=[chain, *interceptors], options=options(settings))
        registering = chain.registering(server)

        for service in services:
            service.add_to_server(parts.enter_context(service.open(settings)), registering)
        status = Health([service.name for service in services])
        status.add_to_server(registering)
        if settings.reflection:
            names = [service.name for service in services]
            reflection.enable_server_reflection([*names, HEALTH, reflection.SERVICE_NAME], registering)

        def set_ready(is_ready: bool) -> None:
            status.set_ready(ready=is_ready)
            (ready.set if is_ready else ready.clear)()

        addresses = bind(server, settings.listen, tls.credentials if tls is not None else None)
        handle = Serving(instance, addresses, metrics, settings.drain_delay)
        server.start()
        set_ready(True)
        try:
            yield handle
        finally:
            drain(
                server,
                delay=handle.drain_delay,
                grace=settings.drain_grace,
                leave=lambda: set_ready(False),
                end_watches=status.end_watches,
            )
            handle.clean = pools.close()
            structlog.get_logger().info("drain_threads_ended", all_ended=handle.clean)


def verifier(settings: Settings, parts: ExitStack) -> Verify | None:
    """What tells whose a token is; None where no call needs one. Raises StartError.

    Files and keys are kept up to date until `parts` is closed.
    """
    if settings.auth_mode == "none":
        return None
    if settings.auth_tokens_file is not None:
        tokens = parts.enter_context(WatchedFile(settings.auth_tokens_file, parse_tokens))
        return verify_with(lambda: tokens.value)

    # Imported only where they are used: it takes a tenth of the time that the server takes to start.
    from app.auth.claims import Expected  # noqa: PLC0415
    from app.auth.jwt import Jwt  # noqa: PLC0415
    from app.auth.jwt_keys import Keys, parse_jwks, parse_keys  # noqa: PLC0415

    def read(parse: Callable[[bytes, tuple[str, ...]], Keys]) -> Callable[[bytes], Keys]:
        def logged(content: bytes) -> Keys:
            keys = parse(content, settings.jwt_algorithms)
            structlog.get_logger().info("jwt_keys", usable=keys.names, passed_over=keys.passed_over)
            return keys

        return logged

    expected = Expected(settings.jwt_issuer, settings.jwt_audience, settings.jwt_leeway)
    if settings.jwt_keys_file is not None:
        file = parts.enter_context(WatchedFile(settings.jwt_keys_file, read(parse_keys)))
        return Jwt(lambda: file.value, expected)
    try:
        url = parts.enter_context(WatchedUrl(settings.jwt_jwks_url, read(parse_jwks)))
    except StartError as error:
        raise StartError(f"APP_JWT_JWKS_URL: {error}") from error
    return Jwt(lambda: url.value, expected, missing=url.ask)


def process_registry() -> CollectorRegistry:
    """A registry of this server's own, with the metrics of its process and its build."""
    # Go has no _created series, and they would double what is scraped.
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    prometheus_client.ProcessCollector(registry=registry)
    prometheus_client.PlatformCollector(registry=registry)
    prometheus_client.GCCollector(registry=registry)
    build_info(NAME, registry)
    return registry


def run(settings: Settings, signals: Signals, services: Sequence[Service] = SERVICES) -> None:
    """Serves until SIGTERM or Ctrl-C, drains, and returns. Raises StartError."""
    began = time.perf_counter()
    run_in_batches()
    with logs(settings.log_level, settings.log_format):
        log = structlog.get_logger()
        with serving(settings, services) as server:
            # What has been made so far lives as long as the process: the collector need not look at it.
            gc.collect()
            gc.freeze()
            log.info(
                "serving",
                instance=server.instance,
                addresses=[str(address) for address in server.addresses],
                metrics=[f"http://{address}/metrics" for address in server.metrics],
                services=list(settings.services),
                auth=settings.auth_mode,
                tls=settings.tls,
                started_in_seconds=round(time.perf_counter() - began, 3),
            )
            received = signals.wait()
            log.info("signal_received", signal=received.name)
            if received is signal.SIGINT:
                server.drain_delay = 0
        log.info("stopped")
    if not server.clean:
        # A handler whose client has gone is still in a blocking call; Python would wait for it on exit.
        os._exit(0)
