"""The limits of the transport, as grpc's channel arguments."""

from app.runtime.connections import connection_limit
from app.runtime.server_settings import ServerSettings

# Calls that may wait to be accepted, 15 KB each: as many as one process can accept in half a second.
PENDING = 4_000

# How much longer than the limit a message may be, in parts of the limit, to be refused by the chain.
_MARGIN = 16

# The bit of the algorithm `identity`, of grpc_compression_algorithm.
_UNCOMPRESSED = 1


def options(settings: ServerSettings) -> list[tuple[str, int]]:
    """The server's channel arguments: grpc/impl/channel_arg_names.h of grpc has them all."""
    keepalive_timeout = _ms(settings.keepalive_timeout)
    found = [
        ("grpc.so_reuseport", 0),  # a taken port is an error, not a second server on it
        # The chain refuses what exceeds the settings, with a message, and records it (message_size.py and
        # metadata_size.py). Beyond these limits grpc cancels the call, and its client sees RESOURCE_EXHAUSTED
        # all the same. A compressed message counts with its uncompressed size. grpc holds what it receives in
        # memory, so the margin is small.
        (
            "grpc.max_receive_message_length",
            settings.max_message_bytes + settings.max_message_bytes // _MARGIN,
        ),
        # Between two different limits grpc would refuse at random.
        ("grpc.max_metadata_size", 4 * settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", 4 * settings.max_metadata_bytes),
        ("grpc.max_concurrent_streams", connection_streams(settings)),
        # Counts calls that have ended for their client and are not cleared away, those that it has reset
        # among them (CVE-2023-44487). Beyond the limit, calls are refused with UNAVAILABLE, unprocessed.
        ("grpc.http.overload_protection", int(settings.reset_protection)),
        # Each address has a limit of its own.
        (
            "grpc.max_allowed_incoming_connections",
            max(1, connection_limit(settings.max_connections) // len(settings.listen)),
        ),
        ("grpc.max_connection_idle_ms", _ms(settings.max_connection_idle)),
        # Calls that arrive faster than they are accepted, such as while the process is stopped. Beyond these
        # limits, by default 1,000 and 3,000, grpc drops them, at random between the two: their clients see
        # CANCELLED, which no retry policy covers, and nothing is recorded.
        ("grpc.server.max_pending_requests", PENDING),
        ("grpc.server.max_pending_requests_hard_limit", PENDING),
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_time)),
        # The first is how long the kernel waits for a host to acknowledge data, the second how long grpc
        # waits for the answer to a ping, by default a minute.
        ("grpc.keepalive_timeout_ms", keepalive_timeout),
        ("grpc.http2.ping_timeout_ms", keepalive_timeout),
        ("grpc.server_handshake_timeout_ms", keepalive_timeout),  # of a client that connects and is silent
        # In both directions: the server keeps a connection without a call alive, and clients may.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(settings.permit_keepalive_time)),
    ]
    if not settings.compression:
        found.append(("grpc.compression_enabled_algorithms_bitset", _UNCOMPRESSED))
    if settings.max_connection_age is not None:
        # Its grace stays infinite: a finite one cuts healthy streams. Deadlines end streams.
        found.append(("grpc.max_connection_age_ms", _ms(settings.max_connection_age)))
    return found


def connection_streams(settings: ServerSettings) -> int:
    """The streams of HTTP/2 that a connection may have.

    With the protection from resets, a client that begins a call for each that ends may have two streams for
    each call in flight: one of the call, and one that has ended and is not cleared away.
    """
    return settings.max_connection_calls * (2 if settings.reset_protection else 1)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
