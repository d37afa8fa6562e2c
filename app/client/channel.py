"""Opening a channel to a service."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from opentelemetry.trace import TracerProvider

from app.client.defaults import CallDefaults
from app.client.observed import Observed, Observer
from app.client.options import Keepalive, options
from app.client.service_config import ServiceConfig
from app.client.target import is_loopback

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SERVICE_CONFIG = ServiceConfig()
_KEEPALIVE = Keepalive()


def channel(  # noqa: PLR0913 - all but the first are keywords, and optional
    target: str,
    *,
    token_file: Path | None = None,
    allow_plaintext_token: bool = False,
    timeout: float | None = None,
    services: Sequence[ServiceDescriptor] = (),
    config: ServiceConfig = _SERVICE_CONFIG,
    keepalive: Keepalive | None = _KEEPALIVE,
    tracing: TracerProvider | None = None,
    metrics: "CollectorRegistry | None" = None,
) -> grpc.Channel:
    """A plaintext channel that spreads calls over all addresses of the target.

    For pods behind a headless Service the target is `dns:///quoter-headless:50051`. `timeout`, in seconds,
    is the deadline of calls that set none. The token is read once, and sent with each call: to this
    machine, or elsewhere where `allow_plaintext_token` says so, for anybody on the way can read it.

    `services` are those that will be called, such as `DESCRIPTOR.services_by_name["Quoter"]` of a generated
    module: their methods that are safe to repeat are retried, as `config` says, and no others. `keepalive` is
    what servers of this program permit; for others it may have to be None.

    With `tracing`, each call has a span, which the standard OTEL_… variables describe. With `metrics`, calls
    are counted and timed in that registry, as go-grpc-prometheus does; several channels may share one.

    Raises ValueError where there is no target, where `config` does not fit the services, where the token may
    not be sent, or where its file has no token, and OSError where that cannot be read. Close the channel when
    it is no longer needed.
    """
    found = options(target, services, config, keepalive)
    metadata = []
    if token_file is not None:
        if not (allow_plaintext_token or is_loopback(target)):
            raise ValueError(
                f"the token would go to {target} unencrypted; where the network in between can be trusted,"
                " allow that with allow_plaintext_token"
            )
        metadata.append(("authorization", f"Bearer {read_token(token_file)}"))
    opened = grpc.insecure_channel(target, options=found)
    if observers := _observers(target, tracing, metrics):
        opened = grpc.intercept_channel(opened, Observed(observers))
    if metadata or timeout is not None:
        opened = grpc.intercept_channel(opened, CallDefaults(metadata, timeout))
    return opened


def aio_channel(
    target: str,
    *,
    services: Sequence[ServiceDescriptor] = (),
    config: ServiceConfig = _SERVICE_CONFIG,
    keepalive: Keepalive | None = _KEEPALIVE,
) -> grpc.aio.Channel:
    """The channel for callers on `grpc.aio`: balanced, retried and kept alive as that of `channel()`.

    What `channel()` does by interceptors is for the threaded channel alone: default deadlines, spans, metrics
    and tokens over plaintext. Set `timeout` with each call here. Raises ValueError as `channel()` does.
    """
    return grpc.aio.insecure_channel(target, options=options(target, services, config, keepalive))


def _observers(
    target: str, tracing: TracerProvider | None, metrics: "CollectorRegistry | None"
) -> list[Observer]:
    """From the outermost on: a time's exemplar names the call's own span. Imports only what is used."""
    found: list[Observer] = []
    if tracing is not None:
        from app.client.tracing import Tracing  # noqa: PLC0415 - reads OTEL_PROPAGATORS, and may raise
        from app.core.semconv import Conventions  # noqa: PLC0415

        found.append(Tracing(tracing, target, Conventions.from_environment(os.environ)))
    if metrics is not None:
        from app.client.metrics import metrics_in  # noqa: PLC0415

        found.append(metrics_in(metrics))
    return found


def read_token(path: Path) -> str:
    """The token in a file of its own. Raises ValueError where it has none, or more than a token."""
    token = path.read_bytes().decode("ascii", "replace").strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError(f"{path}: expected one token and nothing else")
    return token
