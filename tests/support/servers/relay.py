"""This program with a probe that asks another one: `python -m tests.support.servers.relay serve`.

RELAY_TARGET is the other's address. Calls go over a channel of this project's client. With RELAY_TRACES, the
name of a service, that channel makes spans of its own.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import app.services


@contextmanager
def open_relay(_settings: Any) -> Iterator[object]:
    from app.client.channel import channel  # noqa: PLC0415 - it imports grpc, which the program configures
    from app.telemetry.tracer_provider import tracer_provider  # noqa: PLC0415
    from tests.gen import probe_pb2_grpc  # noqa: PLC0415
    from tests.support.servers.probe import Probe  # noqa: PLC0415

    with ExitStack() as opened:
        name = os.environ.get("RELAY_TRACES")
        spans = None if name is None else opened.enter_context(tracer_provider(name))
        upstream = opened.enter_context(channel(os.environ["RELAY_TARGET"], tracing=spans))
        stub: Any = probe_pb2_grpc.ProbeStub(upstream)

        class Relay(Probe):
            def Unary(self, request: Any, context: Any) -> Any:
                del context
                return stub.Unary(request, timeout=20)

            def ServerStream(self, request: Any, context: Any) -> Any:
                del context
                yield from stub.ServerStream(request, timeout=20)

        yield Relay()


if __name__ == "__main__":
    from app.__main__ import main
    from tests.support.servers.probe import service

    app.services.SERVICES = (service(open_relay),)
    main()
