"""The settings of the server itself."""

import re
from typing import Annotated, Literal

from annotated_types import Interval, Unit

from app.core.address import parse_addresses
from app.core.section import Addresses, Names, Parser, PositiveSeconds, Seconds, Section, check, setting

# https://cloud.google.com/resource-manager/docs/creating-managing-projects; older ones begin with a domain.
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]")


def _project(text: str) -> str:
    if not _PROJECT.fullmatch(text):
        raise ValueError("expected the id of a project: 6 to 30 lower case letters, digits and hyphens")
    return text


class ServerSettings(Section):
    """The settings of the server itself. Durations are in seconds."""

    listen: Addresses = setting(parse_addresses("127.0.0.1:50051"), "the addresses to serve on", shown=True)
    metrics_listen: Addresses = setting(
        parse_addresses("127.0.0.1:9464"),
        "the address of `/metrics`, `/healthz`, `/readyz` and the status page",
        shown=True,
    )
    max_metrics_connections: Annotated[int, Interval(ge=8, le=10_000)] = setting(
        128,
        "open connections of the metrics port; beyond it, the oldest is closed",
    )
    metrics_timeout: PositiveSeconds = setting(
        5, "how long a connection of the metrics port may be open, until its response has been read"
    )
    status_page: Literal["full", "no-details", "none"] | None = setting(
        None,
        "the status page at `/` of the metrics port, which needs no token: `full`, `no-details` (without"
        " settings and last errors) or `none`; when unset, `full` if every address of the metrics port is"
        " loopback, and `none` otherwise",
    )
    services: Names = setting((), "the services to serve, by their full names; all when unset", shown=True)

    # `make overload` measures this default and the next. More workers mean more threads and memory; they help
    # only handlers that wait for something else than this server's CPU ("Overload" in docs/performance.md).
    workers: Annotated[int, Interval(ge=1, le=1000)] = setting(32, "threads for unary calls")
    # More calls admit greater bursts of short calls, and each holds its message while it waits; for calls of
    # some length, max_queue_time is reached first.
    max_calls: Annotated[int, Interval(ge=1, le=100_000)] = setting(
        1000,
        "concurrent unary calls whose message has arrived, queued ones included; exceeding it returns"
        " RESOURCE_EXHAUSTED",
    )
    # `make overload` measures the default with calls of 100 ms: goodput stays at its peak, and accepted calls
    # take less than twice as long as usual. With a longer queue, all calls of an overloaded server wait
    # longer; with a shorter one, more of a burst is rejected.
    max_queue_time: Annotated[float, Interval(ge=0.001, le=60), Unit("seconds")] = setting(
        0.05,
        "how long a unary call may be expected to wait for a worker, by what calls have taken lately; when it"
        " would be longer, the call returns RESOURCE_EXHAUSTED; docs/performance.md has the trade-off",
    )
    max_streams: Annotated[int, Interval(ge=1, le=10_000)] = setting(
        100, "concurrent streams, each on its own thread; exceeding it returns RESOURCE_EXHAUSTED"
    )
    max_watches: Annotated[int, Interval(ge=1, le=10_000)] = setting(
        1000,
        "concurrent health Watches, each on its own thread; health-checking clients open one per connection",
    )
    max_checks: Annotated[int, Interval(ge=1, le=10_000)] = setting(
        256, "concurrent health checks, those whose reply is not sent included; see `APP_MAX_CALLS`"
    )
    share_by: Literal["principal", "address", "none"] = setting(
        "principal",
        "whose share of calls, streams and Watches is counted: `principal` (the caller where calls need a"
        " token, otherwise as `address`), `address` (the client's IP address) or `none`",
    )
    share_reserve: Annotated[float, Interval(ge=0, le=1)] = setting(
        0.25,
        "places beyond each limit, as a part of it, for clients with less than their share of the places",
    )
    stream_idle_time: PositiveSeconds = setting(
        120,
        "how long the handler of a stream may wait for its client, without a message; then the stream is"
        " cancelled",
    )
    reply_timeout: PositiveSeconds = setting(
        30,
        "how long a client may take to receive the reply of a call that is over; then it is cancelled",
    )
    max_deadline: Annotated[float, Interval(gt=0, le=86_400), Unit("seconds")] = setting(
        300, "the longest duration of a call, streams included"
    )
    first_message_timeout: PositiveSeconds = setting(
        5,
        "how long a call that takes one request message may wait for it; exceeding it returns"
        " DEADLINE_EXCEEDED",
    )
    max_waiting_calls: Annotated[int, Interval(ge=1, le=100_000)] = setting(
        64,
        "calls waiting for their first message, without a thread; beyond it, the oldest returns"
        " DEADLINE_EXCEEDED",
    )
    max_connection_age: Seconds | None = setting(
        None, "the age at which a client is asked to open a new connection; unlimited when unset"
    )
    max_connection_idle: PositiveSeconds = setting(
        300, "how long a connection may have no calls before it is closed; clients open another one to call"
    )
    max_connections: Annotated[int, Interval(ge=1, le=1_000_000)] = setting(
        2000,
        "concurrent connections, divided equally among the addresses; at most three quarters of the process's"
        " file descriptors; further connections are closed at once",
    )
    max_connection_calls: Annotated[int, Interval(ge=1, le=100_000)] = setting(
        250,
        "concurrent calls on one connection, none of which is refused by the transport; beyond twice as many,"
        " clients wait or open another connection",
    )
    reset_protection: bool = setting(
        True,
        "count calls that a client has reset until they are cleared away, against a flood of resets;"
        " clients with more than `APP_MAX_CONNECTION_CALLS` in flight may see UNAVAILABLE; when false, they"
        " wait",
    )
    max_message_bytes: Annotated[int, Interval(ge=1024, le=1_000_000_000), Unit("bytes")] = setting(
        4 * 1024 * 1024,
        "the size of a request or reply message, uncompressed; exceeding it returns RESOURCE_EXHAUSTED",
    )
    max_held_bytes: Annotated[int, Interval(ge=65_536), Unit("bytes")] = setting(
        128 * 1024 * 1024,
        "the size of all request messages above 64 KiB that calls hold at once; exceeding it returns"
        " RESOURCE_EXHAUSTED",
    )
    max_metadata_bytes: Annotated[int, Interval(ge=1024, le=1_048_576), Unit("bytes")] = setting(
        16 * 1024,
        "the size of a request's metadata, plus 32 bytes per key; exceeding it returns RESOURCE_EXHAUSTED",
    )
    compression: bool = setting(True, "accept compressed requests; if false, they return UNIMPLEMENTED")
    keepalive_time: PositiveSeconds = setting(
        30, "how long a connection may be idle before the server pings the client"
    )
    keepalive_timeout: PositiveSeconds = setting(
        20, "how long a ping may stay unanswered, or a handshake take, before the connection is closed"
    )
    permit_keepalive_time: PositiveSeconds = setting(
        5, "the shortest interval between a client's pings; the connection is closed if it pings more often"
    )

    reflection: bool | None = setting(
        None, "server reflection; on when unset and every address is loopback, off otherwise"
    )

    drain_delay: Seconds = setting(
        1, "after SIGTERM, how long to keep serving while endpoints and clients catch up"
    )
    drain_grace: Seconds = setting(20, "after the delay, how long calls in flight may take to finish")

    log_level: Literal["debug", "info", "warning", "error"] = setting(
        "info", "the lowest level that is logged: `debug`, `info`, `warning` or `error`"
    )
    log_format: Literal["json", "console"] | None = setting(
        None, "`json` or `console`; when unset, `console` on a terminal and `json` elsewhere"
    )
    log_fields: Literal["default", "gcp"] = setting(
        "default",
        "the names of the fields of lines in JSON: `default`, or `gcp` as Google Cloud Logging expects them;"
        " docs/logs.md has both",
    )
    log_gcp_project: Annotated[str, Parser(_project, "the id of a project")] | None = setting(
        None, "with `gcp`, the project that has the traces: lines in calls then link to theirs"
    )
    log_max_waiting: Annotated[int, Interval(ge=1000, le=1_000_000)] = setting(
        4_000,
        "log lines waiting to be written, a long line counting once per KiB; beyond it, lines are dropped and"
        " counted",
    )
    log_max_stderr: Annotated[int, Interval(ge=1, le=10_000)] = setting(
        10,
        "lines per second of text on standard error, such as messages of gRPC's core, that are logged; beyond"
        " it, and bursts of ten times that, lines are dropped and counted",
    )

    @check("log_gcp_project")
    def _project_with_gcp(self) -> None:
        if self.log_gcp_project is not None and self.log_fields != "gcp":
            raise ValueError("is used only where APP_LOG_FIELDS is gcp")

    @check("metrics_listen")
    def _metrics_over_tcp(self) -> None:
        if any(address.port is None for address in self.metrics_listen):
            raise ValueError("metrics are served over TCP only; expected HOST:PORT")
