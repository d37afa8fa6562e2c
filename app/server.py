"""The life of the server: start → serve → drain."""

import gc
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from opentelemetry.trace import TracerProvider

from app.core.address import Address
from app.core.service import Service
from app.runtime.drain import drain
from app.runtime.memory import check_memory, memory_limit
from app.runtime.ports import bind
from app.runtime.scheduling import run_in_batches
from app.runtime.server_settings import ServerSettings
from app.runtime.signals import Signals
from app.services import SERVICES
from app.settings import Settings
from app.telemetry.logs import logs
from app.telemetry.logs.cloud_logging import cloud_logging_renderer
from app.telemetry.logs.process import process_logged
from app.telemetry.logs.rendering import Render, json_renderer
from app.telemetry.otel_variables import Ignored
from app.telemetry.tracer_provider import log_ignored
from app.wiring import Parts, open_parts

# The exit status after a drain that cancelled calls, or left a handler behind.
CUT = 3


def run(
    settings: Settings,
    signals: Signals,
    services: Sequence[Service[Any]] = SERVICES,
    ignored: Sequence[Ignored] = (),
) -> int:
    """Serves until SIGTERM or Ctrl-C, drains, and returns the exit status. Raises StartError.

    `ignored` are OTEL_… variables to warn of.
    """
    began = time.perf_counter()
    run_in_batches()
    level = settings.server.log_level
    with (
        logs(
            level,
            settings.server.log_format,
            most_waiting=settings.server.log_max_waiting,
            json=_json_renderer(settings.server),
        ) as lines,
        process_logged(lines, level, settings.server.log_max_stderr),
    ):
        log = structlog.get_logger()
        if settings.unknown_variables:
            log.warning("unknown_variables", variables=list(settings.unknown_variables))
        log_ignored(ignored)

        check_memory(settings.server, memory_limit())
        # Start: the server answers calls from here on.
        with serving(settings, services) as server:
            # Objects created so far are permanent: exclude them from garbage collection.
            gc.collect()
            gc.freeze()
            log.info(
                "serving",
                instance=server.instance,
                addresses=[str(address) for address in server.addresses],
                metrics=[f"http://{address}/metrics" for address in server.metrics],
                services=list(settings.server.services),
                auth=settings.auth.auth_mode,
                tls=settings.tls.mode,
                started_in_seconds=round(time.perf_counter() - began, 3),
            )

            # Serve: until SIGTERM or Ctrl-C, which skips the delay of the drain.
            received = signals.wait()
            log.info("signal_received", signal=received.name)
            if received is signal.SIGINT:
                server.drain_delay = 0

        # Drain: see `_drain`, which `serving` runs on exit.
        log.info("stopped")
    if not server.clean:
        # A handler whose client has gone is still in a blocking call; Python would wait for it on exit.
        os._exit(CUT)
    return 0 if server.finished else CUT


def _json_renderer(settings: ServerSettings) -> Render:
    return cloud_logging_renderer(settings.log_gcp_project) if settings.log_fields == "gcp" else json_renderer


@dataclass
class RunningServer:
    """A server that answers calls. `addresses` and `metrics` have their real ports."""

    instance: str  # its `service.instance.id`
    addresses: tuple[Address, ...]
    metrics: tuple[Address, ...]
    drain_delay: float  # seconds; may be changed until the drain begins
    finished: bool = True  # after the drain: whether no call had to be cancelled
    clean: bool = True  # after the drain: whether every thread has ended


@contextmanager
def serving(
    settings: Settings,
    services: Sequence[Service[Any]] = SERVICES,
    interceptors: Sequence[grpc.ServerInterceptor] = (),
    spans: TracerProvider | None = None,
) -> Iterator[RunningServer]:
    """Starts a server on entry, and drains it on exit. Raises StartError.

    `interceptors` are third-party ones: they run inside the chain, after its gates. `spans` replaces the
    provider that the OTEL_… variables describe.
    """
    with open_parts(settings, services, interceptors, spans) as parts:
        server = _start(settings, parts)
        try:
            yield server
        finally:
            _drain(settings, parts, server)


def _start(settings: Settings, parts: Parts) -> RunningServer:
    addresses = bind(parts.server, settings.server.listen, parts.credentials)
    parts.server.start()
    parts.health.set_ready(ready=True)
    return RunningServer(parts.instance, addresses, parts.metrics, settings.server.drain_delay)


def _drain(settings: Settings, parts: Parts, server: RunningServer) -> None:
    """Ends calls, then threads. The parts are closed next: services, spans, and the metrics port last."""
    server.finished = drain(
        parts.server, parts.health, delay=server.drain_delay, grace=settings.server.drain_grace
    )
    server.clean = parts.pools.close()
    structlog.get_logger().info("drain_threads_ended", all_ended=server.clean)
