"""What the transport bounds, as grpc takes it."""

from app.runtime.server_settings import ServerSettings

# Calls that may wait for their acceptance, 15 KB each: as many as one process can accept in half a second.
PENDING = 4_000


def options(settings: ServerSettings) -> list[tuple[str, int]]:
    """The server's channel arguments: grpc/impl/channel_arg_names.h of grpc has them all."""
    keepalive_timeout = _ms(settings.keepalive_timeout)
    found = [
        ("grpc.so_reuseport", 0),  # a taken port is an error, not a second server on it
        # The chain refuses what is too long, in words, and writes that down. Past these, grpc cancels the
        # call; its client sees RESOURCE_EXHAUSTED all the same. A compressed message counts as it unfolds.
        ("grpc.max_receive_message_length", 2 * settings.max_message_bytes),
        # Between two different bounds grpc would refuse at random.
        ("grpc.max_metadata_size", 4 * settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", 4 * settings.max_metadata_bytes),
        ("grpc.max_concurrent_streams", settings.max_connection_calls),
        # It would refuse a third of the calls of grpc's own clients near that bound, with UNAVAILABLE: it
        # counts calls that have ended for their clients already.
        ("grpc.http.overload_protection", 0),
        # Calls that have come in faster than they could be accepted, such as while the process stood still.
        # Past its own 1,000, grpc drops them, at random up to 3,000: CANCELLED to the client, which no retry
        # policy has, and unseen here.
        ("grpc.server.max_pending_requests", PENDING),
        ("grpc.server.max_pending_requests_hard_limit", PENDING),
        ("grpc.keepalive_time_ms", _ms(settings.keepalive_time)),
        # The one is how long the kernel waits for a host to acknowledge what was sent, the other how long
        # grpc waits for the answer to a ping, which would be a minute.
        ("grpc.keepalive_timeout_ms", keepalive_timeout),
        ("grpc.http2.ping_timeout_ms", keepalive_timeout),
        ("grpc.server_handshake_timeout_ms", keepalive_timeout),  # of a client that connects and is silent
        # Both ways: a connection without a call is kept alive by the server, and may be by the client.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(settings.permit_keepalive_time)),
    ]
    if settings.max_connection_age is not None:
        # No bound on the age's grace: a finite one cuts healthy streams. Deadlines bound streams.
        found.append(("grpc.max_connection_age_ms", _ms(settings.max_connection_age)))
    return found


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
