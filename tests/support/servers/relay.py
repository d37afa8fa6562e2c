"""This program with a probe that asks another one: `python -m tests.support.servers.relay serve`.

RELAY_TARGET is the other's address. Calls go over a channel of this project's client.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import app.services


@contextmanager
def open_relay(_settings: Any) -> Iterator[object]:
    from app.client.channel import channel  # noqa: PLC0415 - it imports grpc, which the program configures
    from tests.gen import probe_pb2_grpc  # noqa: PLC0415
    from tests.support.servers.probe import Probe  # noqa: PLC0415

    with channel(os.environ["RELAY_TARGET"]) as upstream:
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
