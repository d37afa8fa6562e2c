"""Opening a channel to a service."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from opentelemetry.trace import TracerProvider

from app.client.defaults import CallDefaults
from app.client.files import Files
from app.client.observer import Observer, ObserverInterceptor
from app.client.options import Keepalive, Options, options
from app.client.reloading_channel import ReloadingChannel
from app.client.service_config import ServiceConfig
from app.client.tls import Tls
from app.client.token import Token, check_plaintext, local_credentials, with_token

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SERVICE_CONFIG = ServiceConfig()
_KEEPALIVE = Keepalive()


def channel(  # noqa: PLR0913 - all but the first are keywords, and optional
    target: str,
    *,
    tls: Tls | None = None,
    token_file: Path | None = None,
    allow_plaintext_token: bool = False,
    timeout: float | None = None,
    services: Sequence[ServiceDescriptor] = (),
    config: ServiceConfig = _SERVICE_CONFIG,
    keepalive: Keepalive | None = _KEEPALIVE,
    tracing: TracerProvider | None = None,
    metrics: "CollectorRegistry | None" = None,
) -> grpc.Channel:
    """A channel that spreads calls over all addresses of the target; a plaintext one, unless there is `tls`.

    For pods behind a headless Service the target is `dns:///quoter-headless:50051`. `timeout`, in seconds,
    is the deadline of calls that set none. A call that is made while another is being served ends with that
    one at the latest, and has its request id.

    The token is sent with each call: over TLS, to this machine, or elsewhere where `allow_plaintext_token`
    says so, for anybody on the way can read it. The files of token and `tls` are looked at as calls are made,
    once a second at most, and what is new and good counts from then on. Calls that go on are left alone.

    `services` are those that will be called, such as `DESCRIPTOR.services_by_name["Quoter"]` of a generated
    module: their methods that are safe to repeat are retried, as `config` says, and no others. `keepalive` is
    what servers of this program permit; for others it may have to be None.

    With `tracing`, each call has a span, which the standard OTEL_… variables describe. With `metrics`, calls
    are counted and timed in that registry, as go-grpc-prometheus does; several channels may share one.

    Raises ValueError where there is no target, where `config` does not fit the services, where the token may
    not be sent, or where a file has not what it should, and OSError where one cannot be read. Close the
    channel when it is no longer needed.
    """
    found = options(target, services, config, keepalive)
    if token_file is not None and tls is None:
        check_plaintext(target, allowed=allow_plaintext_token)
    token = None if token_file is None else Token(token_file)
    defaults = CallDefaults(timeout) if token is None or tls else CallDefaults(timeout, token.metadata)
    opened = _opened(target, found, tls, token)
    if observers := _observers(target, tracing, metrics):
        opened = grpc.intercept_channel(opened, ObserverInterceptor(observers))
    return grpc.intercept_channel(opened, defaults)


def aio_channel(  # noqa: PLR0913 - as above
    target: str,
    *,
    tls: Tls | None = None,
    token_file: Path | None = None,
    services: Sequence[ServiceDescriptor] = (),
    config: ServiceConfig = _SERVICE_CONFIG,
    keepalive: Keepalive | None = _KEEPALIVE,
) -> grpc.aio.Channel:
    """The channel for callers on `grpc.aio`: balanced, retried and kept alive as that of `channel()`.

    What `channel()` does by interceptors is for the threaded channel alone: default deadlines, what is handed
    down from the call being served, spans, and metrics. Set `timeout` with each call here. A new token counts
    here too; for renewed certificates, open a new channel. Raises as `channel()` does, and ValueError for a
    token that would leave this machine without TLS: send that as metadata of each call.
    """
    found = options(target, services, config, keepalive)
    token = None if token_file is None else Token(token_file)
    if tls is not None:
        found += tls.options(target)
        credentials = tls.credentials().value
    elif token is not None:
        credentials = local_credentials(target)
    else:
        return grpc.aio.insecure_channel(target, options=found)
    return grpc.aio.secure_channel(target, with_token(credentials, token), options=found)


def _opened(target: str, found: Options, tls: Tls | None, token: Token | None) -> grpc.Channel:
    """The channel beneath the interceptors."""
    if tls is None:
        nothing = Files((), lambda: None)
        return ReloadingChannel(nothing, lambda _: grpc.insecure_channel(target, options=found))
    found = [*found, *tls.options(target)]

    def open_channel(credentials: grpc.ChannelCredentials) -> grpc.Channel:
        return grpc.secure_channel(target, with_token(credentials, token), options=found)

    return ReloadingChannel(tls.credentials(), open_channel)


def _observers(
    target: str, tracing: TracerProvider | None, metrics: "CollectorRegistry | None"
) -> list[Observer]:
    """From the outermost on: a time's exemplar names the call's own span. Imports only what is used."""
    found: list[Observer] = []
    if tracing is not None:
        from app.client.tracing import ClientTracing  # noqa: PLC0415 - reads OTEL_PROPAGATORS, and may raise
        from app.telemetry.conventions import Conventions  # noqa: PLC0415

        found.append(ClientTracing(tracing, target, Conventions.from_environment(os.environ)))
    if metrics is not None:
        from app.client.metrics import metrics_in  # noqa: PLC0415

        found.append(metrics_in(metrics))
    return found
