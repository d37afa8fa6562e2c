"""A running server with a probe, and a client of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from app.core.code import CODE_LABELS
from tests.gen import probe_pb2_grpc
from tests.support.servers.probe import Probe, probe_service
from tests.support.servers.server import Server, running


def seen(server: Server) -> list[tuple[str, str]]:
    """Method and code of each call, as span, metric and log line have it; fails where they disagree."""
    logged = sorted((line["method"], line["code"]) for line in server.calls())
    counted = sorted(
        (method, code) for (_, method, code), count in server.handled().items() for _ in range(round(count))
    )
    traced = sorted(
        ((span.attributes or {})["rpc.method"], (span.attributes or {})["rpc.grpc.status_code"])
        for span in server.spans
    )
    numbers = {label: code.value[0] for code, label in CODE_LABELS.items()}
    assert logged == counted
    assert sorted((method, numbers[code]) for method, code in logged) == traced
    return logged


class ProbeServer:
    """A server with the probe, and a stub for it."""

    def __init__(self, server: Server, probe: Probe, channel: grpc.Channel) -> None:
        self.server = server
        self.probe = probe
        self.channel: Any = channel
        self.stub: Any = probe_pb2_grpc.ProbeStub(channel)

    def seen(self) -> list[tuple[str, str]]:
        return seen(self.server)


@contextmanager
def probe_server(
    probe: Probe | None = None,
    *,
    open_channel: Callable[[str], grpc.Channel] = grpc.insecure_channel,
    **how: Any,
) -> Iterator[ProbeServer]:
    """Starts the server; `how` are its settings. `open_channel` is given the server's target."""
    probe = probe or Probe()
    channels: list[grpc.Channel] = []
    try:
        with running([probe_service(probe)], **how) as server:
            channels.append(open_channel(server.target))
            yield ProbeServer(server, probe, channels[0])
    finally:
        # After the server: closing a channel cancels its calls, and the drain is to see them.
        for channel in channels:
            channel.close()
