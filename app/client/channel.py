"""Opening a channel to a service."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from opentelemetry.trace import TracerProvider, get_tracer_provider

from app.client.instrumentation import is_instrumented, open_beneath
from app.client.observer import Observer, ObserverInterceptor
from app.client.options import Keepalive, Options, options, size_options
from app.client.propagation import CallDefaults
from app.client.reloading import ReloadingChannel, ReloadingFiles
from app.client.service_config import ServiceConfig
from app.client.tls import Tls
from app.client.token import FileToken, check_plaintext, local_credentials, with_token

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SERVICE_CONFIG = ServiceConfig()
_KEEPALIVE = Keepalive()


def channel(
    target: str,
    *,
    tls: Tls | None = None,
    token_file: Path | None = None,
    allow_plaintext_token: bool = False,
    timeout: float | None = None,
    services: Sequence[ServiceDescriptor] = (),
    config: ServiceConfig = _SERVICE_CONFIG,
    keepalive: Keepalive | None = _KEEPALIVE,
    proxy: bool = True,
    max_receive_bytes: int | None = None,
    max_send_bytes: int | None = None,
    tracing: TracerProvider | None = None,
    metrics: "CollectorRegistry | None" = None,
) -> grpc.Channel:
    """Opens a channel that balances calls over all addresses of the target, in plaintext unless `tls` is set.

    For pods behind a headless Service the target is `dns:///server-headless:50051`. `timeout`, in seconds, is
    the deadline of calls without one. A call that a handler makes inherits the deadline, the request id and
    the cancellation of the call being served.

    The token is sent with each call over TLS, or in plaintext to this machine. In plaintext to another
    machine it would be readable by anyone on the network path; `allow_plaintext_token` permits that. The
    files of the token and `tls` are checked when calls are made, at most once a second. New calls use the
    new contents if they are valid; running calls are not affected.

    `services` are the services to call, such as `DESCRIPTOR.services_by_name["InventoryService"]` of a
    generated module. Their methods that are safe to repeat are retried as `config` says (see `retries.py`);
    no other calls are. The default `keepalive` is for servers of this project; other servers may need None.
    Without `proxy`, the channel connects directly, even if the environment names a proxy (http_proxy, …).
    A message above `max_receive_bytes` or `max_send_bytes` ends its call with RESOURCE_EXHAUSTED; by default,
    gRPC receives 4 MiB and sends any size.

    With `tracing`, each call has a span; the standard OTEL_… variables apply. Where OpenTelemetry's
    instrumentation has patched grpc's channels, calls have spans without it, too. With `metrics`, calls are
    counted and measured in that registry, as by go-grpc-prometheus; several channels may share a registry.

    Raises ValueError if the target is empty, `config` names unknown methods, the token must not be sent, or
    a file is invalid, and OSError if a file cannot be read. Close the channel when it is no longer needed.
    """
    found = options(target, services, config, keepalive, proxy=proxy)
    found += size_options(max_receive_bytes=max_receive_bytes, max_send_bytes=max_send_bytes)
    if token_file is not None and tls is None:
        check_plaintext(target, allowed=allow_plaintext_token)
    token = None if token_file is None else FileToken(token_file)
    defaults = CallDefaults(timeout) if token is None or tls else CallDefaults(timeout, token.metadata)
    opened = _opened(target, found, tls, token)
    if tracing is None and is_instrumented(grpc.insecure_channel):
        tracing = get_tracer_provider()
    if observers := _observers(target, tracing, metrics):
        opened = grpc.intercept_channel(opened, ObserverInterceptor(observers))
    return grpc.intercept_channel(opened, defaults)


def aio_channel(
    target: str,
    *,
    tls: Tls | None = None,
    token_file: Path | None = None,
    services: Sequence[ServiceDescriptor] = (),
    config: ServiceConfig = _SERVICE_CONFIG,
    keepalive: Keepalive | None = _KEEPALIVE,
    proxy: bool = True,
    max_receive_bytes: int | None = None,
    max_send_bytes: int | None = None,
    tracing: TracerProvider | None = None,
) -> grpc.aio.Channel:
    """Opens a channel for `grpc.aio`, with the balancing, retries and keepalive of `channel()`.

    With `tracing`, each call has a span of opentelemetry-instrumentation-grpc; where that has patched grpc's
    channels, calls have its spans without `tracing`, by the global provider.

    It has no default deadline, no propagation from the call being served and no metrics: those are
    interceptors of the threaded channel. Set `timeout` with each call. New tokens are used here too; to use
    new certificates, open a new channel. Raises the errors of `channel()`, and ValueError for a token
    that would be sent to another machine without TLS: send such a token as metadata of each call.
    """
    found = options(target, services, config, keepalive, proxy=proxy)
    found += size_options(max_receive_bytes=max_receive_bytes, max_send_bytes=max_send_bytes)
    token = None if token_file is None else FileToken(token_file)
    if tls is not None:
        found += tls.options(target)
        credentials = tls.credentials().value
    elif token is not None:
        credentials = local_credentials(target)
    else:
        return grpc.aio.insecure_channel(target, options=found, interceptors=_aio_interceptors(tracing))
    return grpc.aio.secure_channel(
        target, with_token(credentials, token), options=found, interceptors=_aio_interceptors(tracing)
    )


def _aio_interceptors(tracing: TracerProvider | None) -> list[grpc.aio.ClientInterceptor]:
    """None where the package has patched the channel: it adds its own, and a call has one span."""
    if tracing is None or is_instrumented(grpc.aio.insecure_channel):
        return []
    # Reads OTEL_PROPAGATORS, and takes time.
    from app.client.aio_tracing import tracing_interceptors

    return tracing_interceptors(tracing)


def _opened(target: str, found: Options, tls: Tls | None, token: FileToken | None) -> grpc.Channel:
    """Opens the channel beneath the interceptors."""
    if tls is None:
        nothing = ReloadingFiles((), lambda: None)
        return ReloadingChannel(nothing, lambda _: open_beneath(grpc.insecure_channel, target, options=found))
    found = [*found, *tls.options(target)]

    def open_channel(credentials: grpc.ChannelCredentials) -> grpc.Channel:
        return open_beneath(grpc.secure_channel, target, with_token(credentials, token), options=found)

    return ReloadingChannel(tls.credentials(), open_channel)


def _observers(
    target: str, tracing: TracerProvider | None, metrics: "CollectorRegistry | None"
) -> list[Observer]:
    """Returns the outermost first, so that the exemplar of a duration is the call's own span."""
    found: list[Observer] = []
    if tracing is not None:
        # Reads OTEL_PROPAGATORS, and may raise.
        from app.client.tracing import ClientTracing
        from app.telemetry.conventions import Conventions

        found.append(ClientTracing(tracing, target, Conventions.from_environment(os.environ)))
    if metrics is not None:
        from app.client.metrics import metrics_in

        found.append(metrics_in(metrics))
    return found
