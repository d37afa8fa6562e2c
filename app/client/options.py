"""The options of a channel (grpc: channel arguments): keepalive, name resolution, service config."""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.descriptor import ServiceDescriptor

from app.client.service_config import ServiceConfig
from app.client.target import is_loopback
from app.client.validated_config import ValidatedConfig

Options = list[tuple[str, str | int]]

# The largest message in bytes: protobuf has no larger ones.
LARGEST = 2**31 - 1


@dataclass(frozen=True, kw_only=True)
class Keepalive(ValidatedConfig):
    """HTTP/2 pings on a connection that has been idle for `time` seconds, with or without calls.

    If the server does not answer within `timeout` seconds, its connection is closed: its calls fail as
    UNAVAILABLE, and new ones go to other backends. Without pings it takes many minutes to notice that a host
    has disappeared.

    A server of this project permits a ping every 5 s (APP_PERMIT_KEEPALIVE_TIME). By default, Go, Java and
    C++ servers permit one in 5 minutes, and none without calls, and close the connections of clients that
    send more: use keepalive=None for them.
    """

    time: float = 30.0
    timeout: float = 20.0

    def __post_init__(self) -> None:
        self._check_seconds("time", 10, "servers disconnect clients that ping more often")
        self._check_seconds("timeout")


def options(
    target: str,
    services: Sequence[ServiceDescriptor],
    config: ServiceConfig,
    keepalive: Keepalive | None,
    *,
    proxy: bool = True,
) -> Options:
    """Returns the options of a channel; grpc/impl/channel_arg_names.h of grpc describes them.

    Raises ValueError if the target is empty, or `config` names a method that its service does not have.
    """
    if not target:
        raise ValueError("the target is empty; expected HOST:PORT")
    found: Options = [
        ("grpc.service_config", config.as_json(services)),
        # grpc resolves the name again when a connection ends, but at most every 30 s by default. That is
        # longer than a server's connections live, and would delay the first calls to new backends.
        ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ]
    if keepalive is not None:
        timeout = round(keepalive.timeout * 1000)
        found += [
            ("grpc.keepalive_time_ms", round(keepalive.time * 1000)),
            # The first limit is the kernel's (TCP_USER_TIMEOUT), the second grpc's own, by default a minute.
            ("grpc.keepalive_timeout_ms", timeout),
            ("grpc.http2.ping_timeout_ms", timeout),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),  # by default two, and then one a minute
        ]
    if not proxy or is_loopback(target):
        found.append(("grpc.enable_http_proxy", 0))  # by default grpc uses http_proxy even for loopback
    return found


def size_options(*, max_receive_bytes: int | None, max_send_bytes: int | None) -> Options:
    """Returns the options for the sizes of messages. Raises ValueError for a size that gRPC cannot use."""
    found: Options = []
    for direction, most in (("receive", max_receive_bytes), ("send", max_send_bytes)):
        if most is not None:
            if type(most) is not int or not 1 <= most <= LARGEST:
                raise ValueError(
                    f"invalid value {most!r} for max_{direction}_bytes:"
                    f" expected an integer of bytes from 1 to {LARGEST}"
                )
            found.append((f"grpc.max_{direction}_message_length", most))
    return found
