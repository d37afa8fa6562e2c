"""What a channel tells grpc of its connections: where addresses come from, pings, and the service config."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor

from app.client.service_config import ServiceConfig
from app.client.target import is_loopback
from app.client.validated_config import ValidatedConfig

Options = list[tuple[str, str | int]]


@dataclass(frozen=True, kw_only=True)
class Keepalive(ValidatedConfig):
    """Pings on a connection that has been silent for `time` seconds, with a call on it or without.

    A server that does not answer within `timeout` seconds is gone: its calls fail as UNAVAILABLE, and the
    next ones go elsewhere. Without pings that takes many minutes where its host vanishes without a word.

    A server of this program permits a ping every 5 s (APP_PERMIT_KEEPALIVE_TIME). Go's, Java's and C++'s as
    they come permit one in 5 minutes, and none without a call, and cut off who sends more: they get none.
    """

    time: float = 30.0
    timeout: float = 20.0

    def __post_init__(self) -> None:
        self._seconds("time", 10, "servers cut off clients that ping more often")
        self._seconds("timeout")


def options(
    target: str, services: Sequence[ServiceDescriptor], config: ServiceConfig, keepalive: Keepalive | None
) -> Options:
    """The channel's arguments: grpc/impl/channel_arg_names.h of grpc has them all.

    Raises ValueError where there is no target, or `config` does not fit the services.
    """
    if not target:
        raise ValueError("the target is empty; name a server as HOST:PORT")
    found: Options = [
        ("grpc.service_config", config.as_json(services)),
        # Addresses are looked up again when a connection ends. grpc's own minimum between two look-ups, 30 s,
        # is longer than a server's connections live: new backends would wait for it. A second is shorter.
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ]
    if keepalive is not None:
        timeout = round(keepalive.timeout * 1000)
        found += [
            ("grpc.keepalive_time_ms", round(keepalive.time * 1000)),
            # As for the server: what the kernel waits for, and what grpc does, which would be a minute.
            ("grpc.keepalive_timeout_ms", timeout),
            ("grpc.http2.ping_timeout_ms", timeout),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),  # grpc would send two, and then one a minute
        ]
    if is_loopback(target):
        found.append(("grpc.enable_http_proxy", 0))  # grpc would ask http_proxy even for this machine
    return found
