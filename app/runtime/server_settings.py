"""The settings of the server itself."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from app.core.address import Address
from app.core.section import (
    POSITIVE_SECONDS,
    SECONDS,
    Addresses,
    Names,
    PositiveSeconds,
    Seconds,
    Section,
    setting,
)


class ServerSettings(Section):
    """Everything that can be set on the server itself. Durations are in seconds."""

    listen: Addresses = setting(
        "127.0.0.1:50051", "one or more addresses to serve on, by commas", right="HOST:PORT or unix:/PATH"
    )
    metrics_listen: Addresses = setting(
        "127.0.0.1:9464", "the address of `/metrics`, `/healthz` and `/readyz`", right="HOST:PORT"
    )
    services: Names = setting(
        (), "which services to serve, by full names and commas; all when unset", right=""
    )

    workers: Annotated[int, Field(ge=1, le=1000)] = setting(
        32, "threads for unary calls", right="a whole number from 1 to 1000"
    )
    max_calls: Annotated[int, Field(ge=1, le=100_000)] = setting(
        1000,
        "unary calls accepted at once, waiting ones included; past it the answer is RESOURCE_EXHAUSTED",
        right="a whole number from 1 to 100000",
    )
    max_streams: Annotated[int, Field(ge=1, le=10_000)] = setting(
        100,
        "streams open at once, each on a thread of its own; past it the answer is RESOURCE_EXHAUSTED",
        right="a whole number from 1 to 10000",
    )
    max_watches: Annotated[int, Field(ge=1, le=10_000)] = setting(
        1000,
        "health Watches open at once, each on a thread; clients that check health have one a connection",
        right="a whole number from 1 to 10000",
    )
    max_deadline: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = setting(
        300,
        "the longest that a call may take, streams included",
        right="a number of seconds above 0, up to 86400",
    )
    max_connection_age: Seconds | None = setting(
        None,
        "how long a connection is used before clients are asked to open another; off when unset",
        right=SECONDS,
    )
    max_connection_calls: Annotated[int, Field(ge=1, le=100_000)] = setting(
        1000,
        "calls open at once on one connection; past it clients wait, or open another connection",
        right="a whole number from 1 to 100000",
    )
    max_message_bytes: Annotated[int, Field(ge=1024, le=1_000_000_000)] = setting(
        4 * 1024 * 1024,
        "the longest message, either way, uncompressed; past it the answer is RESOURCE_EXHAUSTED",
        right="a whole number of bytes from 1024 to 1000000000",
    )
    max_metadata_bytes: Annotated[int, Field(ge=1024, le=1_048_576)] = setting(
        16 * 1024,
        "the longest metadata of a request, counting 32 bytes more for each key; past it the answer is"
        " RESOURCE_EXHAUSTED",
        right="a whole number of bytes from 1024 to 1048576",
    )
    keepalive_time: PositiveSeconds = setting(
        30, "how long a connection may be silent before the server pings the client", right=POSITIVE_SECONDS
    )
    keepalive_timeout: PositiveSeconds = setting(
        20,
        "how long that ping may go unanswered, or a handshake take, before the connection is closed",
        right=POSITIVE_SECONDS,
    )
    permit_keepalive_time: PositiveSeconds = setting(
        5,
        "how often a client may ping, with a call or without; one that does so more often is cut off",
        right=POSITIVE_SECONDS,
    )

    reflection: bool | None = setting(
        None, "server reflection; on only where every address is loopback", right="true or false"
    )

    drain_delay: Seconds = setting(
        1, "after SIGTERM, how long to go on serving while endpoints and clients catch up", right=SECONDS
    )
    drain_grace: Seconds = setting(20, "after that, how long running calls may take to finish", right=SECONDS)

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "`debug`, `info`, `warning` or `error`", right="debug, info, warning or error"
    )
    log_format: Literal["json", "console"] | None = setting(
        None, "`json` or `console`; `console` on a terminal, `json` elsewhere", right="json or console"
    )

    @field_validator("metrics_listen")
    @classmethod
    def _one_http_address(cls, value: tuple[Address, ...]) -> tuple[Address, ...]:
        if any(address.port is None for address in value):
            raise ValueError("metrics are served over TCP only: write HOST:PORT")
        return value

    @field_validator("reflection")
    @classmethod
    def _on_loopback(cls, value: bool | None, info: ValidationInfo) -> bool:
        return all(address.loopback for address in info.data.get("listen", ())) if value is None else value
